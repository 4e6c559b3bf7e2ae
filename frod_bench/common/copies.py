"""Work in copies of this process, which have all that it has read without being sent it."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from frod_bench.common import stopping

T = TypeVar("T")
# A copy that sends nothing for so long is killed. It hangs if another thread of this process held a
# lock when the process was copied.
HANGS_SEC = 600.0
Works = Sequence[Callable[[], T]]


@contextmanager
def in_copies(works: Works[T], count: int) -> Iterator[Callable[[], list[T]]]:
    """Do `works` in `count` copies of this process while the body runs.

    Yields a function, to be called once, that waits for the copies and returns the results in the
    order of `works`. If a copy does not answer, the function does the work in this process. The
    work may have failed (its error is then raised here), its result may not be picklable, or the
    copy may have been killed, hang for `HANGS_SEC`, or could not be made. With a count of 0, in a
    daemonic process, and on systems other than Linux, whose libraries may not survive a copy, all
    works are done in this process. If the context or this process ends early, each copy ends after
    its current work.
    """
    count = min(count, len(works))
    if sys.platform != "linux" or multiprocessing.current_process().daemon:
        count = 0
    shares = [range(first, len(works), count) for first in range(count)]
    copies: list[BaseProcess] = []
    pipes: list[Connection] = []

    def wait() -> list[T]:
        answers: dict[int, T] = {}
        # There are fewer copies if one could not be made.
        for copy, pipe, share in zip(copies, pipes, shares, strict=False):
            with suppress(Exception):  # whatever it is, the rest of the share is done here
                for number in share:
                    if pipe.poll(HANGS_SEC):
                        answers[number] = pipe.recv()
                    else:
                        copy.kill()
        return [answers[n] if n in answers else work() for n, work in enumerate(works)]

    try:
        with suppress(OSError):  # no process or no memory for one
            for share in shares:
                _start([works[number] for number in share], copies, pipes)
        yield wait
    finally:
        for pipe in pipes:
            pipe.close()
        for copy in copies:
            copy.join(HANGS_SEC)
            copy.kill()


def _start(works: Works[T], copies: list[BaseProcess], pipes: list[Connection]) -> None:
    """Start a copy and add it and its pipe to the others. Raises OSError.

    Signals are held back while the copy starts. If another thread receives one, this process may
    end before it has noted the copy; the copy then ends because its pipe is closed. Signals stay
    held back in the copy. This does no harm, because the copy ends soon after this process.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    pipes.append(ours)
    copy = context.Process(target=_answer, args=(theirs, tuple(pipes), works), daemon=True)
    try:
        with stopping.held_back():
            copy.start()
            copies.append(copy)
    finally:
        theirs.close()  # otherwise the end of the copy would not be noticed


def _answer(pipe: Connection, inherited: Sequence[Connection], works: Works[T]) -> None:
    """Send what each of `works` returns, until one raises an error or nobody reads any longer."""
    for ends in inherited:  # otherwise the end of the reader would not be noticed
        ends.close()
    with suppress(Exception):
        for work in works:
            pipe.send(work())
