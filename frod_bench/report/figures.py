"""Convergence figures: the panels of each task and over all tasks, drawn by matplotlib."""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis
from frod_bench.report.frame import Method
from frod_bench.report.names import label
from frod_bench.report.panels import AXIS_LABELS, Panels

mpl.use("Agg")  # figures are files; no display is needed or asked for

LEGEND_COLUMNS = 6  # at most

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same figure on any machine
    "font.size": 8,
    "text.color": style.INK,
    "axes.edgecolor": style.MUTED,
    "axes.labelcolor": style.INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": style.HAIRLINE,
    "grid.linewidth": 0.5,
    "xtick.color": style.MUTED,
    "ytick.color": style.MUTED,
    "xtick.labelcolor": style.INK,
    "ytick.labelcolor": style.INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.hashsalt": "frod_bench",
}


def write_figures(panels: Mapping[str, Panels], out_dir: Path) -> list[Path]:
    """Write `convergence_<name>` as .png and .pdf for each of `panels`; returns the paths."""
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, shown in panels.items():
        paths += save_figure(draw(shown), out_dir / f"convergence_{name}")
    return paths


@contextmanager
def applied() -> Iterator[None]:
    """The look, for the figures drawn within."""
    with mpl.rc_context(_RC):
        yield


def draw(panels: Panels) -> Figure:
    """Two panels side by side, one legend, the caption below."""
    with applied():
        figure, axes = plt.subplots(1, 2, figsize=(style.PAGE_WIDTH_IN, 3.45), sharey=True)
        for axis, ax in zip(AXES, axes, strict=True):
            _draw_panel(ax, panels, axis)
        axes[0].set_ylabel(panels.y_label)
        methods = list(panels.bands["steps"])
        figure.subplots_adjust(left=0.075, right=0.985, top=0.80, bottom=0.29, wspace=0.09)
        figure.text(0.012, 0.955, panels.title, fontsize=9.5, fontweight="bold", va="center")
        figure.legend(
            handles=[legend_handle(method) for method in methods],
            loc="center left",
            bbox_to_anchor=(0.005, 0.875),
            ncols=even_columns(len(methods)),
            columnspacing=1.8,
            handlelength=3.4,
        )
        caption = textwrap.fill(panels.caption, 138)
        figure.text(0.012, 0.135, caption, fontsize=7, color=style.MUTED, va="top", linespacing=1.4)
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and PDF, without dates in it, and close it."""
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "pdf")]
    with applied():
        figure.savefig(paths[0], metadata={"Software": None})
        figure.savefig(paths[1], metadata={"CreationDate": None})
    plt.close(figure)
    return paths


def _draw_panel(ax: Axes, panels: Panels, axis: Axis) -> None:
    bands = panels.bands[axis]
    for method, band in bands.items():
        look = style.of_method(method)
        front = 3 if method.method == "frod" else 2
        low, high, median = 100 * band.low, 100 * band.high, 100 * band.median
        ax.fill_between(band.grid, low, high, color=look.color, alpha=0.13, lw=0, zorder=front)
        ax.plot(band.grid, median, color=look.color, linestyle=look.line, zorder=front + 2)
        when = panels.arrived.get(axis, {}).get(method, np.nan)
        if np.isfinite(when):
            _mark(ax, when, 100 * float(np.interp(when, band.grid, band.median)), look)
    if np.isfinite(panels.target):
        ax.axhline(100 * panels.target, color=style.INK, lw=0.7, ls=(0, (2, 2)), zorder=1.5)
        ax.annotate(
            f"target {100 * panels.target:.1f}",
            (0, 100 * panels.target),
            xycoords=("axes fraction", "data"),
            xytext=(3, 2.5),
            textcoords="offset points",
            fontsize=7,
            color=style.MUTED,
        )
    ax.set_xlabel(AXIS_LABELS[axis])
    ax.xaxis.set_major_locator(MaxNLocator(integer=axis == "steps", steps=[1, 2, 5, 10]))
    ax.set_xlim(0, max((band.grid[-1] for band in bands.values() if band.grid.size), default=1))
    ax.margins(y=0.08)


def _mark(ax: Axes, x: float, y: float, look: style.MethodStyle) -> None:
    ax.plot(
        *(x, y, look.marker),
        ms=look.marker_pt,
        mfc=look.color,
        mec="white",
        mew=0.9,
        zorder=7,
        clip_on=False,
    )


def even_columns(entries: int, most: int = LEGEND_COLUMNS) -> int:
    """Of a legend, so that its rows are as even as can be and none is wider than the page."""
    rows = -(-entries // most)
    return -(-entries // max(1, rows))


def legend_handle(method: Method) -> Line2D:
    """A legend's entry: line and marker of a method."""
    return legend_entry(label(method), style.of_method(method))


def legend_entry(text: str, look: style.MethodStyle) -> Line2D:
    """A legend's entry of any text and look."""
    return Line2D(
        [],
        [],
        color=look.color,
        ls=look.line,
        marker=look.marker,
        mec="white",
        ms=look.marker_pt,
        label=text,
    )
