"""An object that lives in a process of its own and is asked over a pipe."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class RemoteError(RuntimeError):
    """The object raised, or its process died."""


class Remote:
    """`factory(*arguments)` in a spawned process; it ends at the first error.

    `factory` and all that goes over the pipe must be picklable.
    """

    def __init__(self, factory: Callable[..., Any], *arguments: Any) -> None:
        """Start the process; `ready` waits until the object is there."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, factory, arguments))
        self._process.daemon = True
        self._process.start()
        theirs.close()  # or the end of the process would not be noticed here

    def ready(self) -> None:
        """Wait for the object. Raises RemoteError where it could not be made."""
        self._answer()

    def call(self, name: str, *arguments: Any) -> Any:
        """What the object's method `name` returns. Raises RemoteError."""
        try:
            self._pipe.send((name, arguments))
        except OSError:
            raise self._death() from None
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()
        self._process.join()

    def _answer(self) -> Any:
        try:
            succeeded, value = self._pipe.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if not succeeded:
            raise RemoteError(value)
        return value

    def _death(self) -> RemoteError:
        self._process.join(5)
        return RemoteError(f"its process died with exit code {self._process.exitcode}")


def _serve(pipe: Connection, factory: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Answer until the pipe is closed, or something is raised."""
    try:
        served = factory(*arguments)
        pipe.send((True, None))
        while True:
            name, given = pipe.recv()
            pipe.send((True, getattr(served, name)(*given)))
    except (EOFError, KeyboardInterrupt, BrokenPipeError):
        return
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        pipe.send((False, f"{type(error).__name__}: {first_line}"))
