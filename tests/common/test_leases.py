"""Leases: who holds one, when it is stale, and that taking over takes no live one."""

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from frod_bench.common import atomic, leases

HOLD = """
import os, sys
from pathlib import Path
from frod_bench.common import leases
assert leases.take(Path(sys.argv[1]))
os._exit(0)
"""
OLD_SEC = leases.LIMIT_SEC + 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0-abc.lock.lease"


def left_by(path: Path, seconds_ago: float = 0.0, **changes: object) -> None:
    """Write the lease of this process, with changes, as it was touched some time ago."""
    noted = {**leases._place(), **leases._process(os.getpid()), "token": "another"}
    path.write_text(json.dumps(noted | changes))
    touched_sec = path.stat().st_mtime - seconds_ago
    os.utime(path, (touched_sec, touched_sec))


def test_a_lease_is_held_by_one_and_leaves_nothing(path: Path) -> None:
    lease = leases.take(path)
    assert lease is not None
    assert leases.is_held(path)
    assert leases.take(path) is None
    lease.release()
    assert not leases.is_held(path)
    assert list(path.parent.iterdir()) == []


def test_a_file_server_that_is_away_at_the_end_fails_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lease = leases.take(path)
    assert lease is not None

    def away(*_: object, **__: object) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(leases, "BEAT_SEC", 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", away)
        lease.release()
        time.sleep(0.1)
        assert path.exists()
    assert "cannot be removed yet" in caplog.text
    until = time.monotonic() + 30
    while path.exists():  # it is back
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_lease_of_a_process_that_is_gone_is_taken_over(path: Path) -> None:
    subprocess.run([sys.executable, "-c", HOLD, str(path)], check=True, timeout=120)
    assert path.exists()
    assert not leases.is_held(path)
    lease = leases.take(path)
    assert lease is not None
    lease.release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "seconds_ago", "is_held"),
    [
        ({}, OLD_SEC, True),  # of this process: it runs, however long ago it touched the file
        ({"started": 1}, 0, False),  # its number is that of another process now
        ({"host": "other"}, 0, True),
        ({"host": "other"}, OLD_SEC, False),
        ({"boot_id": "before the restart"}, OLD_SEC, False),
        ({"pid_namespace": "of a container", "pid": 1, "started": 1}, 0, True),
        ({"pid": "1/../.."}, 0, False),
    ],
)
def test_a_lease_is_stale_by_its_process_or_else_by_its_age(
    path: Path, changes: dict[str, object], seconds_ago: float, is_held: bool
) -> None:
    left_by(path, seconds_ago, **changes)
    assert leases.is_held(path) is is_held
    lease = leases.take(path)
    assert (lease is None) is is_held
    if lease is not None:
        lease.release()


def test_a_clock_that_was_set_back_makes_no_lease_last_for_hours(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_sec = 1000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: now_sec)
    left_by(path, -5 * 3600, host="other")
    assert leases.is_held(path)
    now_sec += leases.LIMIT_SEC - 1
    left_by(path, -5 * 3600, host="other")  # its holder is alive
    assert leases.is_held(path)
    now_sec += leases.LIMIT_SEC - 1
    assert leases.is_held(path)
    now_sec += 2
    assert not leases.is_held(path)
    lease = leases.take(path)
    assert lease is not None
    lease.release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}'])
@pytest.mark.parametrize(("seconds_ago", "is_held"), [(0, True), (OLD_SEC, False)])
def test_a_lease_that_says_nothing_counts_by_its_age(
    path: Path, content: str, seconds_ago: float, is_held: bool
) -> None:
    left_by(path, seconds_ago)
    touched_sec = path.stat().st_mtime
    path.write_text(content)
    os.utime(path, (touched_sec, touched_sec))
    assert leases.is_held(path) is is_held


def test_whoever_is_slow_to_take_over_leaves_the_new_lease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(path, OLD_SEC, host="other")
    create = leases._create

    def while_another_takes_over(created: Path, content: str) -> bool:
        if created != path:  # the guard: the lease was found stale just now
            left_by(path, host="third")
        return create(created, content)

    monkeypatch.setattr(leases, "_create", while_another_takes_over)
    assert leases.take(path) is None
    assert json.loads(path.read_text())["host"] == "third"
    assert list(path.parent.iterdir()) == [path]


def test_a_lease_that_the_disk_has_no_room_for_is_in_nobodys_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, *rest: Any, **more: Any) -> Any:
        stream = opened(self, *rest, **more)
        if self == path:
            monkeypatch.setattr(stream, "write", Mock(side_effect=OSError(errno.ENOSPC, "full")))
        return stream

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(OSError, match="full"):
            leases.take(path)
    assert list(path.parent.iterdir()) == []


def test_a_lease_where_nothing_can_be_written_counts_as_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`prune` lists there, too."""
    left_by(path, OLD_SEC, host="other")
    touched = Mock(side_effect=OSError(errno.EROFS, "Read-only file system"))
    monkeypatch.setattr(Path, "touch", touched)
    assert leases.is_held(path)


def test_whoever_died_after_taking_over_leaves_nothing(path: Path) -> None:
    lease = leases.take(path)
    assert lease is not None
    guard = leases._guard_of(path, "an earlier lease")
    left_by(guard, started=1)
    lease.release()
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("wrote", [True, False])
def test_whoever_died_taking_over_is_in_nobodys_way(path: Path, *, wrote: bool) -> None:
    at = path
    for _ in range(3):  # and another one in taking over from that one
        left_by(at, OLD_SEC, started=1)
        if not wrote:
            os.truncate(at, 0)
            os.utime(at, (time.time() - OLD_SEC,) * 2)
        at = leases._guard_of(at, at.read_text())
    lease = leases.take(path)
    assert lease is not None
    lease.release()
    assert list(path.parent.iterdir()) == []


def test_two_who_see_that_one_died_taking_over_do_not_both_take_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes on when the first is about to write, with what it read before that."""
    left_by(path, started=1)
    guard = leases._guard_of(path, path.read_text())
    left_by(guard, started=1)
    read_before = {one: one.read_text() for one in (path, guard)}
    seen, temporary = leases._stale, atomic.temporary
    second: list[leases.Lease | None] = []

    def as_it_was(one: Path) -> str | None:
        return read_before.pop(one, None) or seen(one)

    def while_the_second_goes_on(one: Path) -> Path:
        if one == path and read_before:
            with monkeypatch.context() as patch:
                patch.setattr(leases, "_stale", as_it_was)
                second.append(leases.take(path))
        return temporary(one)

    monkeypatch.setattr(atomic, "temporary", while_the_second_goes_on)
    first = leases.take(path)
    assert first is not None
    assert second == [None]
    assert read_before == {}
    first.release()
    assert list(path.parent.iterdir()) == []


def test_one_of_many_takes_a_stale_lease_over(path: Path) -> None:
    left_by(path, started=1)
    taken: list[leases.Lease] = []
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        if (lease := leases.take(path)) is not None:
            taken.append(lease)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    taken[0].release()
    assert list(path.parent.iterdir()) == []


def test_a_holder_touches_its_lease_and_notices_that_it_lost_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    touched, lost = threading.Event(), threading.Event()
    monkeypatch.setattr(leases, "BEAT_SEC", 0.01)
    monkeypatch.setattr(os, "utime", lambda touches: touched.set())
    monkeypatch.setattr(leases.logger, "warning", lambda *_: lost.set())
    lease = leases.take(path)
    assert lease is not None
    assert touched.wait(60)
    path.write_text("of another process")
    assert lost.wait(60)
    lease.release()
    assert path.read_text() == "of another process"
