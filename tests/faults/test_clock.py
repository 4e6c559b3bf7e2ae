"""A clock that jumps by hours during a run: no time is measured or waited for by it."""

import datetime as dates
import errno
import time
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells import results
from frod_bench.common import leases, locks
from frod_bench.records import store
from frod_bench.training import runner
from frod_bench.training.loop import Point, Trainer
from tests.conftest import MakeCell
from tests.report.factory import result_of

HOUR_SEC = 3600.0
GRID = ("task=rte", "method=lora", "runtime.checkpoint_every_steps=1", "runtime.cell_minutes=10")


class Clock:
    """The system's clock, which can be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_sec, real = 0.0, time.time
        clock = self

        class Dates(dates.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return dates.datetime.fromtimestamp(real() + clock.ahead_sec, tz)

        monkeypatch.setattr(time, "time", lambda: real() + self.ahead_sec)
        monkeypatch.setattr(time, "time_ns", lambda: int((real() + self.ahead_sec) * 1e9))
        monkeypatch.setattr(results, "datetime", Dates)


@pytest.mark.parametrize("jump_sec", [-5 * HOUR_SEC, 5 * HOUR_SEC])
def test_a_run_neither_ends_early_nor_records_odd_times(
    jump_sec: float, make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_cell(*GRID, f"results_root={tmp_path}/whole")
    assert runner.execute(whole).status == "ok"
    cell, train_step = make_cell(*GRID), Trainer.train_step
    lease = cell.lock_path.with_name(f"{cell.lock_path.name}.lease")
    others: list[object] = []

    def jumping(self: Trainer, step: int, batches: Any) -> Point:
        if step == 2:
            clock.ahead_sec += jump_sec
            assert lease.exists()
            others.append(leases.take(lease))  # as another process would
        return train_step(self, step, batches)

    def no_locks(folder: Path) -> None:
        raise OSError(errno.ENOLCK, "no locks", str(folder))

    clock = Clock(monkeypatch)
    monkeypatch.setattr(Trainer, "train_step", jumping)
    monkeypatch.setattr(locks, "_refuse_local_locks", no_locks)
    assert runner.execute(cell).status == "ok"
    assert others == [None]
    assert not lease.exists()
    record = store.load(cell.record_path)
    assert record["time"] is not None
    assert all(0 <= seconds < HOUR_SEC for seconds in record["time"].values())
    curve = store.read_curve(cell.record_path, record)
    assert all(0 <= point["seconds"] < HOUR_SEC for point in curve)
    assert result_of(cell.record_path) == result_of(whole.record_path)
