"""wandb: what an offline run holds, and that a broken one costs nothing."""

import struct
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from frod_bench import tracker

CONFIG: dict[str, Any] = {
    "tracker": {"name": "wandb", "mode": "offline", "project": "frod_bench"},
    "profile": {"name": "embedded"},
    "protocol": {"name": "fair"},
    "task": {"name": "rte", "family": "nlu"},
    "method": {"name": "frod"},
    "seed": 0,
}


BLOCK, FILE_HEADER, CHUNK_HEADER = 32768, 7, 7  # bytes, of the log format that wandb borrows
WHOLE, LAST = 1, 4  # types of chunks


def read_offline_run(folder: Path) -> list[Any]:
    """The records of the one offline run under `folder`, once its last one is on the disk.

    wandb's service writes the file some tenths of a second after `finish` has returned.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        records = parse_offline_run(folder)
        if records and records[-1].HasField("exit"):
            return records
        time.sleep(0.05)
    raise AssertionError(f"wandb's offline run under {folder} has no end")


def parse_offline_run(folder: Path) -> list[Any]:
    """What is written of the run so far: LevelDB's log format, protobuf inside."""
    from wandb.proto import wandb_internal_pb2

    data = next(folder.rglob("*.wandb")).read_bytes()
    assert data[:4] in (b":W&B", b"")
    records, payload, at = [], b"", FILE_HEADER
    while at + CHUNK_HEADER < len(data):
        if BLOCK - at % BLOCK < CHUNK_HEADER:  # a block's end is too short for a chunk
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack("<IHB", data[at : at + CHUNK_HEADER])
        if at + CHUNK_HEADER + length > len(data):  # half written
            break
        payload += data[at + CHUNK_HEADER : at + CHUNK_HEADER + length]
        at += CHUNK_HEADER + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(payload)
            records.append(record)
            payload = b""
    return records


def test_an_offline_run_holds_group_tags_config_curve_and_summary(tmp_path: Path) -> None:
    run = tracker.start(CONFIG, tmp_path, "rte/frod/0")
    run.log({"step": 0, "accuracy": 0.5})
    run.log({"step": 1, "train_loss": 0.7, "lr_head": 0.01})
    run.finish({"final/accuracy": 0.75, "params/trainable": 12})

    records = read_offline_run(tmp_path)
    started = next(r.run for r in records if r.HasField("run"))
    assert (started.project, started.run_group, started.job_type) == ("frod_bench", "rte", "cell")
    assert list(started.tags) == ["embedded", "fair", "nlu", "frod"]
    assert {item.key for item in started.config.update} >= {"task", "method", "seed"}
    history = [
        {i.key or i.nested_key[0] for i in r.history.item} for r in records if r.HasField("history")
    ]
    assert any({"train_loss", "lr_head"} <= keys for keys in history)
    summary = {
        item.key or "/".join(item.nested_key): item.value_json
        for r in records if r.HasField("summary") for item in r.summary.update
    }  # fmt: skip
    assert summary["final/accuracy"] == "0.75"
    assert summary["params/trainable"] == "12"


def wandb_that(**attributes: Any) -> types.ModuleType:
    module = types.ModuleType("wandb")
    module.Settings = lambda **_: None  # type: ignore[attr-defined]
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def fail(**_: Any) -> None:
    raise RuntimeError("no luck")


def hang(**_: Any) -> None:
    time.sleep(60)


@pytest.mark.parametrize("module", [None, wandb_that(init=fail), wandb_that(init=hang)],
                         ids=["missing", "fails", "hangs"])  # fmt: skip
def test_a_broken_wandb_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(tracker, "FINISH_TIMEOUT_SEC", 0.5)
    started = time.monotonic()
    run = tracker.start(CONFIG, tmp_path, "rte/frod/0")
    for step in range(1000):
        run.log({"step": step, "train_loss": 0.1})
    run.finish({"final/accuracy": 0.5})
    assert time.monotonic() - started < 10
    monkeypatch.setattr(tracker.WandbTracker, "broken", False)


def test_a_folder_that_cannot_be_made_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = tracker.start(CONFIG, tmp_path / "file" / "wandb", "rte/frod/0")
    run.log({"step": 0})
    run.finish({})


def test_tracker_none_writes_nothing(tmp_path: Path) -> None:
    run = tracker.start({**CONFIG, "tracker": {"name": "none"}}, tmp_path, "rte/frod/0")
    run.log({"step": 0})
    run.finish({})
    assert list(tmp_path.iterdir()) == []
