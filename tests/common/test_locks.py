"""One process a cell: a second one waits, finds the record, and needs no one to clean up."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import leases, locks
from frod_bench.records import store
from frod_bench.sweep import launch
from frod_bench.training import runner
from tests.conftest import SHORT, MakeCell
from tests.forked_command import Command

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
    assert second.result == first._replace(is_ours=False)


def test_a_worker_leaves_a_cell_that_another_process_runs_at_once(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    found: list[Outcome] = []
    worker = threading.Thread(target=lambda: found.append(launch.work(cell)), daemon=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(cell.lock_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        worker.start()
        worker.join(60)
        statuses = [outcome.status for outcome in found]
        holder.kill()
    assert statuses == [BUSY]
    assert not cell.record_path.exists()


@pytest.mark.usefixtures("forked")
def test_the_command_line_says_that_it_waits(tmp_path: Path, make_cell: MakeCell) -> None:
    words = ["task=rte", "method=frozen"]
    cell = make_cell(*words)
    with locks.locked(cell.lock_path, "first"):
        waiting = Command("frod_bench.run", f"results_root={tmp_path}/results", *SHORT, *words)
        said = waiting.err.readline()
    assert waiting.out.read() == f"{cell.record_path}\n"
    assert said == "rte/frozen/0: another process works on it; this one waits for it.\n"
    assert waiting.ended() == 0


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has the lock at `tmp_path / "0-abc.lock"` until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "0-abc.lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_whoever_does_not_wait_is_told_that_it_is_held(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    lock = tmp_path / "0-abc.lock"
    with locks.locked(lock, "rte/frod/0", wait=False) as is_ours:
        assert not is_ours
    assert locks.is_held(lock)
    holder.kill()
    holder.wait()
    assert not locks.is_held(lock)
    with locks.locked(lock, "rte/frod/0", wait=False) as is_ours:
        assert is_ours
        assert locks.is_held(lock)
    assert list(tmp_path.iterdir()) == []


def mounts(folder: Path, file: Path, kind: str, options: str) -> Path:
    """A list of mounts by which `folder` is on a file system of this kind."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    file.write_text(f"36 35 {number} / {folder} rw shared:1 - {kind} server:/export {options}\n")
    return file


def no_locks(number: int) -> Any:
    def flock(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_without_locks_has_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("fcntl.flock", no_locks(number))
    lock = tmp_path / "checkpoints" / "0-abc.lock"
    with locks.locked(lock, "rte/frod/0") as is_ours:
        assert is_ours
        assert [path.name for path in lock.parent.iterdir()] == ["0-abc.lock.lease"]
        assert leases.take(lock.with_name("0-abc.lock.lease")) is None
        assert locks.is_held(lock)
    assert not locks.is_held(lock)
    assert list(tmp_path.iterdir()) == []


def test_another_error_is_not_taken_for_a_missing_feature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", no_locks(errno.EIO))
    with pytest.raises(OSError, match="Input/output"), locks.locked(tmp_path / "0-abc", "cell"):
        pass


@pytest.mark.parametrize(
    ("kind", "options", "file"),
    [
        ("nfs4", "rw,vers=4.2,local_lock=none", "0-abc.lock"),
        ("nfs4", "rw,vers=4.2,local_lock=all", "0-abc.lock.lease"),
        ("nfs", "rw,vers=3,nolock,local_lock=all", "0-abc.lock.lease"),
        ("lustre", "rw,flock", "0-abc.lock"),
        ("lustre", "rw,localflock", "0-abc.lock.lease"),
        ("beegfs", "rw", "0-abc.lock.lease"),
    ],
)
def test_locks_that_end_at_the_machine_are_replaced_by_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, file: str
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(locks, "MOUNTS", mounts(folder, tmp_path / "mounts", kind, options))
    with locks.locked(folder / "0-abc.lock", "rte/frod/0"):
        assert [path.name for path in folder.iterdir()] == [file]
    assert list(folder.iterdir()) == []


def test_one_waits_for_the_lease_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fcntl.flock", no_locks(errno.ENOLCK))
    monkeypatch.setattr(locks, "POLL_SEC", 0.01)
    lease = leases.take(tmp_path / "0-abc.lock.lease")
    assert lease is not None
    with locks.locked(tmp_path / "0-abc.lock", "rte/frod/0", wait=False) as is_ours:
        assert not is_ours

    def enter() -> bool:
        with locks.locked(tmp_path / "0-abc.lock", "rte/frod/0") as is_ours:
            return is_ours

    second = Waiting(enter, caplog)
    second.wait_until_told("rte/frod/0: another process works on it")
    lease.release()
    second.join(60)
    assert second.result is True


def test_folders_of_cells_that_run_are_not_removed(tmp_path: Path) -> None:
    for name in ("0-abc", "1-def"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    with locks.locked(tmp_path / "checkpoints" / "0-abc.lock", "cell"):
        locks.remove_empty(tmp_path / "checkpoints")
        assert (tmp_path / "checkpoints" / "0-abc").is_dir()
        assert not (tmp_path / "checkpoints" / "1-def").exists()
    locks.remove_empty(tmp_path / "checkpoints")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_another_process_removes_meanwhile_are_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by two sweeps that end at the same time."""
    for name in ("0-abc", "1-def"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    scandir = os.scandir

    def removed_just_now(path: Any) -> Any:
        if Path(path).name == "0-abc":
            Path(path).rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_just_now)
    locks.remove_empty(tmp_path / "checkpoints")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_another_process_is_not_removed(tmp_path: Path) -> None:
    """Of one that found the file gone, e.g. by `prune`, and made its own."""
    path = tmp_path / "0-abc.lock"
    with locks.locked(path, "a run"):
        path.unlink()
        path.write_text("of another")
    assert path.read_text() == "of another"


def test_a_worker_that_was_killed_costs_no_record_that_another_left(make_cell: MakeCell) -> None:
    cell = make_cell("task=rte", "method=frozen")
    assert launch.lost(cell)[0] == "failed"
    assert runner.execute(cell).status == "ok"
    assert launch.lost(cell)[0] == "ok"
    assert store.load(cell.record_path)["status"] == "ok"


@pytest.mark.parametrize("raised", [None, KeyError("of the body")])
def test_a_file_server_that_is_away_when_a_lock_ends_hides_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    raised: Exception | None,
) -> None:
    path, unlink = tmp_path / "0-abc.lock", Path.unlink

    def away(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise OSError(errno.ESTALE, "Stale file handle")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", away)
    with pytest.raises(KeyError) if raised else nullcontext(), locks.locked(path, "a run") as ours:
        assert ours
        if raised:
            raise raised
    assert "cannot be removed" in caplog.text
    assert not locks.is_held(path)
    with locks.locked(path, "the next run", wait=False) as ours:
        assert ours
