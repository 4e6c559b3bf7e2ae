"""The curves of a comparison: figures, and plots of characters in the terminal."""

import math
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text
from uniplot import plot_to_string

from frod_bench.compare.comparison import Comparison
from frod_bench.report import figures, style
from frod_bench.report.curves import AXES, Band
from frod_bench.report.frame import Method
from frod_bench.report.names import label
from frod_bench.report.panels import ALL_TASKS, Panels, experiment_panels

PLOT_LINES, PLOT_COLUMNS, FRAME_COLUMNS = 14, 100, 14
MARKS = "+xo*~.#%@=&$"
_BLACK, _FOREGROUND = "\033[38;2;0;0;0m", "\033[39m"  # black would not be seen on a dark terminal


def panels_of(comparison: Comparison) -> dict[str, Panels]:
    """What is drawn: each task that has a curve, and the mean over all if there are several."""
    panels = experiment_panels(
        comparison.cells,
        comparison.measured,
        comparison.arrived,
        comparison.title,
        comparison.rules.convergence,
        setting=comparison.caption,
    )
    return panels if len(panels) > 2 else {k: p for k, p in panels.items() if k != ALL_TASKS}


def save_figures(panels: Mapping[str, Panels], name: str, out_dir: Path) -> list[Path]:
    """Draw `compare_<task>_<name>` as .png and .pdf. Raises OSError if it cannot be written."""
    drawings = {
        f"compare_{task}_{name}": figures.convergence(shown) for task, shown in panels.items()
    }
    return figures.save(drawings, out_dir)


def print_curves(panels: Panels, console: Console) -> None:
    """Print one plot an axis: the median over seeds of each method, and the target as a line.

    Lines differ in colour, and in their characters if there are no colours or two lines share one.
    """
    for axis in AXES:
        title = f"{panels.title}: {panels.y_label} by {panels.x_labels[axis]}"
        if panels.has_target:
            title += f"; the line across is the target, {100 * panels.target:.1f}"
        console.print(title, markup=False, highlight=False, soft_wrap=True)
        plot = _plot(panels.bands[axis], 100 * panels.target, console)
        console.print(Text.from_ansi(plot), soft_wrap=True)


def _plot(bands: Mapping[Method, Band], target: float, console: Console) -> str:
    bands = {method: band for method, band in bands.items() if band.grid.size}
    colors = [style.of_method(method).color for method in bands]
    alike = console.color_system is None or len(set(colors)) < len(colors)
    plot: str = plot_to_string(
        xs=[band.grid for band in bands.values()],
        ys=[100 * band.median for band in bands.values()],
        lines=True,
        legend_labels=[label(method) for method in bands],
        color=False if console.color_system is None else colors,
        character_set="ascii" if alike else "braille",
        force_ascii_characters=[MARKS[line % len(MARKS)] for line in range(len(bands))],
        x_gridlines=[],
        y_gridlines=[] if math.isnan(target) else [target],
        width=max(20, min(PLOT_COLUMNS, console.width - FRAME_COLUMNS)),
        height=PLOT_LINES,
    )
    return plot.replace(_BLACK, _FOREGROUND)
