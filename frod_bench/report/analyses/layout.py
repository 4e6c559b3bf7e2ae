"""A page of panels for print: title on top, legend below it, caption at the bottom."""

import textwrap
from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frod_bench.report import style
from frod_bench.report.figures import LEGEND_COLUMNS, even_columns

CAPTION_COLUMNS = 138  # characters of a caption's line at the page's width
LINE_IN, TITLE_IN, LEGEND_IN = 0.137, 0.30, 0.24
ABOVE_IN, BELOW_IN = 0.22, 0.52  # a panel's title; its axis label and ticks


def paged(
    title: str,
    caption: str,
    panels: tuple[int, int],
    panel_height_in: float,
    *,
    legend: Sequence[Artist] = (),
    legend_columns: int = LEGEND_COLUMNS,
    left_in: float = 0.55,
    right_in: float = 0.1,
    above_in: float = ABOVE_IN,
    below_in: float = BELOW_IN,
    gaps: tuple[float, float] = (0.12, 0.3),
    widths: Sequence[float] | None = None,
    share_y: bool | Literal["row"] = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width and its panels, (rows, columns) of them, row by row.

    `gaps` are those between columns and rows, in panels; `widths` are the columns' in relation.
    `above_in` and `below_in` are for what stands on and under the panels. The height is what panels
    and caption need. The caller draws within `figures.applied`.
    """
    lines = textwrap.wrap(caption, CAPTION_COLUMNS)
    columns_in_legend = even_columns(len(legend), legend_columns)
    legend_in = LEGEND_IN * -(-len(legend) // max(1, columns_in_legend))
    top_in = TITLE_IN + legend_in + above_in
    bottom_in = below_in + 0.1 + LINE_IN * len(lines)
    rows, columns = panels
    body_in = panel_height_in * (rows + gaps[1] * (rows - 1))
    width, height = style.PAGE_WIDTH_IN, top_in + body_in + bottom_in
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        squeeze=False,
        sharey=share_y,
        gridspec_kw={
            "left": left_in / width,
            "right": 1 - right_in / width,
            "top": 1 - top_in / height,
            "bottom": bottom_in / height,
            "wspace": gaps[0],
            "hspace": gaps[1],
            "width_ratios": widths,
        },
    )
    _write(figure, title, "\n".join(lines), bottom_in - below_in)
    if legend:
        figure.legend(
            handles=list(legend),
            loc="center left",
            bbox_to_anchor=(0.03 / width, 1 - (TITLE_IN + legend_in / 2) / height),
            ncols=columns_in_legend,
            columnspacing=1.8,
            handlelength=3.4,
        )
    return figure, list(axes.flat)


def _write(figure: Figure, title: str, caption: str, caption_top_in: float) -> None:
    width, height = figure.get_size_inches()
    start = 0.09 / width
    figure.text(start, 1 - 0.17 / height, title, fontsize=9.5, fontweight="bold", va="center")
    figure.text(
        *(start, caption_top_in / height, caption),
        fontsize=7,
        color=style.MUTED,
        va="top",
        linespacing=1.4,
    )


def rows_of(panels: int, most: int) -> tuple[int, int]:
    """(rows, columns) for so many panels, at most `most` side by side."""
    columns = min(panels, most)
    return -(-panels // columns), columns


def drop_unused(axes: Sequence[Axes], used: int) -> None:
    """Take away the panels behind the first `used`."""
    for ax in axes[used:]:
        ax.remove()
