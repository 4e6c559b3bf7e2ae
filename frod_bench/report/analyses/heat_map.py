"""Score over the share of trained rotations and the learning rates of λ and S."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from frod_bench.report import style
from frod_bench.report.analyses.about import About, need_axes, points_of, scopes, score_text
from frod_bench.report.figures import Drawing, Look, Props, panelled
from frod_bench.report.frame import AXIS, by_task
from frod_bench.report.keys import TASK_KEY, Task
from frod_bench.report.names import base_names, label, method_named, spelled
from frod_bench.report.table import NOT_THERE, Row, Table

AXES = {
    "sparse_rate": "method.sparse_rate",
    "lambda_factor": "rate_factors.lambda",
    "rotation_factor": "rate_factors.rotation",
}
DARK = 0.5195  # below this share of the scale white has more contrast (WCAG 2) than ink
SQUARE_IN = 0.3


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per scope, method and setting of the grid.

    Columns: scope, task, head, method, those of `AXES`, mean, low, high, n_cells, n_expected,
    holes. mean, low and high are the mean and the range over seeds of the mean over tasks, in
    points; NaN if a run gave no number. Runs without the axes are left out. Raises InputError if
    the experiment lacks an axis.
    """
    need_axes(frame, "heat_map", list(AXES.values()))
    frame = frame.assign(method=base_names(frame))
    keys = ["method", *(f"{AXIS}{key}" for key in AXES.values())]
    rows: list[dict[str, Any]] = []
    for scope, cells in scopes(frame.dropna(subset=keys)):
        for (method, *setting), group in cells.groupby(keys, sort=False):
            named = dict(zip(AXES, setting, strict=True))
            rows.append(scope | {"method": method} | named | points_of(group))
    order = ["scope", *TASK_KEY, "method", *AXES]
    return pd.DataFrame(rows).sort_values(
        order, ascending=[False, *[True] * (len(order) - 1)], kind="stable", ignore_index=True
    )


def best(settings: pd.DataFrame) -> pd.Series | None:
    """The setting with the highest mean, the first of equals; None if there is no mean."""
    known = settings.dropna(subset=["mean"])
    return None if known.empty else known.loc[known["mean"].idxmax()]


def table(found: pd.DataFrame, about: About) -> Table:
    """One row per share of rotations and factor on λ, one column per factor on S."""
    factors = sorted(set(found["rotation_factor"]))
    rows: list[Row] = []
    for (*task, method), settings in found.groupby([*TASK_KEY, "method"], sort=False):
        name, top = label(method_named(method)), best(settings)
        ending = f"; best {top['mean']:.1f} at {setting_name(top)}" if top is not None else ""
        rows.append(Row(f"{name}, {about.scope_name(Task(*task))}{ending}", heading=True))
        for (rate, factor), line in settings.groupby(["sparse_rate", "lambda_factor"]):
            texts = {row.rotation_factor: score_text(row) for row in line.itertuples(index=False)}
            cells = tuple(texts.get(rotation, NOT_THERE) for rotation in factors)
            rows.append(Row(f"s {rate:g}, lambda × {factor:g}", cells))
    return Table(
        f"Share of rotations and learning rates: {about.title}",
        f"{words(about)} If s is 0 there are no rotations, and their learning rate is not varied. "
        f"Best: {pick_words(about)}.",
        ("share of rotations, factor on λ", *(f"rotation × {f:g}" for f in factors)),
        rows,
    )


def setting_name(setting: Any) -> str:
    """A row of `numbers` in words."""
    rotation = f", rotation × {setting['rotation_factor']:g}" if setting["sparse_rate"] else ""
    return f"s {setting['sparse_rate']:g}, lambda × {setting['lambda_factor']:g}{rotation}"


def pick_words(about: About) -> str:
    """How `best` is picked, in words: by the same score that is then shown for it."""
    return f"of all settings by the {about.score} itself ({about.over_seeds()}), which flatters it"


def words(about: About) -> str:
    """What is shown, for the captions of table and figure."""
    return (
        f"{about.score.capitalize()}s in points (100 × the task's primary metric), "
        f"{about.over_seeds()}. s: share of the off-diagonal entries of S that are trained. "
        "Factors multiply the profile's own learning rates of λ and of the rotations S; the head "
        f"keeps its learning rate. {about.setting}"
    )


def draw(found: pd.DataFrame, about: About) -> dict[str, Drawing]:
    """One figure per task, and one of their mean."""
    return {
        f"heat_map_{spelled(task) or 'all_tasks'}": Drawing(
            f"{about.scope_name(task)} · {about.title}",
            _caption(settings, about),
            partial(_draw_scope, settings, about.score),
        )
        for task, settings in by_task(found)
    }


def _draw_scope(settings: pd.DataFrame, score: str, look: Look) -> Figure:
    """One row per method and one panel per share of rotations; in a narrow look one per row."""
    methods = list(dict.fromkeys(settings["method"]))
    lambdas = sorted(set(settings["lambda_factor"]))
    by_rate = settings.groupby("sparse_rate")["rotation_factor"]
    rotations = {rate: sorted(set(factors)) for rate, factors in by_rate}
    columns, ratios = len(rotations), [len(factors) for factors in rotations.values()]
    if look.columns(4) < columns:
        columns, ratios = 1, [1]
    n_panels, height = len(methods) * len(rotations), SQUARE_IN * len(lambdas) + 0.5
    figure, axes = panelled(look, n_panels, columns, height, sharey=True, width_ratios=ratios)
    means = settings["mean"].dropna()
    low, high = (means.min(), means.max()) if len(means) else (0.0, 1.0)
    # From dark blue to yellow: the same to any colour vision.
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1e-9), "cividis")
    panels = iter(axes)
    for method in methods:
        of_method = settings[settings["method"] == method]
        top = best(of_method)
        for rate, factors in rotations.items():
            ax = next(panels)
            _draw_panel(ax, of_method[of_method["sparse_rate"] == rate], lambdas, factors, scale)
            if top is not None and top["sparse_rate"] == rate:
                x, y = factors.index(top["rotation_factor"]), lambdas.index(top["lambda_factor"])
                for width, color in ((3.0, "white"), (1.6, style.STYLES["frod"].color)):
                    edge: Props = {"fill": False, "ec": color, "lw": width, "zorder": 5}
                    frame = Rectangle((x - 0.5, y - 0.5), 1, 1, **edge)
                    ax.add_patch(frame).set_clip_on(False)
            if columns == 1:
                ax.set_xlim(-0.5, max(map(len, rotations.values())) - 0.5)
            ax.set_title(f"s = {rate:g}")
            ax.set_xlabel("factor on S" if rate else "no S")
            ax.tick_params(labelbottom=bool(rate))
            if ax in axes[::columns]:
                ax.set_ylabel(f"{label(method_named(method))}: factor on λ")
    if len(means):
        bar = figure.colorbar(scale, ax=axes, label=f"{score} (points)", pad=0.01, aspect=30)
        bar.outline.set_visible(False)
    return figure


def _draw_panel(
    ax: Axes, panel: pd.DataFrame, lambdas: list[float], rotations: list[float], scale: Any
) -> None:
    ax.grid(visible=False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    text: Props = {"ha": "center", "va": "center", "fontsize": 6.5}
    for setting in panel.itertuples(index=False):
        x, y = rotations.index(setting.rotation_factor), lambdas.index(setting.lambda_factor)
        corner = (x - 0.5, y - 0.5)
        if np.isnan(setting.mean):
            ax.add_patch(Rectangle(corner, 1, 1, fc="white", ec=style.MUTED, lw=0, hatch="/////"))
            box = {"fc": "white", "ec": "none", "pad": 0.8}
            ax.text(x, y, f"{setting.n_cells}/{setting.n_expected}", bbox=box, **text)
        else:
            color = scale.to_rgba(setting.mean)
            ax.add_patch(Rectangle(corner, 1, 1, fc=color, ec="white", lw=0.6))
            ink = "white" if scale.norm(setting.mean) < DARK else style.INK
            ax.text(x, y, f"{setting.mean:.1f}", color=ink, **text)
    ax.set_xlim(-0.5, len(rotations) - 0.5)
    ax.set_ylim(-0.5, len(lambdas) - 0.5)
    ax.set_xticks(range(len(rotations)), [f"{factor:g}" for factor in rotations])
    ax.set_yticks(range(len(lambdas)), [f"{factor:g}" for factor in lambdas])


def _caption(settings: pd.DataFrame, about: About) -> str:
    tops = [best(of_method) for _, of_method in settings.groupby("method", sort=False)]
    framed = "; ".join(
        f"{top['mean']:.1f} at {setting_name(top)}" for top in tops if top is not None
    )
    text = words(about)
    if framed:
        text += f" Framed: the best {pick_words(about)}: {framed}."
    if (settings["sparse_rate"] == 0).any():
        text += " At s = 0 there is no S, and its learning rate is not varied."
    if settings["mean"].isna().any():
        text += " Hatched: no mean because runs gave no number (runs with one / runs asked for)."
    return text
