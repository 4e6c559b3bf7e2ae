"""What a scheduler is asked for: by the plan's estimate, of each kind of cell once."""

from typing import Any

import pytest

from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.plan import needs as module
from frod_bench.plan.cells import accelerator_of, grid_of
from frod_bench.plan.needs import Planner, needs, of_cost


@pytest.mark.usefixtures("capsys")
def test_cells_that_differ_in_seed_and_rates_are_measured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[str] = []
    cost = module.Planner.cost

    def counted(self: Any, settings: Any, *rest: Any) -> Any:
        measured.append(f"{settings.task.name} {settings.method.name}")
        return cost(self, settings, *rest)

    monkeypatch.setattr(module.Planner, "cost", counted)
    grid = ["task=rte", "method=frozen,lora", "seed=0,1", "rate_factors.all=1,2"]
    _, cells = compose_cells(grid)
    found = needs(cells, "cpu-2")
    assert sorted(measured) == ["rte frozen", "rte lora"]
    assert set(found) == set(cells)
    by_method = {cell.method: found[cell] for cell in cells}
    assert all(1 < one.minutes < 30 for one in by_method.values())
    assert all(module.PROCESS_GB < one.memory_gb < 4 for one in by_method.values())
    assert by_method["lora"].memory_gb > by_method["frozen"].memory_gb


def test_on_a_gpu_the_machine_needs_room_for_the_weights() -> None:
    (planned,) = grid_of(["profile=paper", "task=boolq", "method=frozen"]).cells
    accelerator = accelerator_of("a100-80gb")
    found = of_cost(Planner(accelerator, lambda _: None).cost(planned.settings), accelerator)
    assert found.memory_gb > module.GPU_PROCESS_GB + 2 * 4 * 6.6
    assert found.minutes > 5


def test_an_unknown_accelerator_is_refused() -> None:
    with pytest.raises(InputError, match="accelerator=abacus: is unknown"):
        needs([], "abacus")
