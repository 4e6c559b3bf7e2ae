"""What the cells of a suite will cost, before any weight is there.

    python -m frod_bench.plan profile=paper suite=paper20
    python -m frod_bench.plan profile=paper suite=smoke accelerator=h100-80gb format=json
    python -m frod_bench.plan profile=small task=rte,cola method=frod

Takes the overrides of `frod_bench.run`, and `accelerator=` and `format=table|json`. Reads neither
data nor weights, and nothing from the Hub; writes to standard output only. Exit status 2 for bad
input.
"""

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console

from frod_bench import settings
from frod_bench.cell import typed
from frod_bench.complaints import exit_statuses
from frod_bench.errors import InputError, did_you_mean
from frod_bench.grid import composer, expand, without_hydra
from frod_bench.plan.accelerators import accelerator_of
from frod_bench.plan.backbones import checkpoint_parameters, config_of
from frod_bench.plan.costs import Planner
from frod_bench.plan.readings import readings
from frod_bench.plan.show import PlanResult, as_json, show
from frod_bench.settings import Settings

METHODS = "full,lora,dora,frod,frozen"
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
        console = Console() if sys.stdout.isatty() else Console(width=200)
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
    """Cost every task of the suite with every method, or those that `overrides` name.

    Raises InputError for bad input, and Hydra's errors for overrides that do not compose.
    """
    planner = Planner(accelerator_of(accelerator), say)
    composed = list(settings_of(overrides))
    cells = [planner.cost(one) for one in composed]
    checkpoints = {
        backbone.name: checkpoint_parameters(config_of(backbone.hub_id, one.model_root))
        for one in composed
        for backbone in (one.backbones[one.task.family],)
    }
    title = f"Plan: {composed[0].profile.title}, suite {composed[0].suite['name']}"
    return PlanResult(title, planner.accelerator, cells, readings(cells, checkpoints))


def settings_of(overrides: Sequence[str]) -> Iterator[Settings]:
    """The composed settings of every cell, one seed each."""
    with composer() as compose_one:
        fixed = [word for word in overrides if not word.startswith(("task=", "method="))]
        tasks = compose_one(fixed).suite.tasks
        for line in expand({"task": ",".join(tasks), "method": METHODS}, overrides):
            config = without_hydra(compose_one(line))
            settings.validate(config)
            if config.head != "classify":
                raise InputError(
                    f"head={config.head}: can't be planned, its cost depends on how long the "
                    "options are. Plan head=classify, which costs about one option's share."
                )
            yield typed(settings.resolve(config))


def say(line: str) -> None:
    """To standard error: standard output is for the plan."""
    print(line, file=sys.stderr)


if __name__ == "__main__":
    with exit_statuses():
        main(sys.argv[1:])
