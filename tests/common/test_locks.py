"""One process a cell: a second one waits, finds the record, and needs no one to clean up."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from frod_bench.common import locks
from frod_bench.records import store
from frod_bench.sweep import launch
from frod_bench.training import runner
from tests.conftest import SHORT, MakeCell

HOLD = """
import sys
from pathlib import Path
from frod_bench.common import locks
with locks.locked(Path(sys.argv[1]), "holder"):
    print("held", flush=True)
    sys.stdin.read()
"""


class Waiting(threading.Thread):
    """Runs `action` beside the test; `told` holds what it was heard to say first."""

    def __init__(self, action, caplog: pytest.LogCaptureFixture) -> None:
        super().__init__(daemon=True)
        self.action, self.caplog, self.result = action, caplog, None
        self.start()

    def run(self) -> None:
        self.result = self.action()

    def wait_until_told(self, words: str) -> None:
        for _ in range(2400):
            if words in self.caplog.text:
                return
            self.join(0.05)
        raise AssertionError(f"{words!r} was not said, but {self.caplog.text!r}")


def test_a_second_process_waits_until_the_holder_dies(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "checkpoints" / "0-abc"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    def enter() -> bool:
        with locks.locked(folder, "rte/frod/0"):
            return True

    second = Waiting(enter, caplog)
    second.wait_until_told("rte/frod/0: another process works on it")
    second.join(0.2)
    assert second.is_alive()
    holder.kill()
    holder.wait()
    second.join(120)
    assert second.result is True
    assert list(folder.parent.iterdir()) == []


def test_one_at_a_time_however_many_come(tmp_path: Path) -> None:
    inside, most = [], []

    def enter() -> None:
        for _ in range(50):  # the file is removed and made again all the time
            with locks.locked(tmp_path / "0-abc", "cell"):
                inside.append(1)
                time.sleep(0.001)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 200
    assert set(most) == {1}


def test_the_second_of_two_runs_finds_the_record_done(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cell = make_cell("task=rte", "method=frozen")
    first = runner.execute(cell)
    assert first.status == "ok"
    assert not list(cell.results_dir.rglob("*.lock"))
    hidden = cell.record_path.rename(cell.record_path.with_suffix(".hidden"))

    def run_again(*arguments: object) -> None:
        raise AssertionError("the cell ran twice")

    monkeypatch.setattr(runner, "run_cell", run_again)
    with locks.locked(cell.lock_path, "first"):
        second = Waiting(lambda: runner.execute(cell), caplog)
        second.wait_until_told("rte/frozen/0: another process works on it")
        hidden.rename(cell.record_path)
    second.join(120)
    assert second.result == first


def test_the_command_line_says_that_it_waits(tmp_path: Path, make_cell: MakeCell) -> None:
    words = ["task=rte", "method=frozen"]
    cell = make_cell(*words)
    with locks.locked(cell.lock_path, "first"):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "frod_bench.run", f"results_root={tmp_path}/results", *SHORT,
             *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stderr is not None
        said = waiting.stderr.readline()
    printed, _ = waiting.communicate(timeout=120)
    assert said == "rte/frozen/0: another process works on it; this one waits for it.\n"
    assert printed == f"{cell.record_path}\n"
    assert waiting.returncode == 0


def test_a_file_system_without_locks_costs_no_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with locks.locked(tmp_path / "0-abc", "rte/frod/0"):
        pass
    assert "No locks available" in caplog.text


def test_a_worker_that_was_killed_costs_no_record_that_another_left(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    assert launch.lost(cell)[0] == "failed"
    assert runner.execute(cell).status == "ok"
    assert launch.lost(cell)[0] == "ok"
    assert store.load(cell.record_path)["status"] == "ok"
