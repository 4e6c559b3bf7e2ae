"""Work in copies of this process: answers in order, and done here if a copy has none."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from frod_bench.common import copies
from frod_bench.common.copies import in_copies
from frod_bench.common.errors import InputError

LARGE = 1_000_000  # bytes, more than a pipe holds

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")


def process_id(after_sec: float = 0.0) -> int:
    time.sleep(after_sec)
    return os.getpid()


@on_linux
def test_answers_come_in_order_whatever_ends_first() -> None:
    names = "abcde"  # not sent: a function of this one cannot be pickled

    def work(number: int) -> tuple[str, int, str]:
        time.sleep(0.1 if number == 0 else 0.0)
        return names[number], os.getpid(), "x" * LARGE

    with in_copies([partial(work, number) for number in range(5)], 2) as answers:
        found = answers()
    assert [name for name, _, _ in found] == list(names)
    processes = [process for _, process, _ in found]
    assert len({*processes, os.getpid()}) == 3
    assert processes[0::2] == [processes[0]] * 3
    assert processes[1::2] == [processes[1]] * 2


@pytest.mark.parametrize("count", [0, 1, 2])
def test_an_error_is_raised_here_with_its_place(count: int) -> None:
    def fail() -> None:
        raise InputError("figures.style=x: is unknown.")

    with (
        pytest.raises(InputError, match=r"figures\.style=x: is unknown") as raised,
        in_copies([fail, process_id], count) as answers,
    ):
        answers()
    assert raised.traceback[-1].name == "fail"


@on_linux
def test_what_a_copy_does_not_answer_is_done_here() -> None:
    def killed() -> int:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    def unsent() -> object:
        return threading.Lock()

    here = os.getpid()
    works: list[Callable[[], object]] = [killed, process_id, process_id, unsent]
    with in_copies(works, 2) as answers:
        first, second, third, fourth = answers()
    assert (first, third) == (here, here)  # the share of the copy that was killed
    assert second != here
    assert isinstance(fourth, type(threading.Lock()))


@on_linux
def test_what_a_copy_that_hangs_does_not_answer_is_done_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(copies, "HANGS_SEC", 0.3)
    here = os.getpid()

    def hangs() -> int:
        if os.getpid() != here:
            threading.Event().wait()
        return os.getpid()

    with in_copies([hangs, os.getpid, os.getpid], 2) as answers:
        found = answers()
    assert found[0] == found[2] == here  # the copy of the first never came to the third
    assert found[1] != here
    assert not multiprocessing.active_children()


@on_linux
def test_without_room_for_a_process_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    forked = []
    fork = os.fork

    def only_once() -> int:
        if forked:
            raise BlockingIOError("Resource temporarily unavailable")
        forked.append(fork())
        return forked[0]

    monkeypatch.setattr(os, "fork", only_once)
    with in_copies([process_id, process_id], 2) as answers:
        first, second = answers()
    assert first != os.getpid()
    assert second == os.getpid()


@on_linux
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_of_the_body_ends_the_copies_after_what_is_under_way(
    error: type[BaseException], tmp_path: Path
) -> None:
    def write(number: int) -> str:
        (tmp_path / str(number)).touch()
        time.sleep(0.2)
        return "x" * LARGE

    def fail_later() -> None:
        while not (tmp_path / "0").exists():
            time.sleep(0.01)
        raise error

    works = [partial(write, number) for number in range(40)]
    with pytest.raises(error), in_copies(works, 2):
        fail_later()
    done = len(list(tmp_path.iterdir()))
    assert done < 20
    assert not multiprocessing.active_children()
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) == done


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a terminal: a shell has its background processes ignore SIGINT, which they inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@on_linux
@pytest.mark.usefixtures("interruptible")
def test_signals_wait_until_the_copies_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal at the fork would end this process while the copy goes on."""
    fork = os.fork
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def with_signal() -> int:
        if process := fork():
            os.kill(os.getpid(), signal.SIGINT)
        return process

    monkeypatch.setattr(os, "fork", with_signal)
    with pytest.raises(KeyboardInterrupt), in_copies([process_id, process_id], 2):
        pytest.fail("the signal was lost")
    assert not multiprocessing.active_children()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@on_linux
def test_in_a_daemonic_process_all_is_done_there() -> None:
    """As in a worker of `multiprocessing.Pool`, which may have no children."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_pair) == 1


def _pair() -> int:
    with in_copies([process_id, process_id], 2) as answers:
        return len(set(answers()))


@on_linux
def test_there_are_no_more_copies_than_works() -> None:
    with in_copies([partial(process_id, 0.1)], 3) as answers:
        (copy,) = multiprocessing.active_children()
        assert answers() == [copy.pid]


def test_no_copies_and_no_work_need_none() -> None:
    with in_copies([process_id, process_id], 0) as answers:
        assert answers() == [os.getpid()] * 2
    with in_copies(list[Callable[[], int]](), 2) as answers:
        assert answers() == []
