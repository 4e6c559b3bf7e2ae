"""The kinds of figure that an experiment may name, with the numbers behind each."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.report.analyses import budget_curve, heat_map, rate_curve, seed_spread
from frod_bench.report.analyses.about import About
from frod_bench.report.markup import Table
from frod_bench.report.tables import write_table

CONVERGENCE = "convergence"  # drawn for every experiment that names no other


class Kind(NamedTuple):
    """The numbers of `Collected.frame`, long, and their table."""

    numbers: Callable[[pd.DataFrame], pd.DataFrame]
    table: Callable[[pd.DataFrame, About], Table]


KINDS = {
    "heat_map": Kind(heat_map.numbers, heat_map.table),
    "seed_spread": Kind(seed_spread.numbers, seed_spread.table),
    "budget_curve": Kind(budget_curve.numbers, budget_curve.table),
    "rate_curve": Kind(rate_curve.numbers, rate_curve.table),
}


def analyse(figures: Iterable[str], frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The numbers behind each of `figures` but convergence, by its name.

    Raises InputError where there is no such kind, or the cells are not what it shows.
    """
    names = list(figures)
    for name in names:
        if name not in {CONVERGENCE, *KINDS}:
            raise InputError(
                f"experiment.figures: {name!r} is no kind of figure."
                + did_you_mean(name, {CONVERGENCE, *KINDS})
            )
    return {name: KINDS[name].numbers(frame) for name in names if name in KINDS}


def write_numbers(found: Mapping[str, pd.DataFrame], about: About, out_dir: Path) -> list[Path]:
    """Write what `analyse` found as tables, each of its figure's name; returns the paths."""
    paths: list[Path] = []
    for name, numbers in found.items():
        paths += write_table(KINDS[name].table(numbers, about), numbers, out_dir, name)
    return paths
