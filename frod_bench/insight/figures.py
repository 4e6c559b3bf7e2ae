"""The analyses as figures, drawn by matplotlib in the look of all figures of the suite."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, ScalarFormatter

from frod_bench.insight import expressible, landscape
from frod_bench.insight.show import About
from frod_bench.insight.spectrum import QUARTILES, Spectra
from frod_bench.report import style
from frod_bench.report.figures import applied, legend_handle, save_figure

FLOOR = 1e-4  # of singular values over the largest: what lies below is not drawn
LEVELS = 13  # of a landscape's colours
CAPTION_COLUMNS = 138

_KINDS = {
    expressible.LOW_RANK: style.of_method("lora"),
    expressible.SPARSE: style.of_method("frod"),
    expressible.ON_AXIS: style.of_method("frod")._replace(line="none", marker="D"),
    expressible.RANDOM: style.of_method("frozen"),
}
_KIND_LABELS = {
    expressible.LOW_RANK: "low rank (truncated SVD)",
    expressible.SPARSE: "FRoD: on axis + sparse rotation",
    expressible.ON_AXIS: "FRoD's scales alone (on axis)",
    expressible.RANDOM: "random subspace",
}


def write_spectrum(found: Spectra, told: About, out_dir: Path) -> list[Path]:
    """`update_spectrum.png` and `.pdf`; returns the paths."""
    return _saved(draw_spectrum(found, told), out_dir, "update_spectrum")


def write_expressible(layers: pd.DataFrame, told: About, out_dir: Path) -> list[Path]:
    """`expressible.png` and `.pdf`; returns the paths."""
    return _saved(draw_expressible(expressible.pooled(layers), told), out_dir, "expressible")


def write_landscape(points: pd.DataFrame, told: About, out_dir: Path) -> list[Path]:
    """`landscape.png` and `.pdf`, and where there are several seeds a pair for each."""
    seeds = sorted(set(points["seed"]))
    paths = []
    for seed in seeds:
        figure = draw_landscape(points[points["seed"] == seed], told)
        name = "landscape" if len(seeds) == 1 else f"landscape_seed_{seed}"
        paths += _saved(figure, out_dir, name)
    return paths


def draw_spectrum(found: Spectra, told: About) -> Figure:
    """A column a task: singular values above, effective rank by category below."""
    tasks = list(dict.fromkeys(found.layers["task"]))
    methods = list(dict.fromkeys(found.lines["method"]))
    with applied():
        figure, axes = _grid(2, len(tasks), 5.4)
        for column, task in enumerate(tasks):
            lines = found.lines[found.lines["task"] == task]
            layers = found.layers[found.layers["task"] == task]
            _draw_values(axes[0, column], lines)
            _draw_ranks(axes[1, column], layers[layers["method"].isin(methods)], methods)
            axes[0, column].set_title(task, fontsize=8.5)
        axes[0, 0].set_ylabel("singular value / largest")
        axes[1, 0].set_ylabel("effective rank (directions)")
        caption = (
            "Change of the adapted layers' weights by training. Above: singular values over the "
            "largest of their layer; line: median over layers and seeds, band: the middle half. "
            "Below: effective rank (e to the entropy of the singular values) by a layer's role; "
            f"marker: median, bar: range over blocks and seeds. {told.words}"
        )
        _frame(figure, f"Learned updates · {told.title}", caption)
        figure.subplots_adjust(left=0.085, right=0.985, top=0.86, bottom=0.27, hspace=0.42)
        _legend(figure, methods)
    return figure


def _draw_values(ax: Axes, lines: pd.DataFrame) -> None:
    for method, line in lines.groupby("method", sort=False):
        look = style.of_method(str(method))
        shown = line[line["median"] >= FLOOR]
        ax.fill_between(
            shown["index"],
            shown["low"].clip(FLOOR),
            shown["high"],
            color=look.color,
            alpha=0.13,
            lw=0,
        )
        ax.plot(shown["index"], shown["median"], color=look.color, linestyle=look.line)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 1.5)
    ax.set_xlabel("index of the singular value")
    ax.xaxis.set_major_formatter(ScalarFormatter())


def _draw_ranks(ax: Axes, layers: pd.DataFrame, methods: Sequence[str]) -> None:
    categories = list(dict.fromkeys(layers["category"]))
    for number, method in enumerate(methods):
        look = style.of_method(method)
        at = np.arange(len(categories)) + 0.7 * ((number + 0.5) / len(methods) - 0.5)
        ranks = layers[layers["method"] == method].groupby("category")["effective_rank"]
        low, median, high = (values.reindex(categories) for values in _range(ranks))
        ax.vlines(at, low, high, color=look.color, lw=1)
        ax.plot(at, median, look.marker, color=look.color, mec="white", mew=0.6, ms=5)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(categories)), categories, rotation=40, ha="right", fontsize=6.5)


def _range(groups: "pd.core.groupby.SeriesGroupBy") -> tuple[pd.Series, pd.Series, pd.Series]:
    return groups.min(), groups.quantile(QUARTILES[1]), groups.max()


def draw_expressible(pooled: pd.DataFrame, told: About) -> Figure:
    """A panel an update: relative error of the best approximation by trained values."""
    updates = list(dict.fromkeys(zip(pooled["task"], pooled["method"], strict=True)))
    with applied():
        figure, axes = _grid(1, len(updates), 3.7)
        for ax, (task, method) in zip(axes[0], updates, strict=True):
            shown = pooled[(pooled["task"] == task) & (pooled["method"] == method)]
            for kind, look in _KINDS.items():
                _draw_errors(ax, shown[shown["parametrisation"] == kind], look)
            own = shown.loc[shown["budget"] == expressible.OWN, "percent"].mean()
            ax.axvline(own, color=style.MUTED, lw=0.7, ls=(0, (2, 2)), zorder=1)
            ax.set_title(f"{task}, update of {method}", fontsize=8.5)
            ax.set_xscale("log")
            ax.set_xlabel("trained values, % of the adapted weights")
            ax.xaxis.set_major_formatter(ScalarFormatter())
            ax.set_ylim(0, 1.04)
            ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes[0, 0].set_ylabel("relative error of the update")
        caption = (
            "Frobenius norm of what the best approximation leaves of the update of all adapted "
            "layers, over the update's; line: mean over seeds, band: range. At each budget but "
            "that of the scales all train equally many values. The truncated SVD picks its "
            "subspace with the update in sight; FRoD's basis and support are fixed before "
            "training, and so is the random subspace, which expresses what its share of the "
            f"dimensions does. Dotted upright line: FRoD's own budget. {told.words}"
        )
        _frame(figure, f"What could express the update · {told.title}", caption)
        figure.subplots_adjust(left=0.085, right=0.985, top=0.76, bottom=0.33, wspace=0.14)
        handles = [legend_handle(_KIND_LABELS[kind], look) for kind, look in _KINDS.items()]
        _legend_of(figure, handles)
    return figure


def _draw_errors(ax: Axes, errors: pd.DataFrame, look: style.MethodStyle) -> None:
    by_budget = errors.groupby("budget")
    found = pd.DataFrame(
        {
            "percent": by_budget["percent"].mean(),
            "low": by_budget["error"].min(),
            "mean": by_budget["error"].mean(),
            "high": by_budget["error"].max(),
        }
    ).sort_values("percent")
    ax.fill_between(
        found["percent"], found["low"], found["high"], color=look.color, alpha=0.13, lw=0
    )
    ax.plot(
        found["percent"],
        found["mean"],
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        mec="white",
        mew=0.6,
        ms=5,
    )


def draw_landscape(points: pd.DataFrame, told: About) -> Figure:
    """A row a task, a column a centre; one colour scale a row."""
    tasks = list(dict.fromkeys(points["task"]))
    centres = list(dict.fromkeys(points["centre"]))
    with applied():
        figure, axes = _grid(len(tasks), len(centres), 1.35 * len(tasks) + 1.5)
        for row, task in enumerate(tasks):
            of_task = points[points["task"] == task]
            scale = _loss_levels(of_task["loss"])
            for column, centre in enumerate(centres):
                shown = of_task[of_task["centre"] == centre]
                _draw_plane(axes[row, column], shown, scale)
                if row == 0:
                    axes[row, column].set_title(centre, fontsize=8.5, pad=12)
            _colorbar(figure, axes[row], scale)
            axes[row, 0].set_ylabel(f"{task}\nb, filter norms")
        for ax in axes[-1]:
            ax.set_xlabel("a, filter norms")
        caption = (
            "Loss on held-out rows at W + a D1 + b D2, W the weights of all adapted layers at the "
            "start or at a method's end. D1 and D2 are random, each row scaled to the norm of that "
            "row of the pretrained weights, and the same in all panels of a row, as is the scale "
            "of colours (logarithmic). Above a panel: the loss at its centre (cross). The start "
            f"is shared: before the first step these methods compute the same. {told.words}"
        )
        _frame(figure, f"Loss around start and ends · {told.title}", caption)
        low = 1.25 / figure.get_figheight()
        high = 1 - 0.62 / figure.get_figheight()
        figure.subplots_adjust(left=0.1, right=0.92, top=high, bottom=low, wspace=0.12, hspace=0.32)
    return figure


def _loss_levels(losses: pd.Series) -> np.ndarray:
    """Edges of the colours, evenly spaced on a logarithmic scale."""
    known = losses[np.isfinite(losses) & (losses > 0)]
    return np.geomspace(known.min(), known.max() * (1 + 1e-9), LEVELS)


def _draw_plane(ax: Axes, points: pd.DataFrame, levels: np.ndarray) -> None:
    ax.set_box_aspect(1)
    ax.grid(visible=False)
    ax.tick_params(labelbottom=ax.get_subplotspec().is_last_row())  # type: ignore[union-attr]
    ax.tick_params(labelleft=ax.get_subplotspec().is_first_col())  # type: ignore[union-attr]
    if points.empty:
        ax.set_axis_off()
        return
    losses = points.pivot_table(index="b", columns="a", values="loss", dropna=False)
    norm = LogNorm(levels[0], levels[-1])
    filled = losses.fillna(levels[-1]).clip(levels[0], levels[-1])
    ax.contourf(losses.columns, losses.index, filled, levels=levels, norm=norm, cmap="viridis")
    ax.contour(losses.columns, losses.index, filled, levels=levels, colors="white", linewidths=0.25)
    ax.plot(0, 0, "+", color="white", mec="white", ms=6, mew=1.2)
    centre = points.loc[np.hypot(points["a"], points["b"]).idxmin(), "loss"]
    ax.text(0.5, 1.03, f"{centre:.3f}", transform=ax.transAxes, ha="center", fontsize=7)
    ends = [-landscape.SPAN, 0, landscape.SPAN]
    ax.set_xticks(ends)
    ax.set_yticks(ends)


def _colorbar(figure: Figure, axes: Sequence[Axes], levels: np.ndarray) -> None:
    mappable = mpl.cm.ScalarMappable(LogNorm(levels[0], levels[-1]), "viridis")
    bar = figure.colorbar(mappable, ax=list(axes), pad=0.015, aspect=12, fraction=0.02)
    bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label("loss", fontsize=7)
    bar.outline.set_visible(False)


def _grid(rows: int, columns: int, height_in: float) -> tuple[Figure, np.ndarray]:
    return plt.subplots(
        rows,
        columns,
        figsize=(style.PAGE_WIDTH_IN, height_in),
        sharey="row",
        squeeze=False,
    )


def _frame(figure: Figure, title: str, caption: str) -> None:
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.15 / height, title, fontsize=9.5, fontweight="bold", va="center")
    figure.text(
        0.012,
        0.56 / height,
        textwrap.fill(caption, CAPTION_COLUMNS),
        fontsize=7,
        color=style.MUTED,
        va="top",
        linespacing=1.4,
    )


def _legend(figure: Figure, methods: Sequence[str]) -> None:
    _legend_of(figure, [legend_handle(method, style.of_method(method)) for method in methods])


def _legend_of(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.005, 1 - 0.38 / figure.get_figheight()),
        ncols=len(handles),
        columnspacing=1.6,
        handlelength=3.0,
    )


def _saved(figure: Figure, out_dir: Path, name: str) -> list[Path]:
    out_dir.mkdir(parents=True, exist_ok=True)
    return save_figure(figure, out_dir / name)
