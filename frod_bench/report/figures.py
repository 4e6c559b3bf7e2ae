"""Figures as files: their looks on screen and in a paper, and the convergence figure."""

import math
import textwrap
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from frod_bench.common import atomic
from frod_bench.report import style
from frod_bench.report.curves import AXES, Axis
from frod_bench.report.keys import FROZEN, Method
from frod_bench.report.latex import label_of, latex_text
from frod_bench.report.names import label
from frod_bench.report.panels import Panels

mpl.use("Agg")  # figures are files; no display is needed

Props = dict[str, Any]  # properties of an artist

CAPTION_COLUMNS = 138  # characters per line of a caption at the width of the screen's figures
LINE_IN, TITLE_IN, LEGEND_IN = 0.137, 0.25, 0.22  # heights of a line of each
MARKS = 5  # markers along a line whose markers do not mean a time
_SHARED: Props = {  # on top of matplotlib's own defaults, whatever the user's are
    "axes.axisbelow": True,
    "axes.edgecolor": style.MUTED,
    "axes.grid": True,
    "axes.labelcolor": style.INK,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlepad": 4,
    "axes.titlesize": 8,
    "font.size": 8,
    "grid.color": style.HAIRLINE,
    "grid.linewidth": 0.5,
    "legend.columnspacing": 1.8,
    "legend.frameon": False,
    "legend.handlelength": 3.4,
    "lines.linewidth": 1.5,
    "savefig.dpi": 200,
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
_SERIF: Props = {  # it ships with matplotlib, as the default does: the same on every machine
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],
    "mathtext.fontset": "stix",
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # TrueType, as publishers ask for; of the screen's fonts it takes longer
    "savefig.dpi": 300,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


class Look(NamedTuple):
    """A width and a typeface. `is_whole`: title and caption are part of the figure."""

    width_in: float
    legend_columns: int
    settings: Props
    is_whole: bool = False
    ending: str = ""  # of the file's name
    environment: str = ""  # of LaTeX

    def applied(self) -> AbstractContextManager[None]:
        """Draw in this look within the context."""
        return plt.style.context(["default", _SHARED, self.settings])

    def columns(self, most: int) -> int:
        """How many panels fit side by side, if `most` fit the screen's width."""
        return max(1, round(most * self.width_in / SCREEN.width_in))


SCREEN = Look(7.2, 6, {}, is_whole=True)
LOOKS = {
    "screen": (SCREEN,),
    "paper": (
        Look(7.0, 6, _SERIF, environment="figure*"),
        Look(3.3, 3, _SERIF, ending="_column", environment="figure"),
    ),
}


class Drawing(NamedTuple):
    """A figure to be: what it says, and how it is drawn in a look."""

    title: str
    caption: str
    draw: Callable[[Look], Figure]


def save(drawings: Mapping[str, Drawing], out_dir: Path, style_name: str = "screen") -> list[Path]:
    """Write each drawing as `<name>.png` and `.pdf`, without dates; returns the paths.

    In the style `paper` each is written at the widths of a page and of a column, without title and
    caption, and next to it a `.tex` file that includes the figure with its caption.
    """
    paths: list[Path] = []
    for name, drawing in drawings.items():
        for look in LOOKS[style_name]:
            stem, figure = f"{name}{look.ending}", render(drawing, look)
            with look.applied():
                if engine := figure.get_layout_engine():  # once, for all files
                    figure.set_dpi(mpl.rcParams["savefig.dpi"])
                    engine.execute(figure)
                    figure.set_layout_engine(None)
                for ending, dated_by in (("png", "Software"), ("pdf", "CreationDate")):
                    paths.append(out_dir / f"{stem}.{ending}")
                    with atomic.replacing(paths[-1]) as partial:
                        figure.savefig(partial, format=ending, metadata={dated_by: None})
            plt.close(figure)
            if not look.is_whole:
                paths.append(out_dir / f"{stem}.tex")
                atomic.write_text(paths[-1], _latex_figure(paths[-1], drawing, look))
    return paths


def render(drawing: Drawing, look: Look = SCREEN) -> Figure:
    """The figure, with title and caption if the look has them."""
    with look.applied():
        figure = drawing.draw(look)
        if look.is_whole:
            _head(figure, drawing)
        _take_literally(figure)
    return figure


def _take_literally(artist: Artist) -> None:
    """Keep matplotlib from reading texts as formulas: here a dollar can only be part of a name."""
    for text in artist.findobj(Text):
        if "$" in text.get_text():
            text.set_parse_math(False)


def _head(figure: Figure, drawing: Drawing) -> None:
    """Add title and caption."""
    caption = textwrap.fill(drawing.caption, CAPTION_COLUMNS)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + TITLE_IN + LINE_IN * (caption.count("\n") + 2))
    left: Props = {"x": 0.012, "ha": "left"}
    figure.supxlabel(caption, **left, fontsize=7, color=style.MUTED, linespacing=1.4)
    bold: Props = {"size": 9.5, "weight": "bold"}
    if figure.legends:
        (legend,) = figure.legends
        legend.set_title(drawing.title, prop=FontProperties(**bold))
        legend.set_alignment("left")
    else:
        figure.suptitle(drawing.title, **left, **bold)


def _latex_figure(path: Path, drawing: Drawing, look: Look) -> str:
    return rf"""\begin{{{look.environment}}}
\centering
\includegraphics[width=\linewidth]{{{path.stem}}}
\caption{{{latex_text(drawing.caption)}}}
\label{{{label_of(path.parent, path.stem, "fig")}}}
\end{{{look.environment}}}
"""


def panelled(
    look: Look,
    n_panels: int,
    columns: int,
    panel_height_in: float,
    legend: Sequence[Artist] = (),
    *,
    legend_columns: int = 99,
    y_label: str = "",
    **subplots: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure of the look's width with panels row by row, and a legend on top.

    At most `columns` panels and `legend_columns` entries (or fewer, by the look and by their
    width) are in a row; its first panel has the `y_label`. `subplots` are further arguments of
    `plt.subplots`.
    """
    columns = min(n_panels, columns)
    rows = math.ceil(n_panels / columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(look.width_in, rows * panel_height_in),
        squeeze=False,
        layout="constrained",
        **subplots,
    )
    if legend:
        legend_rows = _add_legend(figure, legend, min(look.legend_columns, legend_columns))
        figure.set_figheight(rows * panel_height_in + LEGEND_IN * legend_rows)
    for ax in axes.flat[n_panels:]:
        ax.remove()
    panels = list(axes.flat[:n_panels])
    for ax in panels[::columns]:
        ax.set_ylabel(y_label)
    return figure, panels


def _add_legend(figure: Figure, entries: Sequence[Artist], most_columns: int) -> int:
    """Put a legend on top, in balanced rows within the figure; return how many.

    At most `most_columns` entries are in a row.
    """
    for rows in range(math.ceil(len(entries) / most_columns), len(entries) + 1):
        balanced = math.ceil(len(entries) / rows)
        legend = figure.legend(handles=list(entries), loc="outside upper left", ncols=balanced)
        _take_literally(legend)  # before it is measured
        if balanced == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    return rows


def legend_handle(method: Method, *, marked: bool = True) -> Line2D:
    """A legend's entry: the line of a method, and its marker if the figure draws it."""
    return legend_entry(label(method), style.of_method(method), marked=marked)


def legend_entry(text: str, look: style.MethodStyle, *, marked: bool = True) -> Line2D:
    """A legend's entry of any style."""
    marker = marker_of(look) if marked else {}
    return Line2D([], [], color=look.color, ls=look.line, label=text, **marker)


def marker_of(look: style.MethodStyle, scale: float = 1.0, **more: Any) -> Props:
    """A marker with a white edge, as properties of a line."""
    return {"marker": look.marker, "ms": scale * look.marker_pt, "mec": "white", **more}


def jitter(keys: Sequence[Hashable]) -> dict[Any, float]:
    """An offset for each key, evenly spread around a method's place on `methods_below`."""
    ends = 0.22 if len(keys) > 1 else 0.0
    return dict(zip(keys, np.linspace(-ends, ends, len(keys)).tolist(), strict=True))


def methods_below(ax: Axes, methods: Sequence[Method], **ticks: Any) -> None:
    """Name methods along the horizontal axis, one at each integer."""
    ax.set_xticks(range(len(methods)), [label(method) for method in methods], **ticks)
    ax.set_xlim(-0.6, len(methods) - 0.4)
    ax.grid(visible=False, axis="x")


def convergence(panels: Panels) -> Drawing:
    """Curves by step and by second, side by side, or one above the other in a narrow look.

    Panels that have only one of the two axes are drawn on that axis alone.
    """
    shown = [axis for axis in AXES if axis in panels.bands]

    def draw(look: Look) -> Figure:
        columns = look.columns(2)
        reached = reached_in(panels)
        handles = [
            legend_handle(method, marked=not panels.has_arrivals or method in reached)
            for method in panels.bands["steps"]
        ]
        height = 2.35 if columns == 2 else 1.75
        figure, axes = panelled(
            look, len(shown), columns, height, handles, y_label=panels.y_label, sharey=True
        )
        for axis, ax in zip(shown, axes, strict=True):
            draw_panel(ax, panels, axis)
        return figure

    return Drawing(panels.title, str(panels.caption), draw)


def _name_target(ax: Axes, panels: Panels, axis: Axis, height: float) -> None:
    """Write the target below its line. There is room until the first curve of a loss falls through
    it.
    """
    times = panels.arrived.get(axis, {}).values()
    end = max(band.grid[-1] for band in panels.bands[axis].values())
    on_left = panels.is_loss and min(filter(np.isfinite, times), default=np.inf) > end / 2
    ax.annotate(
        panels.target_text,
        (0 if on_left else 1, height),
        xycoords=("axes fraction", "data"),
        xytext=(2 if on_left else -2, -2.5),
        textcoords="offset points",
        ha="left" if on_left else "right",
        va="top",
        color=style.MUTED,
    )


def losses_by_task(of_tasks: Sequence[Panels], title: str) -> Drawing:
    """A loss by step, a panel for each task; `of_tasks` are a task's panels each, and `title` is
    the profile's.
    """
    first = next((panels for panels in of_tasks if panels.has_target), of_tasks[0])
    methods = dict.fromkeys(method for panels in of_tasks for method in panels.bands["steps"])
    reached = {m for panels in of_tasks for m in reached_in(panels)}
    names = [label(panels.task) for panels in of_tasks if panels.task is not None]
    named = list(zip(names, of_tasks, strict=True))
    lost = [f"{name}: {one.caption.missing}" for name, one in named if one.caption.missing]
    bare = [name for name, one in named if not one.has_target]
    caption = first.caption._replace(
        what=f"A panel for each task, with its target dotted; {label(FROZEN)} may leave it. "
        + first.caption.what,
        missing=" ".join([*lost, *[f"Without a target: {', '.join(bare)}."] * bool(bare)]),
    )

    def draw(look: Look) -> Figure:
        columns = min(look.columns(4), len(of_tasks))
        handles = [legend_handle(method, marked=method in reached) for method in methods]
        figure, axes = panelled(look, len(of_tasks), columns, 1.45, handles, y_label=first.y_label)
        for number, ((name, panels), ax) in enumerate(zip(named, axes, strict=True)):
            draw_panel(ax, panels, "steps", name_target=False)  # it would hide the curves
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
            ax.set_ylim(top=_top_of_adapted(panels, ax.get_ylim()[1]))
            ax.set_title(name)
            if number + columns < len(of_tasks):  # a panel is below it
                ax.set_xlabel("")
        return figure

    what = f"{first.y_label[0].upper()}{first.y_label[1:]}"
    return Drawing(f"{what} by task · {title}", str(caption), draw)


def _top_of_adapted(panels: Panels, top: float) -> float:
    """The top of a panel that fits all methods but the frozen backbone: a probe's loss can rise to
    several times the others' before it falls.
    """
    bands = panels.bands["steps"].items()
    highest = [band.high.max() for method, band in bands if method != FROZEN and band.high.size]
    return min(top, 1.08 * panels.scale * float(max(highest))) if highest else top


def reached_in(panels: Panels) -> set[Method]:
    """The methods that reach the target on some axis."""
    times = panels.arrived.values()
    return {m for of_axis in times for m, when in of_axis.items() if np.isfinite(when)}


def draw_panel(ax: Axes, panels: Panels, axis: Axis, *, name_target: bool = True) -> None:
    """Draw the bands of an axis, the target, and when it is reached."""
    bands, times, scale = panels.bands[axis], panels.arrived.get(axis, {}), panels.scale
    for number, (method, band) in enumerate(bands.items()):
        look = style.of_method(method)
        front = 3 if method.method == "frod" else 2
        low, high, median = scale * band.low, scale * band.high, scale * band.median
        ax.fill_between(band.grid, low, high, color=look.color, alpha=0.13, lw=0, zorder=front)
        (line,) = ax.plot(band.grid, median, color=look.color, ls=look.line, zorder=front + 2)
        marker = marker_of(look, mew=0.8)
        if not panels.has_arrivals:  # markers tell lines apart in print
            apart = max(1, len(band.grid) // MARKS)
            line.set(**marker, markevery=(number * apart // len(bands), apart), clip_on=False)
        elif np.isfinite(when := times.get(method, np.nan)):
            height = scale * float(np.interp(when, band.grid, band.median))
            ax.plot(when, height, color=look.color, **marker, zorder=7, clip_on=False)
    if panels.has_target:
        target = scale * panels.target
        ax.axhline(target, color=style.INK, lw=0.7, ls=(0, (2, 2)), zorder=1.5)
        if name_target:
            _name_target(ax, panels, axis, target)
    ax.set_xlabel(panels.x_labels[axis])
    ax.xaxis.set_major_locator(MaxNLocator(integer=axis == "steps", steps=[1, 2, 5, 10]))
    ax.set_xlim(0, max((band.grid[-1] for band in bands.values() if band.grid.size), default=1))
    ax.margins(y=0.08)
