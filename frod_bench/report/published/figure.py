"""The figure of what others measured: released training losses, and PEFT's accuracies."""

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from frod_bench.report import style
from frod_bench.report.curves import band_over_seeds
from frod_bench.report.figures import (
    Drawing,
    Look,
    draw_panel,
    legend_handle,
    marker_of,
    panelled,
)
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.panels import Caption, Panels
from frod_bench.report.published.numbers import (
    LOSS,
    Published,
    labelled_runs,
    points_to_loss,
)
from frod_bench.report.rules import ConvergenceRule

X_LABEL = "logged points, one batch in ten"
COLUMN_GAP = 0.45  # decades of parameters between labels in different columns
LABEL_GAP = 1 / 17  # of the panel's height, between two labels in a column


def released_panels(published: Published, rule: ConvergenceRule) -> Panels:
    """The released training losses: median and range of each method's runs, and when it reaches
    `LOSS`.
    """
    curves, ours = published.curves, Method(rule.ours)
    found = points_to_loss(curves, ours, rule.window_evaluations).set_index("method")
    smoothed = {
        method: [curve.smoothed(rule.window_evaluations) for curve in runs]
        for method, runs in curves.items()
    }
    runs = max(map(len, curves.values()))
    return Panels(
        title="What others measured",
        y_label="training loss (nats)",
        caption=Caption(
            f"The training losses on Stanford Cars that FRoD's authors released, smoothed over "
            f"{rule.window_evaluations} logged points. Line: median over {runs} runs; band: their "
            f"range. A marker shows when a method reaches a loss of {LOSS:g}."
        ),
        bands={"steps": {m: band_over_seeds(of, "steps") for m, of in smoothed.items()}},
        x_labels={"steps": X_LABEL},
        target=LOSS,
        arrived={"steps": {m: float(found.loc[m.method, "points"]) for m in curves}},
        is_loss=True,
    )


def draw(published: Published, rule: ConvergenceRule) -> Drawing:
    """Released training losses, and next to them PEFT's accuracies over trained parameters."""
    panels = released_panels(published, rule)

    def figure_in(look: Look) -> Figure:
        handles = [legend_handle(method) for method in panels.bands["steps"]]
        columns = look.columns(2)
        height = 2.6 if columns == 2 else 2.2
        figure, (losses, scores) = panelled(look, 2, columns, height, handles)
        draw_panel(losses, panels, "steps")
        _decades(losses, "y")
        losses.set_ylabel(panels.y_label)
        _draw_scores(scores, published.runs, [rule.ours, *rule.decides, *rule.shown])
        return figure

    caption = (
        f"{panels.caption} Right: the runs of PEFT's comparison on MetaMathQA with Llama-3.2-3B, "
        "one run each, untuned. Other data, backbones and settings than in this report's runs."
    )
    return Drawing(panels.title, caption, figure_in)


def _draw_scores(ax: Axes, runs: pd.DataFrame, front: Collection[str]) -> None:
    """A marker per run, and its method's name in a column to the right of those near it; methods
    in `front` hide others.
    """
    named = labelled_runs(runs).sort_values("trained", kind="stable")
    named = named.assign(score=100 * named["test_accuracy"], millions=named["trained"] / 1e6)
    for row in named.itertuples(index=False):
        look = style.of_method(Method(row.method))
        above = 5 if row.method in front else 4
        marker = marker_of(look, 0.9, mew=0.6)
        ax.plot(row.millions, row.score, color=look.color, **marker, zorder=above)
    _decades(ax, "x")
    ax.set_xlabel("trained parameters (millions)")
    ax.set_ylabel("test accuracy (%)")
    margin = 0.15 * (named["score"].max() - named["score"].min())
    bottom, top = named["score"].min() - margin, named["score"].max() + margin
    ax.set_ylim(bottom, top)
    ax.set_xlim(named["millions"].min() / 2, named["millions"].max() * 9)
    column = (np.log10(named["millions"]).diff() > COLUMN_GAP).cumsum()
    for _, near in named.groupby(column):
        by_score = near.sort_values("score", kind="stable")
        heights = _apart(by_score["score"].to_numpy(), LABEL_GAP * (top - bottom))
        line = {"arrowstyle": "-", "lw": 0.4, "color": style.MUTED, "shrinkB": 3, "shrinkA": 0}
        for row, height in zip(by_score.itertuples(index=False), heights, strict=True):
            ax.annotate(
                label(Method(row.method, row.variant)),
                (row.millions, row.score),
                xytext=(near["millions"].max() * 1.8, height),
                va="center",
                fontsize=6.5,
                arrowprops={**line, "relpos": (0, 0.5)},
            )


def _decades(ax: Axes, name: Literal["x", "y"]) -> None:
    """A logarithmic axis with plain numbers at its decades."""
    ax.set(**{f"{name}scale": "log"})
    getattr(ax, f"{name}axis").set_major_formatter("{x:g}")


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """The increasing heights, moved so that any two are at least `gap` apart, their mean kept
    within each group that had to move.
    """
    groups: list[list[float]] = []  # of heights that touch, as they are
    for height in heights:
        groups.append([float(height)])
        while len(groups) > 1 and _spread(groups[-2], gap)[-1] + gap > _spread(groups[-1], gap)[0]:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [place for group in groups for place in _spread(group, gap)]


def _spread(group: Sequence[float], gap: float) -> list[float]:
    """Heights `gap` apart around the mean of a group."""
    first = float(np.mean(group)) - gap * (len(group) - 1) / 2
    return [first + gap * place for place in range(len(group))]
