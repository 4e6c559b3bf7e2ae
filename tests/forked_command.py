"""A command in a process of its own, forked from one that has imported all: `Command`."""

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import TextIO

from frod_bench.common import stopping

FORK = multiprocessing.get_context("fork")


def run_command(
    words: tuple[str, ...], environment: Mapping[str, str], out: Connection, err: Connection
) -> None:
    """Do what `python -m words` does, and write where the connections lead."""
    os.environ.update(environment)
    # A sweep that was the first to fork from that process started it with these signals blocked.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping.SIGNALS)
    for number, connection in ((1, out), (2, err)):
        os.dup2(connection.fileno(), number)
    # Such a process is the last to import torch: the workers that it starts have it, too.
    multiprocessing.get_context = lambda method=None: FORK  # type: ignore[assignment]
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = list(words)
    runpy.run_module(words[0], run_name="__main__")


class Command:
    """`python -m words`, running; its `out` and `err` end when it and its workers have ended.

    `environment` are variables that it has besides those of the process that it is forked from. For
    tests with the fixture `forked`.
    """

    def __init__(self, *words: str, environment: Mapping[str, str] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        given = (words, environment or {}, *(writer for _, writer in pipes))
        self.process = context.Process(target=run_command, args=given)
        self.process.start()
        self.out, self.err = (self._text_of(*pipe) for pipe in pipes)

    @staticmethod
    def _text_of(reader: Connection, writer: Connection) -> TextIO:
        writer.close()
        with reader:
            return os.fdopen(os.dup(reader.fileno()))

    def ended(self) -> int | None:
        """Wait for its end; its exit status."""
        self.process.join(120)
        return self.process.exitcode
