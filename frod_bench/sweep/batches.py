"""Batches of cells for the jobs of a scheduler, in arrays of jobs that ask for the same."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from frod_bench.cells.cell import Cell

FILLED = 0.5  # share of a job's wall time that its cells are estimated to take
LARGEST_ARRAY = 1000  # below Slurm's MaxArraySize, 1001 by default


class Needs(NamedTuple):
    """What a cell needs, by an estimate."""

    minutes: float
    memory_gb: float


Batch = tuple[Cell, ...]
Estimate = Callable[[Sequence[Cell], str], Mapping[Cell, Needs]]  # on an accelerator of that name


@dataclass(frozen=True)
class Array:
    """Jobs that ask for the same, each with a batch of cells that it runs one after another."""

    name: str
    batches: tuple[Batch, ...]
    minutes: int  # wall time of each job
    memory_gb: int


def arrays_of(
    cells: Iterable[Cell],
    needs: Mapping[Cell, Needs],
    job_minutes: int,
    last: Collection[Cell] = (),
) -> Iterable[Array]:
    """The cells by family and task, in batches that are estimated to take half of `job_minutes`.

    A cell that takes longer is alone in its job, and its array gets more time. Cells in `last` may
    end their job: they come last, and each of them is alone in its batch.
    """
    by_array = groupby(_sorted(cells, last), key=lambda cell: (cell in last, cell.family))
    for (_, family), group in by_array:
        batches: list[list[Cell]] = []
        minutes = math.inf
        for cell in group:
            minutes += needs[cell].minutes
            if minutes > FILLED * job_minutes or cell in last:
                batches.append([])
                minutes = needs[cell].minutes
            batches[-1].append(cell)
        for start in range(0, len(batches), LARGEST_ARRAY):
            yield _array(family, batches[start : start + LARGEST_ARRAY], needs, job_minutes)


def one_array(
    cells: Iterable[Cell],
    needs: Mapping[Cell, Needs],
    job_minutes: int,
    jobs: int,
    last: Collection[Cell] = (),
) -> Array:
    """All cells in at most `jobs` jobs, for an executor that starts all jobs at once."""
    ordered = _sorted(cells, last)
    size = math.ceil(len(ordered) / jobs)
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return _array("all", parts, needs, job_minutes)


def _sorted(cells: Iterable[Cell], last: Collection[Cell]) -> list[Cell]:
    """Neighbours share their data and backbone, and the methods of a seed their machine."""
    return sorted(
        cells, key=lambda cell: (cell in last, cell.family, cell.task, cell.seed, cell.method)
    )


def _array(
    name: str, batches: Sequence[Sequence[Cell]], needs: Mapping[Cell, Needs], job_minutes: int
) -> Array:
    longest = max(sum(needs[cell].minutes for cell in batch) for batch in batches)
    memory_gb = max(needs[cell].memory_gb for batch in batches for cell in batch)
    return Array(
        name,
        tuple(map(tuple, batches)),
        minutes=max(job_minutes, math.ceil(longest / FILLED)),
        memory_gb=math.ceil(memory_gb),
    )
