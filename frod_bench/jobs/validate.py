"""Check the input of cells without training them: everything up to the first step.

Each task's rows are read, its backbone is loaded and the method is applied, so that a column, an
option, a target module or a learning rate that does not fit is found in seconds. Writes nothing.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.arguments import parse
from frod_bench.common.errors import InputError
from frod_bench.config.settings import Settings
from frod_bench.sweep.launch import check_hub


def distinct(cells: Sequence[Cell]) -> list[Cell]:
    """The first cell of each combination of task, head and method settings.

    Cells that differ in seed or learning rates read the same input.
    """
    found: dict[str, Cell] = {}
    for cell in cells:
        method = {k: v for k, v in cell.config["method"].items() if k != "learning_rates"}
        found.setdefault(f"{cell.task} {cell.config['head']} {method}", cell)
    return list(found.values())


def check_methods(cells: Iterable[Cell]) -> None:
    """Raise InputError, as a run would, if a method does not fit the backbone of a cell.

    Each backbone is built once per head and method, without values. Not checked: Python functions,
    which only a run executes, methods that need the values of weights, and backbones whose
    configuration is not on this machine.
    """
    distinct_settings: dict[str, Settings] = {}
    for settings in (cell.settings for cell in cells if cell.settings.method.kind != "python"):
        rates = dict.fromkeys(settings.method.learning_rates, 0.0)
        method = replace(settings.method, learning_rates=rates)
        distinct_settings[f"{settings.backbone} {settings.head} {method}"] = settings
    if not distinct_settings:
        return
    from frod_bench.models.published import config_of  # import torch
    from frod_bench.plan.shapes import prepare_shapes

    for settings in distinct_settings.values():
        num_labels = None if settings.head == "rank" else settings.task.num_labels
        try:
            config = config_of(settings.backbone.hub_id, settings.model_root)
        except InputError:
            continue
        try:
            prepare_shapes(config, settings.backbone, settings.method, num_labels)
        except InputError as error:
            if not isinstance(error.__cause__, NotImplementedError):
                raise
        except RuntimeError:  # torch's, of a tensor without values
            continue


def check(cell: Cell) -> str:
    """Describe a cell's input in a line. Raises InputError if it does not fit."""
    from frod_bench.training.runner import make_ready  # imports torch

    ready = make_ready(cell)
    counts, params = ready.data.counts, ready.prepared.params
    groups = ", ".join(ready.prepared.groups)
    return (
        f"{cell.label}: ok; {len(ready.data.train)} rows of train, {len(ready.data.validation)} of "
        f"validation, {sum(len(split) for split in ready.data.tests.values())} of test"
        + (f", {counts.sequences_cut} cut to length" if counts.sequences_cut else "")
        + f"; trains {params['trainable']:,} parameters ({groups})"
    )


def start(words: Sequence[str]) -> None:
    """Check every distinct cell of the grid that `words` name; prints a line each.

    Raises InputError, which names all of them, if some cannot run.
    """
    _, cells = compose_cells(parse("validate", words).overrides)
    check_hub(cells)
    checked, wrong = distinct(cells), []
    for cell in checked:
        try:
            print(check(cell))
        except Exception as error:  # of any type: a damaged file raises its reader's own
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            print(f"{cell.label}: {kind}{error}", file=sys.stderr)
            wrong.append(cell.label)
    if wrong:
        raise InputError(f"{len(wrong)} of {len(checked)} cannot run: {', '.join(wrong)}.")
