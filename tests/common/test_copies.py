"""Work in copies of this process: answers in order, errors raised here, deaths said in words."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from frod_bench.common.copies import in_copies
from frod_bench.common.errors import InputError

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")


def test_answers_come_in_order_whatever_ends_first() -> None:
    read = {"slow": 1, "fast": 2}  # not sent: a function of this one cannot be pickled

    def work(name: str, sec: float) -> tuple[int, int]:
        time.sleep(sec)
        return read[name], os.getpid()

    with in_copies([partial(work, "slow", 0.1), partial(work, "fast", 0)]) as answers:
        (slow, slow_pid), (fast, fast_pid) = answers()
    assert (slow, fast) == (1, 2)
    if sys.platform == "linux":
        assert len({slow_pid, fast_pid, os.getpid()}) == 3


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_an_error_is_raised_here(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)

    def fail() -> None:
        raise InputError("figures.style=x: is unknown.")

    with (
        pytest.raises(InputError, match=r"figures\.style=x: is unknown"),
        in_copies([fail, lambda: None]) as answers,
    ):
        answers()


@on_linux
def test_a_copy_that_was_killed_is_told_apart_from_an_error() -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        pytest.raises(RuntimeError, match=r"it was killed, e\.g\. for want of memory"),
        in_copies([die, lambda: None]) as answers,
    ):
        answers()


@on_linux
def test_an_error_of_the_body_waits_for_the_copies(tmp_path: Path) -> None:
    def write(name: str) -> None:
        time.sleep(0.2)
        (tmp_path / name).touch()

    works: list[Callable[[], None]] = [partial(write, "a"), partial(write, "b")]
    with pytest.raises(KeyError), in_copies(works):
        raise KeyError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_one_work_is_done_here_and_none_is_no_work() -> None:
    with in_copies([os.getpid]) as answers:
        assert answers() == [os.getpid()]
    with in_copies(list[Callable[[], int]]()) as answers:
        assert answers() == []
