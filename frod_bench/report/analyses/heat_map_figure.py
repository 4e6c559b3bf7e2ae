"""Heat maps: a panel for each share of rotations, rate of lambda over rate of the rotations."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from frod_bench.report import style
from frod_bench.report.analyses.about import About, scope_name
from frod_bench.report.analyses.heat_map import best, pick_words, place_name, words
from frod_bench.report.analyses.layout import paged

COLORS = colormaps["cividis"]  # light and dark, blue and yellow: the same to any colour vision
SQUARE_IN = 0.3
LIGHT_TEXT_BELOW = 0.5  # of the scale


def draw(found: pd.DataFrame, about: About) -> dict[str, Figure]:
    """A figure for each task and for their mean, by the end of its name."""
    n_tasks = about.frame["task"].nunique()
    return {
        (str(task) or "all_tasks"): _draw_scope(places, scope_name(str(task), n_tasks), about)
        for task, places in found.groupby("task", sort=False)
    }


def _draw_scope(places: pd.DataFrame, name: str, about: About) -> Figure:
    methods = list(dict.fromkeys(places["method"]))
    rates = sorted(set(places["sparse_rate"]))
    lambdas = sorted(set(places["lambda_factor"]))
    rotations = {
        r: sorted(set(places.loc[places["sparse_rate"] == r, "rotation_factor"])) for r in rates
    }
    figure, axes = paged(
        f"{name} · {about.title}",
        _caption(places, about),
        (len(methods), len(rates)),
        SQUARE_IN * len(lambdas),
        widths=[len(rotations[rate]) for rate in rates],
        right_in=0.62,
        share_y=True,
    )
    means = places["mean"].dropna()
    low, high = (means.min(), means.max()) if len(means) else (0.0, 1.0)
    scale = Normalize(low, high if high > low else low + 1e-9)
    for row, method in enumerate(methods):
        of_method = places[places["method"] == method]
        top = best(of_method)
        for column, rate in enumerate(rates):
            ax = axes[row * len(rates) + column]
            panel = of_method[of_method["sparse_rate"] == rate]
            _draw_panel(ax, panel, lambdas, rotations[rate], scale)
            if top is not None and top["sparse_rate"] == rate:
                _frame_place(ax, lambdas, rotations[rate], top)
            ax.set_title(f"s = {rate:g}", fontsize=8, pad=3)
            ax.set_xlabel("factor on the rate of S" if rate else "no S")
            ax.tick_params(labelbottom=bool(rate))
        axes[row * len(rates)].set_ylabel(f"{method}: factor on the rate of λ")
    if len(means):
        _color_bar(figure, axes, scale)
    return figure


def _draw_panel(
    ax: Axes, panel: pd.DataFrame, lambdas: list[float], rotations: list[float], scale: Normalize
) -> None:
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for place in panel.itertuples(index=False):
        x, y = rotations.index(place.rotation_factor), lambdas.index(place.lambda_factor)
        _draw_place(ax, x, y, place, scale)
    ax.set_xlim(-0.5, len(rotations) - 0.5)
    ax.set_ylim(-0.5, len(lambdas) - 0.5)
    ax.set_xticks(range(len(rotations)), [f"{factor:g}" for factor in rotations])
    ax.set_yticks(range(len(lambdas)), [f"{factor:g}" for factor in lambdas])


def _draw_place(ax: Axes, x: int, y: int, place: Any, scale: Normalize) -> None:
    corner = (x - 0.5, y - 0.5)
    if np.isnan(place.mean):
        ax.add_patch(Rectangle(corner, 1, 1, fc="white", ec=style.MUTED, lw=0, hatch="/////"))
        text, color = f"{place.n_cells}/{place.n_expected}", style.INK
        box: dict[str, Any] | None = {"fc": "white", "ec": "none", "pad": 0.8}
    else:
        share = float(scale(place.mean))
        ax.add_patch(Rectangle(corner, 1, 1, fc=COLORS(share), ec="white", lw=0.6))
        text, color = f"{place.mean:.1f}", "white" if share < LIGHT_TEXT_BELOW else style.INK
        box = None
    ax.text(x, y, text, ha="center", va="center", fontsize=6, color=color, bbox=box)


def _frame_place(ax: Axes, lambdas: list[float], rotations: list[float], top: pd.Series) -> None:
    x, y = rotations.index(top["rotation_factor"]), lambdas.index(top["lambda_factor"])
    for width, color in ((3.0, "white"), (1.6, style.STYLES["frod"].color)):
        edge = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec=color, lw=width, zorder=5)
        ax.add_patch(edge).set_clip_on(False)


def _color_bar(figure: Figure, axes: list[Axes], scale: Normalize) -> None:
    box = axes[-1].get_position()
    top = axes[0].get_position().y1
    bar = figure.add_axes((box.x1 + 0.012, box.y0, 0.014, top - box.y0))
    steps = np.linspace(0, 1, 65)[:, None]
    bar.pcolormesh(
        [0, 1], np.linspace(scale.vmin or 0, scale.vmax or 1, 66), steps[:, :], cmap=COLORS,
        rasterized=False,
    )  # fmt: skip
    bar.grid(visible=False)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_ylabel("test score (points)", labelpad=3)
    for spine in bar.spines.values():
        spine.set_visible(False)


def _caption(places: pd.DataFrame, about: About) -> str:
    tops = [best(of_method) for _, of_method in places.groupby("method", sort=False)]
    framed = "; ".join(f"{top['mean']:.1f} at {place_name(top)}" for top in tops if top is not None)
    text = words(about)
    if framed:
        text += f" Framed: the best {pick_words(about)}: {framed}."
    if (places["sparse_rate"] == 0).any():
        text += " At s = 0 there is no S, and its rate is not varied."
    if places["mean"].isna().any():
        text += " Hatched: no mean, for a cell gave no number (cells with one / cells asked for)."
    return text
