"""An object in a process of its own, which is called through a pipe.

Pools of the standard library would do, but none reports the exit status of a process that died.
"""

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any


class RemoteError(RuntimeError):
    """The object raised an error, or its process died."""


class Remote:
    """`factory(*arguments)` in a spawned process, which ends at the first error."""

    def __init__(self, factory: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, factory, arguments)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()  # otherwise the end of the process would not be noticed

    def ready(self) -> Any:
        """Wait for an answer, at first for the object. Raises RemoteError."""
        try:
            succeeded, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            raise RemoteError(f"its process died with exit code {code}") from None
        if not succeeded:
            raise RemoteError(value)
        return value

    def call(self, name: str, *arguments: Any) -> Any:
        """Return what the object's method `name` returns. Raises RemoteError."""
        with suppress(OSError):  # if the process died, `ready` reports it
            self._pipe.send((name, arguments))
        return self.ready()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection, factory: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Answer until the pipe is closed or something raises."""
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
