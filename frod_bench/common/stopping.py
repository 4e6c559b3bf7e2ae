"""Requests to end early: the signals that schedulers send before they take a machine away, and the
time limit of a cell. Both end a run after the step that is under way, with a checkpoint.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
STATUS = 128 + signal.SIGTERM  # exit status of a process that stopped on request

_noted: signal.Signals | None = None  # the request that this process has received
_is_deferred = False


class EndedEarly(BaseException):
    """A run ends before its last step. Not an Exception: it is not a failure of the run, and no
    handler of failures may take it for one.
    """


class Stopped(EndedEarly):
    """The process was asked to stop."""


class TimeIsUp(EndedEarly):
    """A cell has reached its time limit."""


@contextmanager
def listening() -> Iterator[None]:
    """While the body runs, the first of `SIGNALS` raises Stopped in the main thread, or as soon as
    `deferred` allows it. Later ones are ignored. Handlers that the caller has set stay in place.
    """
    global _noted  # noqa: PLW0603  (signals are the process's)
    replaced = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                replaced[number] = signal.signal(number, _note)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        if replaced:
            _noted = None


@contextmanager
def deferred() -> Iterator[None]:
    """While the body runs, a request is only noted: the body asks `requested` where it can stop. If
    it does not, Stopped is raised at its end, also instead of another error.
    """
    global _is_deferred  # noqa: PLW0603
    _is_deferred = True
    try:
        yield
    finally:
        _is_deferred = False
        if _noted is not None:
            raise Stopped(_noted.name)


@contextmanager
def held_back() -> Iterator[None]:
    """While the body runs, `SIGNALS` and SIGINT are blocked in this thread.

    So none of them can end this process after it has started another one and before it has noted
    it. A process that is started in the body inherits the block.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *SIGNALS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def requested() -> bool:
    """Whether this process was asked to stop."""
    return _noted is not None


def _note(number: int, _frame: object) -> None:
    global _noted  # noqa: PLW0603
    if _noted is None:
        _noted = signal.Signals(number)
        if not _is_deferred:
            raise Stopped(_noted.name)
