"""`frod-bench analyze landscape|spectrum|expressible|curvature`: analyses of models.

Each reads the cells of its own experiment, unless the overrides name another (for an analysis of
trained models, one that keeps trained values), and writes tables and a figure to a folder of the
experiment's name beside the records. Missing runs are reported on standard error, with the command
that makes them.
"""

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from frod_bench.cells.cell import Cell, find_missing
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common import atomic
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import check_writable
from frod_bench.records import store

if TYPE_CHECKING:  # imported only when there is something to draw
    import pandas as pd

    from frod_bench.report.figures import Drawing
    from frod_bench.report.table import Table

EXPERIMENTS = {
    "landscape": "landscape",
    "spectrum": "update_spectrum",
    "expressible": "expressible",
    "curvature": "curvature",
}
UNTRAINED = ("curvature",)  # analyses of the start, which need no run
Say = Callable[[str], None]  # reports progress


@dataclass(frozen=True)
class Context:
    """What every table and figure of an analysis needs."""

    title: str  # the profile's
    caption: str  # sentences on profile and protocol
    out_dir: Path  # has the folders `tables` and `figures`
    figure_style: str = "screen"

    def write(
        self,
        name: str,
        table: "Table",
        numbers: "pd.DataFrame",
        others: Mapping[str, "pd.DataFrame"],
        drawings: Mapping[str, "Drawing"],
    ) -> list[Path]:
        """Write a table and its numbers, the `others` as CSV, and figures; returns the paths."""
        from frod_bench.report.figures import save
        from frod_bench.report.table import write_table

        paths = write_table(table, numbers, self.out_dir / "tables", name)
        for stem, frame in others.items():
            paths.append(self.out_dir / "tables" / f"{stem}.csv")
            text = frame.to_csv(index=False, float_format="%.10g", lineterminator="\n")
            atomic.write_text(paths[-1], text)
        return paths + save(drawings, self.out_dir / "figures", self.figure_style)


@dataclass(frozen=True)
class Kept:
    """The cells of an analysis."""

    cells: Sequence[Cell]  # those with trained values; if none are needed, all
    lacking: Sequence[str]  # one line for each other cell, and how to run those that are missing
    context: Context


def kept_cells(overrides: Sequence[str]) -> Kept:
    """Return the cells of the overrides' grid that have trained values.

    Raises InputError if the experiment keeps none, or no cell of it has any yet.
    """
    config, cells = compose_cells(overrides)
    experiment = config.experiment
    if experiment is None or config.save != "adapter":
        name = None if experiment is None else experiment.name
        raise InputError(
            f"experiment={name}, save={config.save}: keeps no trained models, which this analysis "
            "reads. Name an experiment with save: adapter, e.g. update_spectrum."
        )
    refuse_pooled(cells, lambda cell: (cell.task, cell.method, cell.seed), "task, method and seed")
    found, usable = find_missing(cells), []
    missing, unreadable = set(found.missing), dict(found.unreadable)
    lacking = [f"{cell.label}: no trained values" for cell in cells if cell in missing]
    lacking += [f"{cell.label}: {reason}" for cell, reason in found.unreadable]
    for cell in cells:
        if cell in missing or cell in unreadable:
            continue
        if store.load(cell.record_path)["status"] == "ok":
            usable.append(cell)
        else:
            lacking.append(f"{cell.label}: diverged, and has no trained model")
    if missing:
        command = f"python -m frod_bench.run -m {shlex.join(overrides)}"
        lacking.append(f"{len(missing)} of {len(cells)} runs are missing. Run {command}")
    results_dir = cells[0].results_dir
    if not usable:
        raise InputError(
            f"experiment={experiment.name}: none of its {len(cells)} runs has a trained model "
            f"under {results_dir}. {lacking[-1]}"
        )
    return Kept(usable, lacking, context_of(config, usable))


def start_cells(overrides: Sequence[str]) -> Kept:
    """Return the cells of the overrides' grid, whether or not they ran. Raises InputError if it is
    not an experiment's.
    """
    config, cells = compose_cells(overrides)
    if config.experiment is None:
        raise InputError("experiment=none: has no name for the folder of an analysis. Name one.")
    words = "task, head, method with its axes, and seed"
    refuse_pooled(cells, lambda c: (c.task, c.settings.head, c.variant, c.seed), words)
    return Kept(cells, [], context_of(config, cells))


def refuse_pooled(
    cells: Sequence[Cell], known_by: Callable[[Cell], tuple[object, ...]], words: str
) -> None:
    """Raise InputError if an analysis cannot tell two cells apart, and would pool their numbers."""
    counts = Counter(map(known_by, cells))
    name, number = counts.most_common(1)[0]
    if number > 1:
        raise InputError(
            f"{'/'.join(map(str, name))}: is in the grid {number} times, at other settings, and "
            f"this analysis knows a run by {words}. Name one value of every other key."
        )


def context_of(config: DictConfig, cells: Sequence[Cell]) -> Context:
    """Return the context of an experiment's cells."""
    profile = config.profile
    protocols = ", ".join(dict.fromkeys(cell.protocol for cell in cells))
    caption = f"Profile {profile.name}, protocol {protocols}."
    if profile.stand_in:
        caption += " Data and backbones are synthetic: these are not the benchmarks' numbers."
    out_dir = cells[0].results_dir / str(config.experiment.name)
    return Context(str(profile.title), caption, out_dir, str(config.figures.style))


def main(words: Sequence[str]) -> None:
    """Analyze, and print the paths of the files. Raises InputError for bad input."""
    arguments = parse("analyze", words)
    if arguments.action is None:
        raise InputError(f"No analysis is named.{did_you_mean('', EXPERIMENTS)}")
    overrides = arguments.overrides
    if not any(override.startswith("experiment=") for override in overrides):
        overrides = [f"experiment={EXPERIMENTS[arguments.action]}", *overrides]
    find = start_cells if arguments.action in UNTRAINED else kept_cells
    kept, say = find(overrides), partial(print, file=sys.stderr, flush=True)
    check_writable(kept.context.out_dir, value=str(kept.cells[0].settings.results_root))
    for line in kept.lacking:
        say(line)
    if kept.cells[0].settings.plan_only:
        say(f"{arguments.action} would read {len(kept.cells)} cells.")
        return
    # Imported only now: torch and matplotlib are not needed to report what is missing.
    analysis = import_module(f"frod_bench.analyses.{arguments.action}")
    for path in analysis.analyze(kept.cells, kept.context, say):
        print(path)


def start(words: Sequence[str]) -> None:
    """Run the command line and exit with its status."""
    with exit_statuses():
        main(words)
