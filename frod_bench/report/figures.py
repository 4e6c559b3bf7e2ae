"""Figures as files: their looks on screen and in a paper, and the convergence figure."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis
from frod_bench.report.frame import Method
from frod_bench.report.latex import label_of, latex_text
from frod_bench.report.names import label
from frod_bench.report.panels import Panels

mpl.use("Agg")  # figures are files; no display is needed

Props = dict[str, Any]  # properties of an artist

CAPTION_COLUMNS = 138  # characters per line of a caption at the width of the screen's figures
LINE_IN, TITLE_IN, LEGEND_IN = 0.137, 0.25, 0.22  # heights of a line of each
MARKS = 5  # markers along a line whose markers do not mean a time
_SHARED: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": style.MUTED,
    "axes.grid": True,
    "axes.labelcolor": style.INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlepad": 4,
    "axes.titlesize": 8,
    "figure.facecolor": "white",
    "font.size": 8,
    "grid.color": style.HAIRLINE,
    "grid.linewidth": 0.5,
    "legend.columnspacing": 1.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 3.4,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,  # TrueType fonts are embedded: text stays text
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "svg.hashsalt": "frod_bench",
    "text.color": style.INK,
    "xtick.color": style.MUTED,
    "xtick.labelcolor": style.INK,
    "xtick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.color": style.MUTED,
    "ytick.labelcolor": style.INK,
    "ytick.labelsize": 7.5,
    "ytick.major.size": 2.5,
}
# Both fonts ship with matplotlib, so a figure is the same on every machine.
_SANS: dict[Any, Any] = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}
_SERIF: dict[Any, Any] = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],
    "mathtext.fontset": "stix",
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.2,
    "savefig.dpi": 300,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@dataclass(frozen=True)
class Look:
    """A width and a typeface. `is_whole`: title and caption are part of the figure."""

    width_in: float
    legend_columns: int
    settings: Mapping[Any, Any]
    is_whole: bool = False
    ending: str = ""  # of the file's name
    environment: str = ""  # of LaTeX

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Draw in this look within the context."""
        with mpl.rc_context({**_SHARED, **self.settings}):
            yield

    def columns(self, most: int) -> int:
        """How many panels fit side by side, if `most` fit the screen's width."""
        return max(1, round(most * self.width_in / SCREEN.width_in))


SCREEN = Look(7.2, 6, _SANS, is_whole=True)
LOOKS = {
    "screen": (SCREEN,),
    "paper": (
        Look(7.0, 6, _SERIF, environment="figure*"),
        Look(3.3, 3, _SERIF, ending="_column", environment="figure"),
    ),
}


@dataclass(frozen=True)
class Drawing:
    """A figure to be: what it says, and how it is drawn in a look."""

    title: str
    caption: str
    draw: Callable[[Look], Figure]


def save(drawings: Mapping[str, Drawing], out_dir: Path, style_name: str = "screen") -> list[Path]:
    """Write each drawing as `<name>.png` and `.pdf`, without dates; returns the paths.

    In the style `paper` each is written at the widths of a page and of a column, without title and
    caption, and next to it a `.tex` file that includes the figure with its caption.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name, drawing in drawings.items():
        for look in LOOKS[style_name]:
            stem = out_dir / f"{name}{look.ending}"
            paths += save_figure(render(drawing, look), stem, look)
            if not look.is_whole:
                paths.append(stem.with_name(f"{stem.name}.tex"))
                paths[-1].write_text(_latex_figure(stem, drawing, look), encoding="utf-8")
    return paths


def save_figure(figure: Figure, stem: Path, look: Look = SCREEN) -> list[Path]:
    """Write a figure as .png and .pdf, and close it; returns the paths."""
    paths = []
    with look.applied():
        for suffix, metadata in ((".png", "Software"), (".pdf", "CreationDate")):
            paths.append(stem.with_name(stem.name + suffix))
            figure.savefig(paths[-1], metadata={metadata: None})
    plt.close(figure)
    return paths


def render(drawing: Drawing, look: Look = SCREEN) -> Figure:
    """The figure, with title and caption if the look has them."""
    with look.applied():
        figure = drawing.draw(look)
        if look.is_whole:
            _add_words(figure, drawing)
    return figure


def _add_words(figure: Figure, drawing: Drawing) -> None:
    caption = textwrap.fill(drawing.caption, CAPTION_COLUMNS)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + TITLE_IN + LINE_IN * (caption.count("\n") + 2))
    figure.supxlabel(caption, x=0.012, ha="left", fontsize=7, color=style.MUTED, linespacing=1.4)
    bold: Props = {"size": 9.5, "weight": "bold"}
    if figure.legends:
        (legend,) = figure.legends
        legend.set_title(drawing.title, prop=FontProperties(**bold))
        legend.set_alignment("left")
    else:
        figure.suptitle(drawing.title, x=0.012, ha="left", **bold)


def _latex_figure(stem: Path, drawing: Drawing, look: Look) -> str:
    return "\n".join(
        (
            rf"\begin{{{look.environment}}}",
            r"\centering",
            rf"\includegraphics[width=\linewidth]{{{stem.name}}}",
            rf"\caption{{{latex_text(drawing.caption)}}}",
            rf"\label{{{label_of(stem.parent, stem.name, 'fig')}}}",
            rf"\end{{{look.environment}}}",
            "",
        )
    )


def panelled(
    look: Look,
    grid: tuple[int, int],
    panel_height_in: float,
    legend: Sequence[Artist] = (),
    *,
    legend_columns: int | None = None,
    used: int | None = None,
    **subplots: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of the look's width with (rows, columns) panels, row by row, and a legend on top.

    Panels after the first `used` are removed. `subplots` are further arguments of `plt.subplots`.
    Call it within `Look.applied`.
    """
    columns = even_columns(len(legend), min(look.legend_columns, legend_columns or len(legend)))
    height = grid[0] * panel_height_in + LEGEND_IN * -(-len(legend) // max(1, columns))
    figure, axes = plt.subplots(
        *grid, figsize=(look.width_in, height), squeeze=False, layout="constrained", **subplots
    )
    if legend:
        figure.legend(handles=list(legend), loc="outside upper left", ncols=columns)
    panels = list(axes.flat)
    for ax in panels[len(panels) if used is None else used :]:
        ax.remove()
    return figure, panels[:used]


def rows_of(panels: int, most: int) -> tuple[int, int]:
    """(rows, columns) of a grid with at most `most` columns."""
    columns = min(panels, most)
    return -(-panels // columns), columns


def even_columns(entries: int, most: int) -> int:
    """Number of legend columns that balances the rows, at most `most`."""
    rows = -(-entries // max(1, most))
    return -(-entries // max(1, rows))


def legend_handle(method: Method, *, marked: bool = True) -> Line2D:
    """A legend's entry: the line of a method, and its marker if the figure draws it."""
    return legend_entry(label(method), style.of_method(method), marked=marked)


def legend_entry(text: str, look: style.MethodStyle, *, marked: bool = True) -> Line2D:
    """A legend's entry of any style."""
    marker: Props = {}
    if marked:
        marker = {"marker": look.marker, "mec": "white", "ms": look.marker_pt}
    return Line2D([], [], color=look.color, ls=look.line, label=text, **marker)


def convergence(panels: Panels) -> Drawing:
    """Curves by step and by second side by side, or one above the other in a narrow look."""

    def draw(look: Look) -> Figure:
        columns = look.columns(2)
        methods, reached = list(panels.bands["steps"]), panels.reached_by
        figure, axes = panelled(
            look,
            (2 // columns, columns),
            2.35 if columns == 2 else 1.75,
            [legend_handle(m, marked=not panels.has_target or m in reached) for m in methods],
            sharey=True,
        )
        for axis, ax in zip(AXES, axes, strict=True):
            _draw_panel(ax, panels, axis)
            if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
                ax.set_ylabel(panels.y_label)
        return figure

    return Drawing(panels.title, str(panels.caption), draw)


def _draw_panel(ax: Axes, panels: Panels, axis: Axis) -> None:
    bands, times, scale = panels.bands[axis], panels.arrived.get(axis, {}), panels.scale
    for number, (method, band) in enumerate(bands.items()):
        look = style.of_method(method)
        front = 3 if method.method == "frod" else 2
        low, high, median = scale * band.low, scale * band.high, scale * band.median
        ax.fill_between(band.grid, low, high, color=look.color, alpha=0.13, lw=0, zorder=front)
        (line,) = ax.plot(band.grid, median, color=look.color, ls=look.line, zorder=front + 2)
        marker: Props = {
            "marker": look.marker,
            "ms": look.marker_pt,
            "mec": "white",
            "mew": 0.8,
        }
        if not panels.has_target:  # markers tell lines apart in print
            apart = max(1, len(band.grid) // MARKS)
            line.set(**marker, markevery=(number * apart // len(bands), apart))
        elif np.isfinite(when := times.get(method, np.nan)):
            height = scale * float(np.interp(when, band.grid, band.median))
            ax.plot(when, height, color=look.color, **marker, zorder=7, clip_on=False)
    if np.isfinite(panels.target):
        target = scale * panels.target
        ax.axhline(target, color=style.INK, lw=0.7, ls=(0, (2, 2)), zorder=1.5)
        ax.annotate(
            f"target {target:.1f}",
            (1, target),
            xycoords=("axes fraction", "data"),
            xytext=(-2, -2.5),
            textcoords="offset points",
            ha="right",
            va="top",
            color=style.MUTED,
        )
    ax.set_xlabel(panels.x_labels[axis])
    ax.xaxis.set_major_locator(MaxNLocator(integer=axis == "steps", steps=[1, 2, 5, 10]))
    ax.set_xlim(0, max((band.grid[-1] for band in bands.values() if band.grid.size), default=1))
    ax.margins(y=0.08)
