"""The analyses as figures, drawn by matplotlib in the look of all figures of the suite."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from frod_bench.analyses import expressible, landscape
from frod_bench.analyses.show import ProfileWords
from frod_bench.analyses.spectrum import QUARTILES, Spectra
from frod_bench.report import style
from frod_bench.report.analyses.layout import ABOVE_IN, BELOW_IN, paged
from frod_bench.report.figures import applied, legend_entry, legend_handle, save_figure
from frod_bench.report.frame import Method

FLOOR = 1e-4  # of singular values over the largest: what lies below is not drawn
LEVELS = 13  # of a landscape's colours
PLAIN = "{x:g}"  # 0.1, 1, 10 along a logarithmic axis

_KINDS = {
    expressible.LOW_RANK: style.of_method(Method("lora")),
    expressible.SPARSE: style.of_method(Method("frod")),
    expressible.ON_AXIS: style.of_method(Method("frod"))._replace(line="none", marker="D"),
    expressible.RANDOM: style.of_method(Method("frozen")),
}
_KIND_LABELS = {
    expressible.LOW_RANK: "low rank (truncated SVD)",
    expressible.SPARSE: "FRoD: on axis + sparse rotation",
    expressible.ON_AXIS: "FRoD's scales alone (on axis)",
    expressible.RANDOM: "random subspace",
}


def write_spectrum(found: Spectra, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`update_spectrum.png` and `.pdf`; returns the paths."""
    return _saved(draw_spectrum(found, told), out_dir, "update_spectrum")


def write_expressible(layers: pd.DataFrame, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`expressible.png` and `.pdf`; returns the paths."""
    return _saved(draw_expressible(expressible.pooled(layers), told), out_dir, "expressible")


def write_landscape(points: pd.DataFrame, told: ProfileWords, out_dir: Path) -> list[Path]:
    """`landscape.png` and `.pdf`, and where there are several seeds a pair for each."""
    seeds = sorted(set(points["seed"]))
    paths = []
    for seed in seeds:
        figure = draw_landscape(points[points["seed"] == seed], told)
        name = "landscape" if len(seeds) == 1 else f"landscape_seed_{seed}"
        paths += _saved(figure, out_dir, name)
    return paths


def draw_spectrum(found: Spectra, told: ProfileWords) -> Figure:
    """A column a task: singular values above, effective rank by category below."""
    tasks = list(dict.fromkeys(found.layers["task"]))
    methods = list(dict.fromkeys(found.lines["method"]))
    caption = (
        "Change of the adapted layers' weights by training. Above: singular values over the "
        "largest of their layer; line: median over layers and seeds, band: the middle half. "
        "Below: effective rank (e to the entropy of the singular values) by a layer's role; "
        f"marker: median, bar: range over blocks and seeds. {told.words}"
    )
    with applied():
        figure, axes = paged(
            f"Learned updates · {told.title}",
            caption,
            (2, len(tasks)),
            1.45,
            legend=[legend_handle(Method(method)) for method in methods],
            below_in=BELOW_IN + 0.35,  # the names of layers lie aslant
            gaps=(0.16, 0.42),
            share_y="row",
        )
        above, below = axes[: len(tasks)], axes[len(tasks) :]
        for task, values, ranks in zip(tasks, above, below, strict=True):
            layers = found.layers[found.layers["task"] == task]
            _draw_values(values, found.lines[found.lines["task"] == task])
            _draw_ranks(ranks, layers[layers["method"].isin(methods)], methods)
            values.set_title(task, fontsize=8.5)
        above[0].set_ylabel("singular value / largest")
        below[0].set_ylabel("effective rank (directions)")
    return figure


def _draw_values(ax: Axes, lines: pd.DataFrame) -> None:
    for method, line in lines.groupby("method", sort=False):
        look = style.of_method(Method(str(method)))
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
    ax.xaxis.set_major_formatter(StrMethodFormatter(PLAIN))


def _draw_ranks(ax: Axes, layers: pd.DataFrame, methods: Sequence[str]) -> None:
    categories = list(dict.fromkeys(layers["category"]))
    for number, method in enumerate(methods):
        look = style.of_method(Method(method))
        at = np.arange(len(categories)) + 0.7 * ((number + 0.5) / len(methods) - 0.5)
        ranks = layers[layers["method"] == method].groupby("category")["effective_rank"]
        low, median, high = (values.reindex(categories) for values in _range(ranks))
        ax.vlines(at, low, high, color=look.color, lw=1)
        ax.plot(at, median, look.marker, color=look.color, mec="white", mew=0.6, ms=5)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(StrMethodFormatter(PLAIN))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(categories)), categories, rotation=40, ha="right", fontsize=6.5)


def _range(groups: "pd.core.groupby.SeriesGroupBy") -> tuple[pd.Series, pd.Series, pd.Series]:
    return groups.min(), groups.quantile(QUARTILES[1]), groups.max()


def draw_expressible(pooled: pd.DataFrame, told: ProfileWords) -> Figure:
    """A panel an update: relative error of the best approximation by trained values."""
    updates = list(dict.fromkeys(zip(pooled["task"], pooled["method"], strict=True)))
    caption = (
        "Frobenius norm of what the best approximation leaves of the update of all adapted "
        "layers, over the update's; line: mean over seeds, band: range. At each budget but "
        "that of the scales all train equally many values. The truncated SVD picks its "
        "subspace with the update in sight; FRoD's basis and support are fixed before "
        "training, and so is the random subspace, which expresses what its share of the "
        f"dimensions does. Dotted upright line: FRoD's own budget. {told.words}"
    )
    with applied():
        figure, axes = paged(
            f"What could express the update · {told.title}",
            caption,
            (1, len(updates)),
            1.6,
            legend=[legend_entry(_KIND_LABELS[kind], look) for kind, look in _KINDS.items()],
            legend_columns=2,
            left_in=0.62,
            gaps=(0.14, 0.0),
            share_y="row",
        )
        for ax, (task, method) in zip(axes, updates, strict=True):
            _draw_update(ax, pooled[(pooled["task"] == task) & (pooled["method"] == method)])
            ax.set_title(f"{task}, update of {method}", fontsize=8.5)
        axes[0].set_ylabel("relative error of the update")
    return figure


def _draw_update(ax: Axes, shown: pd.DataFrame) -> None:
    for kind, look in _KINDS.items():
        _draw_errors(ax, shown[shown["parametrisation"] == kind], look)
    own = shown.loc[shown["budget"] == expressible.OWN, "percent"].mean()
    ax.axvline(own, color=style.MUTED, lw=0.7, ls=(0, (2, 2)), zorder=1)
    ax.set_xscale("log")
    ax.set_xlabel("trained, % of the adapted weights", fontsize=7.5)
    ax.xaxis.set_major_formatter(StrMethodFormatter(PLAIN))
    ax.set_ylim(0, 1.04)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))


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


def draw_landscape(points: pd.DataFrame, told: ProfileWords) -> Figure:
    """A row a task, a column a centre; one colour scale a row."""
    tasks = list(dict.fromkeys(points["task"]))
    centres = list(dict.fromkeys(points["centre"]))
    titles = [centre.replace(" of ", " of\n") for centre in centres]
    caption = (
        "Loss on held-out rows at W + a D1 + b D2, W the weights of all adapted layers at the "
        "start or at a method's end. D1 and D2 are random, each row scaled to the norm of that "
        "row of the pretrained weights, and the same in all panels of a row, as is the scale "
        "of colours (logarithmic). Above a panel: the loss at its centre (cross). "
        f"{_start_words(centres)}{told.words}"
    )
    with applied():
        figure, axes = paged(
            f"Loss around start and ends · {told.title}",
            caption,
            (len(tasks), len(centres)),
            (style.PAGE_WIDTH_IN - 0.72 - 0.58) / (1.12 * len(centres)),  # square panels
            left_in=0.72,
            right_in=0.58,
            above_in=ABOVE_IN + 0.13 * max(title.count("\n") for title in titles),
            gaps=(0.12, 0.32),
            share_y="row",
        )
        for row, task in enumerate(tasks):
            panels = axes[row * len(centres) :][: len(centres)]
            of_task = points[points["task"] == task]
            scale = _loss_levels(of_task["loss"])
            for ax, centre in zip(panels, centres, strict=True):
                _draw_plane(ax, of_task[of_task["centre"] == centre], scale)
            _colorbar(figure, panels[-1], scale)
            panels[0].set_ylabel(f"{task}\nb, filter norms")
        for top, bottom, title in zip(axes, axes[-len(centres) :], titles, strict=False):
            top.set_title(title, fontsize=7.5, pad=11)
            bottom.set_xlabel("a, filter norms", fontsize=7)
    return figure


def _start_words(centres: Sequence[str]) -> str:
    """Whose start the panel of that name is, in sentences; empty where there is none."""
    if landscape.START not in centres:
        return ""
    own = [c.removeprefix(landscape.START_OF) for c in centres if c.startswith(landscape.START_OF)]
    if not own:
        return "The start is shared: before the first step these methods compute the same. "
    ends = [centre for centre in centres if not centre.startswith(landscape.START)]
    shared = ", ".join(method for method in ends if method not in own)
    return (
        f"The start is that of {shared}: before the first step they compute the same. Elsewhere, "
        f"with panels of their own: the start of {', '.join(own)}. "
    )


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
    ax.set_xticks(ends, [f"{end:g}".replace("-", "−") for end in ends], fontsize=6.5)
    ax.set_yticks(ends)
    for label, side in zip(ax.get_xticklabels(), ("left", "center", "right"), strict=False):
        label.set(horizontalalignment=side)  # not into the next panel's


def _colorbar(figure: Figure, beside: Axes, levels: np.ndarray) -> None:
    box = beside.get_position()
    mappable = mpl.cm.ScalarMappable(LogNorm(levels[0], levels[-1]), "viridis")
    bar = figure.colorbar(mappable, cax=figure.add_axes((box.x1 + 0.01, box.y0, 0.01, box.height)))
    bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter(PLAIN))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=6.5)
    bar.set_label("loss", fontsize=7)
    bar.outline.set_visible(False)


def _saved(figure: Figure, out_dir: Path, name: str) -> list[Path]:
    out_dir.mkdir(parents=True, exist_ok=True)
    return save_figure(figure, out_dir / name)
