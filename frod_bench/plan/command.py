"""`frod-bench plan`: estimate what cells cost before anything runs.

Takes the overrides of `frod-bench run`, `accelerator=` and `format=table|json`. Reads neither data
nor weights, asks the Hub for nothing, and writes to standard output only. Exit status 2 for bad
input.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.terminal import plain_console
from frod_bench.plan.accelerators import accelerator_of
from frod_bench.plan.cells import grid_of

if TYPE_CHECKING:  # imported only when the input is known to be good, because it imports torch
    from frod_bench.plan.show import PlanResult

DEFAULT_ACCELERATOR = "a100-80gb"


def main(words: Sequence[str]) -> None:
    """Plan, and print. Raises InputError for bad input, before anything is printed."""
    arguments = parse("plan", words)
    accelerator = arguments.values.get("accelerator", DEFAULT_ACCELERATOR)
    result = plan(arguments.overrides, accelerator)

    from frod_bench.plan.show import as_json, show

    if arguments.values.get("format") == "json":
        print(as_json(result))
    else:
        show(result, plain_console(width=None if sys.stdout.isatty() else 200))


def plan(overrides: Sequence[str], accelerator_name: str) -> "PlanResult":
    """Estimate the cells of the experiment in `overrides`, or the suite's tasks with all methods.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    accelerator = accelerator_of(accelerator_name)
    with _offline():
        grid = grid_of(overrides)

        from frod_bench.plan.costs import Planner
        from frod_bench.plan.disk import downloads_of
        from frod_bench.plan.readings import readings
        from frod_bench.plan.show import PlanResult
        from frod_bench.report.rules import load_rules

        planner = Planner(accelerator, lambda line: print(line, file=sys.stderr))
        cells = [planner.cost(one.settings, one.variant) for one in grid.cells]
        downloads = downloads_of(one.settings for one in grid.cells)
    first, rule = grid.cells[0].settings, load_rules().parameters
    return PlanResult(
        grid=grid,
        accelerator=accelerator,
        cells=cells,
        rule=rule,
        readings=readings(cells, {one.backbone: one.parameters for one in downloads}, rule),
        downloads=downloads,
        saves=first.save == "adapter",
        is_synthetic=first.profile.stand_in,
    )


@contextmanager
def _offline() -> Iterator[None]:
    """Keep transformers from asking the Hub, and so from waiting if it cannot be reached."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = True
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def start(words: Sequence[str]) -> None:
    """Run the command line and exit with its status."""
    with exit_statuses():
        main(words)
