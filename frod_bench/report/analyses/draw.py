"""The figures of analyses as files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from frod_bench.report.analyses import (
    budget_curve_figure,
    heat_map_figure,
    rate_curve_figure,
    seed_spread_figure,
)
from frod_bench.report.analyses.about import About
from frod_bench.report.figures import applied, save_figure

DRAWN: dict[str, Callable[[pd.DataFrame, About], dict[str, Figure]]] = {
    "heat_map": heat_map_figure.draw,
    "seed_spread": seed_spread_figure.draw,
    "budget_curve": budget_curve_figure.draw,
    "rate_curve": rate_curve_figure.draw,
}


def write_analyses(found: Mapping[str, pd.DataFrame], about: About, out_dir: Path) -> list[Path]:
    """Draw what `kinds.analyse` found, as .png and .pdf, each by its name; returns the paths."""
    paths: list[Path] = []
    if found:
        out_dir.mkdir(parents=True, exist_ok=True)
    for name, numbers in found.items():
        with applied():
            figures = DRAWN[name](numbers, about)
        for ending, figure in figures.items():
            stem = f"{name}_{ending}" if ending else name
            paths += save_figure(figure, out_dir / stem)
    return paths
