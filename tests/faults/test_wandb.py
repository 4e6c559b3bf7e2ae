"""wandb that hangs or raises, in any of its calls, costs a warning and no run."""

import sys
import threading
import types
from typing import Any

import pytest

from frod_bench.records import store
from frod_bench.training import runner, tracker
from tests.conftest import MakeCell

CALLS = ("init", "define_metric", "log", "summary", "finish")


class Summary:
    def __init__(self, update: Any) -> None:
        self.update = update


def wandb_that(fault: Any, call: str) -> types.ModuleType:
    """wandb with a fault in one of its calls."""

    def works(*_: Any, **__: Any) -> None:
        pass

    of_run = {name: fault if name == call else works for name in CALLS}
    run = types.SimpleNamespace(**of_run)
    run.summary = Summary(of_run["summary"])
    module = types.ModuleType("wandb")
    module.Settings = lambda **_: None  # type: ignore[attr-defined]
    module.init = fault if call == "init" else lambda **_: run  # type: ignore[attr-defined]
    return module


def raises(*_: Any, **__: Any) -> None:
    raise RuntimeError("no luck")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["hangs", "raises"])
def test_the_run_ends_with_its_record(
    fault: str, call: str, make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    released = threading.Event()

    def hangs(*_: Any, **__: Any) -> None:
        released.wait()

    monkeypatch.setattr(tracker.WandbTracker, "broken", False)
    monkeypatch.setattr(tracker, "FINISH_TIMEOUT_SEC", 0.3)
    monkeypatch.setenv("WANDB_DATA_DIR", "")  # so that what is set is undone
    broken = {"hangs": hangs, "raises": raises}[fault]
    monkeypatch.setitem(sys.modules, "wandb", wandb_that(broken, call))
    cell = make_cell("task=rte", "method=frozen", "tracker=wandb", "tracker.mode=offline")
    try:
        assert runner.execute(cell).status == "ok"
    finally:
        released.set()
    assert store.load(cell.record_path)["status"] == "ok"
    said = {"hangs": "wandb did not finish within 0.3 s", "raises": "wandb failed (RuntimeError"}
    assert [text for text in caplog.messages if text.startswith(said[fault])]
    assert tracker.WandbTracker.broken  # the next runs of this process do not wait again
