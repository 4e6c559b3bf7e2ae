"""Batches for jobs: neighbours together, filled by estimates, in arrays that ask for the same."""

from types import SimpleNamespace
from typing import Any

from frod_bench.sweep import batches
from frod_bench.sweep.batches import Needs, arrays_of, one_array


class Planned(SimpleNamespace):
    """A cell, with its own hash."""

    __hash__ = object.__hash__


def cell(family: str, task: str, seed: int = 0, method: str = "frod") -> Any:
    return Planned(family=family, task=task, seed=seed, method=method)


def tasks_of(array: batches.Array) -> list[str]:
    return [" ".join(f"{one.task}{one.seed}" for one in batch) for batch in array.batches]


def test_cells_are_sorted_by_family_and_task_and_fill_half_of_a_job() -> None:
    cells = [cell("nlu", "rte", 1), cell("vision", "dtd"), cell("nlu", "cola"), cell("nlu", "rte")]
    needs = dict.fromkeys(cells, Needs(minutes=10, memory_gb=3.2))
    nlu, vision = arrays_of(cells, needs, job_minutes=40)
    assert (nlu.name, tasks_of(nlu)) == ("nlu", ["cola0 rte0", "rte1"])
    assert (vision.name, tasks_of(vision)) == ("vision", ["dtd0"])
    assert {(array.minutes, array.memory_gb) for array in (nlu, vision)} == {(40, 4)}


def test_cells_in_which_a_job_ended_hold_no_others_up() -> None:
    cells = [cell("nlu", task) for task in ("cola", "mrpc", "rte")] + [cell("vision", "dtd")]
    needs = dict.fromkeys(cells, Needs(minutes=1, memory_gb=1.0))
    arrays = list(arrays_of(cells, needs, 40, last=set(cells[:2])))
    assert [tasks_of(array) for array in arrays] == [["rte0"], ["dtd0"], ["cola0", "mrpc0"]]
    (batch,) = one_array(cells, needs, 40, jobs=1, last={cells[0]}).batches
    assert [one.task for one in batch] == ["mrpc", "rte", "dtd", "cola"]


def test_a_long_cell_has_a_job_of_its_own_and_its_array_more_time() -> None:
    short, long = cell("nlu", "cola"), cell("nlu", "rte")
    needs = {short: Needs(5, 2.0), long: Needs(90.5, 7.5)}
    (array,) = arrays_of([short, long], needs, job_minutes=60)
    assert tasks_of(array) == ["cola0", "rte0"]
    assert (array.minutes, array.memory_gb) == (181, 8)


def test_no_array_is_larger_than_slurm_allows(monkeypatch: Any) -> None:
    monkeypatch.setattr(batches, "LARGEST_ARRAY", 3)
    cells = [cell("nlu", "rte", seed) for seed in range(7)]
    needs = dict.fromkeys(cells, Needs(30, 1.0))
    arrays = list(arrays_of(cells, needs, job_minutes=60))
    assert [len(array.batches) for array in arrays] == [3, 3, 1]
    assert [one for array in arrays for batch in array.batches for one in batch] == cells


def test_an_executor_that_starts_all_jobs_at_once_gets_as_many_as_may_run() -> None:
    cells = [cell("nlu", "rte", seed) for seed in range(3)] + [cell("vision", "dtd", 0)]
    needs = dict.fromkeys(cells, Needs(50, 1.0))
    array = one_array(cells, needs, job_minutes=60, jobs=3)
    assert tasks_of(array) == ["rte0 rte1", "rte2 dtd0"]
    assert array.minutes == 200
    assert len(one_array(cells, needs, 60, jobs=9).batches) == 4
