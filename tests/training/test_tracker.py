"""wandb: what an offline run holds, and that a broken one costs nothing."""

import json
import struct
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from frod_bench.records import store
from frod_bench.training import runner, tracker
from tests.conftest import MakeCell

CONFIG: dict[str, Any] = {
    "tracker": {"name": "wandb", "mode": "offline", "project": "frod_bench"},
    "profile": {"name": "embedded"},
    "protocol": {"name": "fair"},
    "experiment": {"name": "main_table"},
    "task": {"name": "rte", "family": "nlu", "primary_metric": "accuracy"},
    "method": {"name": "frod"},
    "seed": 0,
}


CURVE = [
    {"step": 0, "epoch": 0.0, "seconds": 0.0, "eval_loss": 0.7, "accuracy": 0.5},
    {"step": 1, "epoch": 0.5, "seconds": 0.75, "train_loss": 0.7, "lr_head": 0.01},
    {"step": 2, "epoch": 1.0, "seconds": 1.5, "train_loss": 0.5, "lr_head": 0.005}
    | {"eval_loss": 0.4, "accuracy": 0.8},
]
BLOCK, FILE_HEADER, CHUNK_HEADER = 32768, 7, 7  # bytes, of the log format that wandb borrows
WHOLE, LAST = 1, 4  # types of chunks


@pytest.fixture(autouse=True)
def wandb_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of wandb's that hung in an earlier test of this process turns the next ones off."""
    monkeypatch.setattr(tracker.WandbTracker, "broken", False)


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


def started_of(records: list[Any]) -> Any:
    """How the run was started: name, group, tags."""
    return next(r.run for r in records if r.HasField("run"))


def history_of(records: list[Any]) -> list[dict[str, Any]]:
    """The points that were logged; what is nested has names with dots."""
    return [
        {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in r.history.item}
        for r in records
        if r.HasField("history")
    ]


def parse_offline_run(folder: Path) -> list[Any]:
    """What is written of the run so far: LevelDB's log format, protobuf inside."""
    from wandb.proto import wandb_internal_pb2

    file = next(folder.rglob("*.wandb"), None)
    if file is None:  # not yet
        return []
    data = file.read_bytes()
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
    for point in CURVE:
        run.log(point)
    run.finish({"final/accuracy": 0.75, "params/trainable": 12})

    records = read_offline_run(tmp_path)
    started = started_of(records)
    assert (started.project, started.job_type) == ("frod_bench", "cell")
    assert (started.run_group, started.display_name) == ("rte/frod", "rte/frod/0")
    assert list(started.tags) == ["embedded", "fair", "nlu", "rte", "frod", "main_table"]
    assert {item.key for item in started.config.update} >= {"task", "method", "seed"}
    history = history_of(records)
    assert [point["_step"] for point in history] == [0, 1, 2]
    for logged, point in zip(history, CURVE, strict=True):
        assert logged.items() >= point.items()
    summary = {
        item.key or "/".join(item.nested_key): item.value_json
        for r in records if r.HasField("summary") for item in r.summary.update
    }  # fmt: skip
    assert summary["final/accuracy"] == "0.75"
    assert summary["params/trainable"] == "12"


def test_charts_are_by_step_by_second_and_by_epoch(tmp_path: Path) -> None:
    run = tracker.start(CONFIG, tmp_path, "rte/frod/0")
    for point in CURVE:
        run.log(point)
    run.finish({})

    records = read_offline_run(tmp_path)
    axes = {r.metric.name: r.metric.step_metric for r in records if r.HasField("metric")}
    first, second, last = history_of(records)
    measured = {"accuracy": 0.8, "primary_metric": 0.8, "eval_loss": 0.4}
    by_axis = {
        f"by_{axis}/{name}": measured[name]
        for axis in ("seconds", "epoch") for name in ("primary_metric", "eval_loss")
    }  # fmt: skip
    assert last.items() >= (measured | by_axis | {"seconds": 1.5, "epoch": 1.0}).items()
    assert not {"primary_metric", *by_axis} & second.keys()  # nothing was measured there
    assert first["by_seconds/primary_metric"] == 0.5
    for name in ("by_seconds/primary_metric", "by_seconds/eval_loss"):
        assert axes[name] == "seconds"
    for name in ("by_epoch/primary_metric", "by_epoch/eval_loss"):
        assert axes[name] == "epoch"
    for name in ("accuracy", "primary_metric", "train_loss", "eval_loss", "lr_head"):
        assert axes[name] == "step"
    assert [axes[name] for name in ("step", "seconds", "epoch")] == ["", "", ""]


def test_tasks_and_heads_share_the_chart_of_the_primary_metric(tmp_path: Path) -> None:
    task = {"name": "boolq", "family": "reasoning", "primary_metric": "f1"}
    run = tracker.start(CONFIG | {"task": task, "head": "rank"}, tmp_path, "boolq_rank/frod/0")
    run.log({"step": 0, "epoch": 0.0, "seconds": 0.0, "accuracy": 0.5, "f1": 0.25})
    run.finish({})
    records = read_offline_run(tmp_path)
    assert started_of(records).run_group == "boolq_rank/frod"
    assert history_of(records)[0]["primary_metric"] == 0.25


def test_the_history_of_a_cell_is_its_curve(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    made = make_cell("task=cola", "method=frod", "tracker=wandb", "tracker.mode=offline")
    assert runner.execute(made).status == "ok"
    records = read_offline_run(made.results_dir / "wandb")
    assert started_of(records).run_group == "cola/frod"
    curve = store.read_curve(made.record_path)
    history = history_of(records)
    assert len(curve) == 5
    for logged, point in zip(history, curve, strict=True):
        assert logged.items() >= dict(point).items()
        assert logged.get("primary_metric") == point.get("matthews")


def test_a_report_holds_its_tables_and_what_it_will_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", "")  # so that what is set is undone
    monkeypatch.delenv("WANDB_DATA_DIR")
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "main.md").write_text("a table")
    rows = [["frod matches full", "supported", 0.5], ["frod trains 1.72 %", "undecided", None]]
    table = tracker.Rows(["claim", "verdict", "mean"], [*rows, ["no number", "", float("nan")]])
    tracker.log_report(OmegaConf.create(CONFIG), tmp_path, {"claims": table})

    records = read_offline_run(tmp_path)
    started = started_of(records)
    assert (started.job_type, started.run_group) == ("report", "report")
    assert list(started.tags) == ["embedded", "fair", "main_table"]
    (point,) = history_of(records)
    assert point["claims._type"] == "table-file"
    (run_files,) = tmp_path.glob("wandb/wandb/offline-run-*/files")
    kept = json.loads((run_files / point["claims.path"]).read_text())
    assert kept["columns"] == ["claim", "verdict", "mean"]
    assert kept["data"] == [*rows, ["no number", "", None]]
    files = {
        entry.path: Path(entry.local_path)
        for r in records if r.HasField("artifact") for entry in r.artifact.manifest.contents
    }  # fmt: skip
    assert set(files) == {"claims.table.json", "main.md"}
    assert files["main.md"].read_text() == "a table"
    assert all(path.is_relative_to(tmp_path / "wandb") for path in files.values())


def wandb_that(**attributes: Any) -> types.ModuleType:
    module = types.ModuleType("wandb")
    module.Settings = lambda **_: None  # type: ignore[attr-defined]
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def test_wandb_gives_up_before_the_run_does_and_knows_no_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the end of the process, which calls it once more, would wait for a server for ever."""
    given: dict[str, Any] = {}
    module = wandb_that(init=fail)
    module.Settings = lambda **settings: given.update(settings)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(tracker.WandbTracker, "broken", False)
    tracker._open({"name": "wandb", "mode": "offline", "project": "p"}, tmp_path).finish({})
    assert 0 < given["finish_timeout"] < tracker.FINISH_TIMEOUT_SEC
    assert given["finish_timeout_raises"]
    assert given["git_remote"] == tracker.NO_REMOTE


def fail(**_: Any) -> None:
    raise RuntimeError("no luck")


def hang(**_: Any) -> None:
    threading.Event().wait()  # which nothing sets: whoever waits for it runs into pytest's time-out


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "ModuleNotFoundError"),
        (wandb_that(init=fail), "RuntimeError: no luck"),
        (wandb_that(init=hang), "within 0.5 s"),
    ],
    ids=["missing", "fails", "hangs"],
)
def test_a_broken_wandb_costs_a_warning_and_is_not_tried_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    module: Any,
    reason: str,
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(tracker, "FINISH_TIMEOUT_SEC", 0.5)
    run = tracker.start(CONFIG, tmp_path, "rte/frod/0")
    assert isinstance(run, tracker.WandbTracker)
    before = time.monotonic()
    for step in range(1000):
        run.log({"step": step, "train_loss": 0.1})
    run.finish({"final/accuracy": 0.5})
    assert time.monotonic() - before < 60  # it does not wait for wandb
    (message,) = caplog.messages
    assert message.startswith("wandb")
    assert reason in message
    assert type(tracker.start(CONFIG, tmp_path, "rte/frod/1")) is tracker.NullTracker


def test_a_folder_that_cannot_be_made_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    run = tracker.start(CONFIG, tmp_path / "file" / "wandb", "rte/frod/0")
    assert type(run) is tracker.NullTracker
    run.log({"step": 0})
    run.finish({})
    (message,) = caplog.messages
    assert "wandb" in message
    assert str(tmp_path / "file") in message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_tracker_none_writes_nothing(tmp_path: Path) -> None:
    run = tracker.start({**CONFIG, "tracker": {"name": "none"}}, tmp_path, "rte/frod/0")
    run.log({"step": 0})
    run.finish({})
    assert list(tmp_path.iterdir()) == []
