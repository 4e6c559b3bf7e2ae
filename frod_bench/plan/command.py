"""What the cells of a suite will cost, before any weight is there.

    python -m frod_bench.plan profile=paper suite=paper20
    python -m frod_bench.plan profile=paper suite=smoke accelerator=h100-80gb format=json
    python -m frod_bench.plan profile=small task=rte,cola method=frod
    python -m frod_bench.plan profile=paper experiment=matched_budget

Takes the overrides of `frod_bench.run`, and `accelerator=` and `format=table|json`. Reads neither
data nor weights, and nothing from the Hub; writes to standard output only. Exit status 2 for bad
input.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from huggingface_hub import constants

from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.terminal import plain_console
from frod_bench.plan.accelerators import accelerator_of
from frod_bench.plan.cells import grid_of
from frod_bench.plan.costs import Planner
from frod_bench.plan.disk import downloads_of, parameters_of
from frod_bench.plan.readings import readings
from frod_bench.plan.show import PlanResult, as_json, show

FORMATS = ("table", "json")
OWN = {"accelerator": "a100-80gb", "format": "table"}  # what is not an override, and its default


def main(words: Sequence[str]) -> None:
    """Plan, and print. Raises InputError for bad input, before anything is printed."""
    own, overrides = split(words)
    if own["format"] not in FORMATS:
        hint = did_you_mean(own["format"], FORMATS)
        raise InputError(f"format={own['format']}: is unknown.{hint}")
    result = plan(overrides, own["accelerator"])
    if own["format"] == "json":
        print(as_json(result))
    else:
        console = plain_console(width=None if sys.stdout.isatty() else 200)
        show(result, console)


def split(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Our own keys, and the overrides. Raises InputError for a word that is neither."""
    own, overrides = dict(OWN), []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or word.startswith("-"):
            raise InputError(f"{word}: is no key=value, such as profile=paper.")
        if key in OWN:
            own[key] = value
        else:
            overrides.append(word)
    return own, overrides


def plan(overrides: Sequence[str], accelerator: str) -> PlanResult:
    """Cost every task of the suite with every method, or those that `overrides` name, or all cells
    of the experiment that they name.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    planner = Planner(accelerator_of(accelerator), say)
    with offline():
        grid = grid_of(overrides)
        cells = [planner.cost(one.settings, one.variant) for one in grid.cells]
        downloads = downloads_of(one.settings for one in grid.cells)
    first = grid.cells[0].settings
    return PlanResult(
        grid=grid,
        accelerator=planner.accelerator,
        cells=cells,
        readings=readings(cells, parameters_of(downloads)),
        downloads=downloads,
        saves=first.save == "adapter",
        stand_in=first.profile.stand_in,
    )


@contextmanager
def offline() -> Iterator[None]:
    """The Hub is not asked, and so not waited for where it cannot be reached."""
    asked = constants.HF_HUB_OFFLINE
    try:
        constants.HF_HUB_OFFLINE = True
        yield
    finally:
        constants.HF_HUB_OFFLINE = asked


def say(line: str) -> None:
    """To standard error: standard output is for the plan."""
    print(line, file=sys.stderr)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        main(words)
