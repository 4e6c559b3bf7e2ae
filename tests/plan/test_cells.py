"""Which cells are planned: those of the overrides, or of an experiment's own grid."""

import pytest

from frod_bench.common.errors import InputError
from frod_bench.plan.cells import Grid, grid_of


def names(grid: Grid) -> list[tuple[str, str, str]]:
    return [(c.settings.task.name, c.settings.method.name, c.variant) for c in grid.cells]


def test_the_title_names_the_tasks_that_are_planned() -> None:
    one = grid_of(["profile=paper", "task=boolq", "method=frod"])
    assert one.title.endswith("), task boolq")
    two = grid_of(["task=rte,boolq", "method=frod"])
    assert two.title.endswith("), tasks rte, boolq")
    all_of_them = grid_of(["suite=smoke", "method=frozen"])
    assert all_of_them.title.endswith("), suite smoke")


def test_the_papers_methods_are_planned_if_none_is_named() -> None:
    methods = ["full", "lora", "dora", "frod", "frozen"]
    assert names(grid_of(["task=rte"])) == [("rte", method, "") for method in methods]


def test_an_experiment_has_its_own_grid_each_cell_once() -> None:
    """Full fine-tuning and the frozen head are the same cells under either budget."""
    grid = grid_of(["experiment=matched_budget", "task=rte"])
    methods = ["full", "lora", "lora_matched", "dora", "dora_matched", "frod", "frozen"]
    assert sorted(names(grid)) == sorted(("rte", method, "") for method in methods)
    assert (grid.repeats, grid.repeated) == (3, ["seed"])
    assert grid.title.endswith("experiment matched_budget, task rte")


def test_an_experiments_axes_tell_its_cells_apart_and_rates_do_not() -> None:
    grid = grid_of(["experiment=ablation", "task=rte"])
    rates = ["0", "0.01", "0.02", "0.1"]
    assert names(grid) == [("rte", "frod", f"method.sparse_rate={rate}") for rate in rates]
    assert grid.repeats == 20
    assert grid.repeated == ["rate_factors.lambda", "rate_factors.rotation"]


def test_seeds_are_runs_of_one_cell() -> None:
    grid = grid_of(["task=rte", "method=lora", "seed=range(4)"])
    assert names(grid) == [("rte", "lora", "")]
    assert (grid.repeats, grid.repeated) == (4, ["seed"])


def test_heads_follow_from_the_task() -> None:
    grid = grid_of(["task=sst2,boolq", "method=lora", "head=classify,auto"])
    heads = [(c.settings.task.name, c.settings.head, c.variant) for c in grid.cells]
    assert heads == [("sst2", "classify", ""), ("boolq", "classify", ""), ("boolq", "rank", "")]


def test_a_list_of_tasks_is_refused() -> None:
    with pytest.raises(InputError, match=r"task=\[rte,cola\]: is a list"):
        grid_of(["task=[rte,cola]"])
