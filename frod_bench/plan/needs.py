"""What a scheduler is asked for, from the estimates of `frod-bench plan`: minutes and memory."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.plan.cells import Accelerator, accelerator_of, without_hub
from frod_bench.plan.costs import CellCost, Planner
from frod_bench.sweep.batches import Needs

SETUP_MINUTES = 1.0  # of each run: rows, weights, decomposition, which the plan does not count
# Besides tensors: Python and the libraries, with a context of the GPU and the pages it pins.
PROCESS_GB, GPU_PROCESS_GB = 2.0, 6.0
MARGIN = 1.25  # of memory, for what the allocator keeps
LOADED = 2.0  # times the weights that a machine holds until they are on the GPU


def needs(cells: Sequence[Cell], accelerator_name: str) -> Mapping[Cell, Needs]:
    """What each cell needs on an accelerator; one of all that differ in seed and learning rates is
    measured. Raises InputError if a cell cannot be estimated.
    """
    accelerator = accelerator_of(accelerator_name)
    found: dict[str, Needs] = {}
    by_cell = {}
    with without_hub():
        planner = Planner(accelerator, lambda line: print(line, file=sys.stderr))
        for cell in cells:
            settings = _without_rates(cell.settings)
            what = (settings.task, settings.head, settings.method, settings.trainer)
            key = str((*what, settings.backbone, settings.protocol))
            if key not in found:
                found[key] = of_cost(planner.cost(settings), accelerator)
            by_cell[cell] = found[key]
    return by_cell


def of_cost(cost: CellCost, accelerator: Accelerator) -> Needs:
    """Minutes and memory of the machine (not of its GPU) for one run."""
    if accelerator.on_cpu:
        memory_gb = PROCESS_GB + MARGIN * cost.step.peak_bytes / 1e9
    else:
        memory_gb = GPU_PROCESS_GB + LOADED * cost.step.weight_bytes / 1e9
    return Needs(SETUP_MINUTES + 60 * cost.hours, memory_gb)


def _without_rates(settings: Settings) -> Settings:
    """The settings with learning rates that no cost depends on."""
    method = settings.method
    rates = dict.fromkeys(method.learning_rates, 0.0)
    return replace(settings, method=replace(method, learning_rates=rates))
