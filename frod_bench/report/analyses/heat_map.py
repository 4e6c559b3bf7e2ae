"""Score over share of rotations, rate of lambda and rate of the rotations."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from frod_bench.report import style
from frod_bench.report.analyses.about import (
    LAMBDA_FACTOR,
    ROTATION_FACTOR,
    SPARSE_RATE,
    About,
    need_axes,
    points_of,
    scope_name,
    scopes,
    score_text,
)
from frod_bench.report.analyses.layout import paged
from frod_bench.report.frame import AXIS, TASK_KEY, Method, Task, by_task, tasks_in
from frod_bench.report.names import label, spelled
from frod_bench.report.table import NOT_THERE, Row, Table

AXES = {
    "sparse_rate": SPARSE_RATE,
    "lambda_factor": LAMBDA_FACTOR,
    "rotation_factor": ROTATION_FACTOR,
}
COLUMNS = (
    "scope",
    *TASK_KEY,
    "method",
    *AXES,
    "mean",
    "low",
    "high",
    "n_cells",
    "n_expected",
    "holes",
)


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each scope, method and place of the grid; `COLUMNS` are its columns.

    mean, low and high are the mean and the range over seeds of the mean over tasks, in points; NaN
    where a cell gave no number. Cells off the axes (a method without them) are left out. Raises
    InputError where the experiment lacks an axis.
    """
    need_axes(frame, "heat_map", list(AXES.values()))
    keys = ["method", *(f"{AXIS}{key}" for key in AXES.values())]
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame.dropna(subset=keys)):
        for (method, *place), group in cells.groupby(keys, sort=False):
            named = dict(zip(AXES, place, strict=True))
            rows.append(scope | {"method": method} | named | points_of(group))
    order = ["scope", *TASK_KEY, "method", *AXES]
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    return found.sort_values(
        order, ascending=[False, *[True] * (len(order) - 1)], kind="stable", ignore_index=True
    )


def best(places: pd.DataFrame) -> pd.Series | None:
    """The place with the highest mean; the first of equal ones, None where there is no mean."""
    known = places.dropna(subset=["mean"])
    return None if known.empty else known.loc[known["mean"].idxmax()]


def table(found: pd.DataFrame, about: About) -> Table:
    """A row for each share of rotations and rate of lambda, a column for each rate of rotations."""
    n_tasks = len(tasks_in(about.frame))
    factors = sorted(set(found["rotation_factor"]))
    rows: list[Row] = []
    for (*task, method), places in found.groupby([*TASK_KEY, "method"], sort=False):
        name, top = label(Method(method)), best(places)
        ending = f"; best {top['mean']:.1f} at {place_name(top)}" if top is not None else ""
        rows.append(Row(f"{name}, {scope_name(Task(*task), n_tasks)}{ending}", heading=True))
        for (rate, factor), line in places.groupby(["sparse_rate", "lambda_factor"]):
            texts = {row.rotation_factor: score_text(row) for row in line.itertuples(index=False)}
            cells = tuple(texts.get(rotation, NOT_THERE) for rotation in factors)
            rows.append(Row(f"s {rate:g}, lambda × {factor:g}", cells))
    return Table(
        f"Share of rotations and learning rates: {about.title}",
        f"{words(about)} Where s is 0 there are no rotations, and their rate is not varied. "
        f"Best: {pick_words(about)}.",
        ("share of rotations and rate of lambda", *(f"rotation × {f:g}" for f in factors)),
        rows,
    )


def place_name(place: Any) -> str:
    """Where a row of `numbers` lies, in words."""
    rotation = f", rotation × {place['rotation_factor']:g}" if place["sparse_rate"] else ""
    return f"s {place['sparse_rate']:g}, lambda × {place['lambda_factor']:g}{rotation}"


def pick_words(about: About) -> str:
    """What `best` is, for the captions: what it is picked by is what is shown of it."""
    return f"of all settings by the test score itself ({_mean_words(about)}), which flatters it"


def _mean_words(about: About) -> str:
    seeds = about.frame["seed"].nunique()
    return "one seed" if seeds == 1 else f"mean over {seeds} seeds"


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    return (
        f"Test scores in points (100 × the task's primary metric), {_mean_words(about)}. s: share "
        "of the off-diagonal places of S that are trained; factors multiply the profile's own "
        "learning rates of lambda and of the rotations S, the head keeps its rate. "
        f"{about.setting}"
    )


COLORS = colormaps["cividis"]  # light and dark, blue and yellow: the same to any colour vision
SQUARE_IN = 0.3
LIGHT_TEXT_BELOW = 0.5  # of the scale


def draw(found: pd.DataFrame, about: About) -> dict[str, Figure]:
    """A figure for each task and for their mean, by the end of its name."""
    n_tasks = len(tasks_in(about.frame))
    return {
        (spelled(task) or "all_tasks"): _draw_scope(places, scope_name(task, n_tasks), about)
        for task, places in by_task(found)
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
        axes[row * len(rates)].set_ylabel(f"{label(Method(method))}: factor on the rate of λ")
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
