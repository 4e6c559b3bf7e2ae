"""The kinds of figure that an experiment may name: numbers, table and drawing of each."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.report.analyses import budget_curve, heat_map, rate_curve, seed_spread
from frod_bench.report.analyses.about import About
from frod_bench.report.figures import Drawing
from frod_bench.report.names import csv_frame
from frod_bench.report.table import Table, write_table

CONVERGENCE = "convergence"  # drawn for every experiment that names no other


class Kind(NamedTuple):
    """The numbers of `Collected.frame` (long form), their table, figures and CSV."""

    numbers: Callable[[pd.DataFrame], pd.DataFrame]
    table: Callable[[pd.DataFrame, About], Table]
    draw: Callable[[pd.DataFrame, About], dict[str, Drawing]]
    csv: Callable[[pd.DataFrame], pd.DataFrame] = csv_frame


KINDS = {
    "heat_map": Kind(heat_map.numbers, heat_map.table, heat_map.draw),
    "seed_spread": Kind(seed_spread.numbers, seed_spread.table, seed_spread.draw),
    "budget_curve": Kind(
        budget_curve.numbers, budget_curve.table, budget_curve.draw, budget_curve.csv
    ),
    "rate_curve": Kind(rate_curve.numbers, rate_curve.table, rate_curve.draw),
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


def write_numbers(found: Mapping[str, pd.DataFrame], about: About, out_dir: Path) -> list[Path]:
    """Write what `analyse` found as tables, each under its figure's name; returns the paths."""
    paths: list[Path] = []
    for name, numbers in found.items():
        kind = KINDS[name]
        paths += write_table(kind.table(numbers, about), kind.csv(numbers), out_dir, name)
    return paths


def drawings(found: Mapping[str, pd.DataFrame], about: About) -> dict[str, Drawing]:
    """The figures of what `analyse` found, by the names of their files."""
    figures: dict[str, Drawing] = {}
    for name, numbers in found.items():
        figures |= KINDS[name].draw(numbers, about)
    return figures
