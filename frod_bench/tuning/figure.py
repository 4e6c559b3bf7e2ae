"""Sensitivity to the learning rate, as the search saw it: a panel for each family."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from frod_bench.common.names import MATCHED_ENDING, has_settings, without_head
from frod_bench.report import figures, style
from frod_bench.report.figures import Drawing, Look
from frod_bench.report.folder import COLUMNS
from frod_bench.report.keys import FROZEN, Family, Method
from frod_bench.report.names import label, method_named
from frod_bench.report.sensitivity import first_grid
from frod_bench.tuning.procedure import HEAD, ROTATION

SCORES = (
    "Mean over the tasks of a family of the primary metric on validation (points), over the "
    "method's learning rate (of FRoD: lambda's, {rotation}{frozen}), with the head at {head}; a "
    "run that diverged, or has no score, scores 0. Filled markers: the pick, after {others} were "
    "searched, too."
)
CAPTION = SCORES.format(
    rotation="with the rotation's tied to it",
    frozen="; of the frozen backbone: the head's",
    head="the best of the frozen backbone",
    others="the head's rate and the ratio of the rotation's",
)
CAPTION_OF_VARIANTS = SCORES.format(
    rotation="with the rotation's in the ratio that was picked for FRoD",
    frozen="",
    head="the method's own pick",
    others="FRoD's other ratios",
)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """family, method, rate, points: the first grid of each method."""
    searched = table.groupby(["family", "method"], sort=False)
    rows = pd.concat([first_grid(of_method) for _, of_method in searched])
    rows = rows.assign(rate=main_rate(rows))
    by_task = rows.groupby(["family", "method", "rate", "task"], sort=False)["points"].mean()
    return by_task.groupby(["family", "method", "rate"], sort=False).mean().reset_index()


def main_rate(rows: pd.DataFrame) -> pd.Series:
    """The rate that is searched first, of each row: that of neither head nor rotation, but for the
    frozen backbone, which has the head's alone.
    """
    others = (f"lr_{HEAD}", f"lr_{ROTATION}")
    columns = [name for name in rows if name.startswith("lr_") and name not in others]
    own = rows[columns].bfill(axis=1).iloc[:, 0]
    return own.where(rows["method"] != FROZEN.method, rows[f"lr_{HEAD}"])


def drawings(name: str, table: pd.DataFrame, picks: pd.DataFrame, title: str) -> dict[str, Drawing]:
    """The figures of a search, by file name.

    There is one of variants, or of the main table's methods, one of the same methods at other
    budgets, and one of all other methods. A group without rates of its own, such as the frozen
    backbone alone, has no figure.
    """
    return {
        name + group: drawing(of_group, picks, title)
        for group, of_group in table.groupby(table["method"].map(_group))
        if of_group["rate_step"].notna().any()
    }


def _group(method: str) -> str:
    if method in COLUMNS or has_settings(method):
        return ""
    return "_matched" if method.endswith(MATCHED_ENDING) else "_others"


def drawing(table: pd.DataFrame, picks: pd.DataFrame, title: str) -> Drawing:
    """The figure of a search and its picks; `title` is the profile's."""
    found = curves(table)
    families = list(dict.fromkeys(found["family"]))
    methods = list(dict.fromkeys(found["method"]))

    def draw(look: Look) -> Figure:
        handles = [figures.legend_handle(_key(method)) for method in methods]
        figure, axes = figures.panelled(
            look,
            len(families),
            look.columns(3),
            2.3,
            handles,
            y_label="validation score (points)",
        )
        for family, ax in zip(families, axes, strict=True):
            _draw_family(ax, found[found["family"] == family], picks[picks["family"] == family])
            ax.set_title(label(Family(*without_head(family))))
        return figure

    def draw_apart(look: Look) -> Figure:
        with style.telling_apart(map(_key, methods)):
            return draw(look)

    caption = CAPTION_OF_VARIANTS if any(map(has_settings, methods)) else CAPTION
    return Drawing(f"Score over the learning rate · {title}", caption, draw_apart)


def _key(method: str) -> Method:
    """A method, or a variant of one, as the tables of a search name it."""
    name, _, settings = method.removesuffix(")").partition(" (")
    return method_named(name, settings)


def _draw_family(ax: Axes, lines: pd.DataFrame, picks: pd.DataFrame) -> None:
    for method, line in lines.sort_values("rate").groupby("method", sort=False):
        look = style.of_method(_key(str(method)))
        hollow = figures.marker_of(look, 0.7) | {"mfc": "white", "mec": look.color, "mew": 0.7}
        ax.plot(line["rate"], line["points"], color=look.color, ls=look.line, **hollow)
        own = picks[picks["method"] == method]
        marker = figures.marker_of(look, 1.3, zorder=5)
        ax.plot(main_rate(own), own["points"], color=look.color, ls="", **marker)
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("learning rate")
