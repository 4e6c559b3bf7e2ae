"""The engine that runs the cells of a grid: `launcher=`. Every command that sweeps asks here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from frod_bench.cells.cell import Cell
from frod_bench.sweep import allotment
from frod_bench.sweep.batches import Estimate
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.pool import run_cells
from frod_bench.sweep.workers import Environment, Work


class Engine(Protocol):
    """Something that runs cells; what became of one is decided by its record."""

    @property
    def workers(self) -> int | None:
        """How many cells run at a time, at most; None if that is not known."""

    def run(self, cells: Sequence[Cell], work: Work, display: SweepDisplay) -> list[Finished]:
        """Do `work` on every cell; return the cells in the order of finishing."""


@dataclass(frozen=True)
class LocalEngine:
    """Worker processes on this machine."""

    environments: Sequence[Environment]

    @property
    def workers(self) -> int:
        """As `Engine.workers`."""
        return len(self.environments)

    def run(self, cells: Sequence[Cell], work: Work, display: SweepDisplay) -> list[Finished]:
        """As `Engine.run`, and as `pool.run_cells`."""
        return run_cells(cells, work, self.environments, display)


@contextmanager
def opened(
    launcher: Any, runtime: Any, cells: Sequence[Cell], estimate: Estimate | None = None
) -> Iterator[Engine]:
    """The engine that `launcher` names, ready to run `cells`; nothing is started for none. Raises
    InputError if it is not installed or cannot be reached.
    """
    if not cells:
        yield LocalEngine(())
    elif launcher.name == "ray":
        from frod_bench.sweep import ray_engine

        with ray_engine.connected(launcher, runtime) as on_ray:
            yield on_ray
    elif launcher.name == "submitit":
        from frod_bench.sweep import submitit_engine

        yield submitit_engine.opened(launcher, runtime, estimate)
    else:
        yield LocalEngine(allotment.workers(runtime.jobs, runtime.device, runtime.threads))


def queued_line(launcher: Any, cells: Sequence[Cell]) -> str | None:
    """How many of `cells` wait or run in jobs of earlier commands; None if none do."""
    if launcher.name != "submitit" or not cells:
        return None
    from frod_bench.sweep import submitit_engine

    return submitit_engine.queued_line(cells)
