"""A small race from the command line's options to the file, and contenders that fail."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from rich.status import Status

from frod_bench.bench.command import run
from frod_bench.bench.contender import Contender, Entry, Step, build_model, compose_settings
from frod_bench.bench.options import SHAPES, Options, parse
from frod_bench.bench.race import race
from frod_bench.bench.remote import Remote, RemoteError
from frod_bench.common.errors import CellsFailed
from tests.bench.counter import Counter

ENCODER = SHAPES["embedded_encoder"]


class Fragile(Contender):
    """`full` dies in its first step; `lora` raises when it attaches."""

    def attach(self) -> float:
        if self.method.name == "lora":
            raise RuntimeError("no room\nfor it")
        return super().attach()

    def step(self) -> Step:
        if self.method.name == "full":
            os._exit(3)
        return super().step()


def small_options(root: Path, *words: str) -> Options:
    line = ["shape=embedded_encoder", f"results_root={root}", *(words or ["method=full,frod"])]
    return dataclasses.replace(parse(line), rounds=2)


@pytest.mark.usefixtures("forked")
def test_a_run_leaves_a_document_and_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = small_options(tmp_path)
    run(options)
    written = json.loads(options.path.read_text())
    assert written["provenance"]["rounds"] == 2
    assert written["provenance"]["device_name"]
    full, frod = written["rows"]
    for row in (full, frod):
        assert (row["shape"], row["rows"], row["length"]) == ("embedded_encoder", 16, 32)
        assert (row["tokens"], row["threads"], row["compiled"]) == (512, 1, False)
        assert row["error"] is None
        assert len(row["rounds_step_sec"]) == len(row["rounds_forward_sec"]) == 2
        assert row["step_sec"] == pytest.approx(sum(row["rounds_step_sec"]) / 2)
        assert row["peak_rss_bytes"] > 10**8
        assert set(row["step_ratio"]) == set(row["forward_ratio"]) == {"full", "frod"}
        assert row["step_ratio"][row["method"]] == 1
    pairs = zip(frod["rounds_step_sec"], full["rounds_step_sec"], strict=True)
    assert frod["step_ratio"]["full"] == pytest.approx(sum(a / b for a, b in pairs) / 2)
    assert (len(frod["rounds_attach_cached_sec"]), full["attach_cached_sec"]) == (3, None)
    shapes = [(row["out_features"], row["in_features"], row["layers"]) for row in written["layers"]]
    assert shapes == [(128, 128, 24), (256, 128, 6), (128, 256, 6)]
    assert [row["tokens"] for row in written["models_over_the_floor"]] == [512]
    assert all(goal["met"] is None for goal in written["goals"])  # they are RoBERTa-base's
    shown = capsys.readouterr()
    assert shown.out.rstrip().endswith(str(options.path))
    assert "embedded_encoder, 16 x 32 = 512 tokens, 1 thread" in shown.out
    assert "round 2 of 2 done" in shown.err
    assert [path.name for path in options.path.parent.iterdir()] == ["frod.json"]


@pytest.mark.usefixtures("forked")
def test_contenders_that_fail_are_out_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frod_bench.bench.race.Contender", Fragile)
    options = small_options(tmp_path, "method=full,lora,frozen")
    with pytest.raises(CellsFailed, match=r"full on embedded_encoder, lora on embedded_encoder"):
        run(options)
    full, lora, frozen = json.loads(options.path.read_text())["rows"]
    assert full["error"] == "its process died with exit code 3"
    assert full["attach_sec"] > 0
    assert lora["error"] == "RuntimeError: no room"
    assert lora["attach_sec"] is None
    for row in (full, lora):
        assert (row["step_sec"], row["forward_sec"], row["step_ratio"]) == (None, None, {})
    assert frozen["error"] is None
    assert len(frozen["rounds_step_sec"]) == 2
    assert set(frozen["step_ratio"]) == {"frozen"}
    assert "full is out on embedded_encoder: its process died" in capsys.readouterr().out


@pytest.mark.usefixtures("forked")
def test_a_race_that_is_interrupted_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    class Noted(Remote):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self)

    class Broken(Console):
        def print(self, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("frod_bench.bench.race.Remote", Noted)
    with pytest.raises(KeyboardInterrupt):
        race(ENCODER, small_options(tmp_path, "method=frozen"), False, Status("", console=Broken()))
    assert [remote._process.exitcode is None for remote in started] == [False]


def test_an_object_in_another_process_answers_until_it_raises() -> None:
    remote = Remote(Counter, 2)
    remote.ready()
    assert [remote.call("add", 1), remote.call("add", 2)] == [6, 8]
    with pytest.raises(RemoteError, match="TypeError"):
        remote.call("add", "one")
    with pytest.raises(RemoteError, match="died with exit code 0"):
        remote.call("add", 1)
    remote.close()


def test_the_error_of_an_object_that_cannot_be_made_is_reported() -> None:
    remote = Remote(Counter, 0)
    with pytest.raises(RemoteError, match="ZeroDivisionError"):
        remote.ready()
    remote.close()


@pytest.mark.parametrize("name", ["embedded_encoder", "embedded_decoder", "embedded_vit"])
def test_layers_see_as_many_tokens_as_the_batch_says(name: str) -> None:
    threads = torch.get_num_threads()
    composed = compose_settings(SHAPES[name], "frozen")
    entry = Entry(SHAPES[name], composed, "cpu", compiled=False, threads=threads)
    contender = Contender(entry)
    contender.attach()
    (batch,) = entry.batches
    assert batch.rows == composed.trainer.batch_rows
    contender.set_batch(batch)
    widths = composed.backbones[composed.task.family].target_modules
    tokens = set()
    for module_name, module in contender.prepared.model.backbone.named_modules():
        if module_name.endswith(tuple(widths)):
            module.register_forward_hook(
                lambda layer, given, _out: tokens.add(given[0].numel() // layer.in_features)
            )
    contender.step()
    assert tokens == {batch.rows * batch.length}


def test_a_made_encoder_has_the_same_weights_every_time() -> None:
    large = SHAPES["roberta_base"]
    shape = dataclasses.replace(large, encoder=(24, 1, 12))
    composed = compose_settings(shape, "frod")
    first, second = (build_model(shape, composed).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not any("pooler" in name for name in first)
    assert composed.backbones["nlu"].name == "roberta_base"
