"""The kinds of figure that an experiment may name, each a module with `numbers`, `table`, `draw`.

`numbers` makes a long frame of `Collected.frame`, `table` and `draw` show it; `csv`, if a module
has one, is how the frame is written. `precision` draws nothing.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.report.analyses import budget_curve, heat_map, precision, rate_curve, seed_spread
from frod_bench.report.analyses.about import About
from frod_bench.report.figures import Drawing
from frod_bench.report.names import csv_frame
from frod_bench.report.table import write_table

CONVERGENCE = "convergence"  # drawn for every experiment that names no other
KINDS = {
    "heat_map": heat_map,
    "seed_spread": seed_spread,
    "budget_curve": budget_curve,
    "rate_curve": rate_curve,
    "precision": precision,
}


def analyse(figures: Iterable[str], frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The numbers behind each of `figures` except convergence, by name.

    Raises InputError for an unknown kind, or if the runs lack what it is drawn over.
    """
    names = list(figures)
    for name in names:
        if name not in {CONVERGENCE, *KINDS}:
            raise InputError(
                f"experiment.figures: {name!r} is not a kind of figure."
                + did_you_mean(name, {CONVERGENCE, *KINDS})
            )
    return {name: KINDS[name].numbers(frame) for name in names if name in KINDS}


def csv_of(name: str, numbers: pd.DataFrame) -> pd.DataFrame:
    """The numbers of a kind of figure as they are written."""
    written: pd.DataFrame = getattr(KINDS[name], "csv", csv_frame)(numbers)
    return written


def write_numbers(found: Mapping[str, pd.DataFrame], about: About, out_dir: Path) -> list[Path]:
    """Write what `analyse` found as tables, each under its figure's name; returns the paths."""
    paths: list[Path] = []
    for name, numbers in found.items():
        table = KINDS[name].table(numbers, about)
        paths += write_table(table, csv_of(name, numbers), out_dir, name)
    return paths


def drawings(found: Mapping[str, pd.DataFrame], about: About) -> dict[str, Drawing]:
    """The figures of what `analyse` found, by the names of their files."""
    figures: dict[str, Drawing] = {}
    for name, numbers in found.items():
        figures |= KINDS[name].draw(numbers, about)
    return figures
