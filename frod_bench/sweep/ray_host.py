"""What a Ray actor holds: a worker process of the pool, the same as on a single machine.

So signals, the end of a process and time limits have the same effects on a cluster.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from frod_bench.cells.cell import Cell
from frod_bench.common.errors import InputError
from frod_bench.sweep.workers import LocalWorker, Work

# Variables of the launcher that decide what a run reads and writes, and how. Those of the machine
# (paths of programs, devices) are the cluster's.
PASSED_ON = ("FROD_BENCH_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "WANDB_", "OMP_", "MKL_")


class Ended(NamedTuple):
    """The last message of a worker."""

    code: int | None
    in_words: str


@dataclass(frozen=True)
class Setting:
    """Where a worker runs."""

    folder: Path  # that relative paths begin at
    variables: Mapping[str, str]

    @classmethod
    def here(cls) -> "Setting":
        """That of this process."""
        passed_on = {name: v for name, v in os.environ.items() if name.startswith(PASSED_ON)}
        return cls(Path.cwd(), passed_on)


class Host:
    """The methods of the actor; it runs each in its own thread."""

    def __init__(self, setting: Setting, work: Work) -> None:
        if not setting.folder.is_dir():
            raise InputError(
                f"{setting.folder}: does not exist on {socket.gethostname()}. All machines of the "
                "cluster must see the folder that the command is started in, and results_root."
            )
        os.chdir(setting.folder)
        self._worker = LocalWorker(work, setting.variables)

    def receive(self) -> Any:
        """Wait for what the worker sends next; Ended if it has ended."""
        try:
            return self._worker.receive()
        except (EOFError, OSError):
            return Ended(*self._worker.ended(None))

    def send(self, cell: Cell) -> None:
        """Give it a cell; if it has ended, `receive` says so."""
        try:
            self._worker.send(cell)
        except OSError:
            return

    def stop(self) -> None:
        """Ask it to stop with a checkpoint."""
        self._worker.stop()
