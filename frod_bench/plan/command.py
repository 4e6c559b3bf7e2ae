"""`frod-bench plan`: estimate what cells cost before anything runs.

Takes the overrides of `frod-bench run`, `accelerator=` and `format=table|json`. Reads neither data
nor weights, asks the Hub for nothing, and writes to standard output only.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.terminal import plain_console
from frod_bench.plan.cells import accelerator_of, grid_of, without_hub

if TYPE_CHECKING:  # imported only when the input is known to be good, because it imports torch
    from frod_bench.plan.show import PlanResult

DEFAULT_ACCELERATOR = "a100-80gb"


def main(words: Sequence[str]) -> None:
    """Plan, and print. Raises InputError for bad input, before anything is printed."""
    arguments = parse("plan", words)
    result = plan(arguments.overrides, arguments.values.get("accelerator", DEFAULT_ACCELERATOR))

    from frod_bench.plan.show import as_json, show

    if arguments.values.get("format") == "json":
        print(as_json(result))
    else:
        show(result, plain_console(width=None if sys.stdout.isatty() else 200))


def plan(overrides: Sequence[str], accelerator_name: str) -> "PlanResult":
    """Estimate the cells of the overrides; raises as `grid_of` and `Planner.cost` do."""
    accelerator = accelerator_of(accelerator_name)
    with without_hub():
        grid = grid_of(overrides)

        from frod_bench.plan.costs import Planner, download_of
        from frod_bench.plan.show import PlanResult
        from frod_bench.report.rules import load_rules

        planner = Planner(accelerator, lambda line: print(line, file=sys.stderr))
        cells = [planner.cost(one.settings, one.variant) for one in grid.cells]
        by_backbone = {one.settings.backbone.hub_id: one.settings for one in grid.cells}
        downloads = [download_of(one.backbone, one.model_root) for one in by_backbone.values()]
    return PlanResult(grid, accelerator, cells, downloads, load_rules().parameters)


def start(words: Sequence[str]) -> None:
    """Run the command line and exit with its status."""
    with exit_statuses(resumes=False):
        main(words)
