"""Work in copies of this process, which have all that it has read without being sent it."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")


@contextmanager
def in_copies(works: Sequence[Callable[[], T]]) -> Iterator[Callable[[], list[T]]]:
    """Do each of `works` in a copy of this process while the body runs. What is yielded waits for
    them and returns what they returned, which is pickled, or raises the first error of one.

    One work alone, and any on another system than Linux, whose libraries may not survive a copy, is
    done in this process, when it is waited for. The context ends when all copies have ended.
    """
    if len(works) == 1 or sys.platform != "linux":
        yield lambda: [work() for work in works]
        return
    context = multiprocessing.get_context("fork")
    copies, pipes = [], []
    try:
        for work in works:
            ours, theirs = context.Pipe(duplex=False)
            copy = context.Process(target=_answer, args=(theirs, work), daemon=True)
            copy.start()
            theirs.close()  # otherwise the end of the copy would not be noticed
            copies.append(copy)
            pipes.append(ours)

        def wait() -> list[T]:
            return [_answer_of(pipe) for pipe in pipes]

        yield wait
    finally:
        for pipe in pipes:
            pipe.close()
        for copy in copies:
            copy.join()


def _answer(pipe: Connection, work: Callable[[], T]) -> None:
    answer: tuple[bool, object]
    try:
        answer = True, work()
    except BaseException as error:  # the first process raises it
        answer = False, error
    with suppress(BrokenPipeError):  # nobody waits any longer
        pipe.send(answer)


def _answer_of(pipe: Connection) -> Any:
    try:
        succeeded, answer = pipe.recv()
    except EOFError:
        raise RuntimeError(
            "A copy of this process ended without an answer: it was killed, e.g. for want of "
            "memory. Run the command again, beside fewer programs."
        ) from None
    if not succeeded:
        raise answer
    return answer
