"""How the learned update W_after - W_before of each layer is spread over directions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter
from torch import Tensor

from frod_bench.analyses.command import Context, Say
from frod_bench.analyses.updates import Update, layer_updates, training_hash_of
from frod_bench.cells.cell import Cell
from frod_bench.frod.targets import category_of
from frod_bench.report import style
from frod_bench.report.figures import Drawing, Look, legend_handle, panelled
from frod_bench.report.keys import Task
from frod_bench.report.names import label, method_named
from frod_bench.report.table import NOT_THERE, Row, Table

REFERENCE = "full"  # the method whose update the others' are compared with
QUARTILES = (0.25, 0.5, 0.75)
FLOOR = 1e-4  # of singular values over the largest: smaller ones are not drawn
COLUMNS = {  # of the table: name, factor and format of a column of `Spectra.layers`
    "relative_norm": ("||change|| / ||weight||, %", 100.0, "{:.2f}"),
    "effective_rank": ("effective rank", 1.0, "{:.1f}"),
    "stable_rank": ("stable rank", 1.0, "{:.1f}"),
    "cosine_with_full": ("cosine with full fine-tuning", 1.0, "{:.3f}"),
}


@dataclass(frozen=True)
class Spectra:
    """The numbers of the analysis; quartiles are over layers and seeds."""

    layers: pd.DataFrame  # one row per layer of a cell; NaN without an update
    lines: pd.DataFrame  # quartiles of singular values over the largest, by task, method, index


def analyze(cells: Sequence[Cell], context: Context, say: Say) -> list[Path]:
    """Measure; write `update_spectrum.*` (the CSV by layer) and `update_spectrum_lines.csv`."""
    found = measure(cells, say)
    summary, lines = table(found.layers, context), {"update_spectrum_lines": found.lines}
    drawings = {"update_spectrum": draw(found, context)}
    return context.write("update_spectrum", summary, found.layers, lines, drawings)


def effective_rank(singular_values: np.ndarray) -> float:
    """Return e to the entropy of the values' shares (Roy and Vetterli, EUSIPCO 2007), or NaN."""
    total = singular_values.sum()
    if total == 0:
        return math.nan
    shares = singular_values[singular_values > 0] / total
    return float(np.exp(-np.sum(shares * np.log(shares))))


def stable_rank(singular_values: np.ndarray) -> float:
    """Return ||A||_F^2 / ||A||_2^2; NaN for a zero matrix."""
    largest = singular_values.max()
    return math.nan if largest == 0 else float(np.sum((singular_values / largest) ** 2))


def cosine(one: Tensor, other: Tensor) -> float:
    """Return the cosine of two matrices as vectors; NaN if one is zero."""
    product = float(torch.linalg.norm(one) * torch.linalg.norm(other))
    return math.nan if product == 0 else float(torch.sum(one * other)) / product


def measure(cells: Sequence[Cell], say: Say) -> Spectra:
    """Return the spectra of all trained cells."""
    rows: list[dict[str, Any]] = []
    relative: dict[tuple[str, str], list[np.ndarray]] = {}
    for task, seed in dict.fromkeys((cell.task, cell.seed) for cell in cells):
        group = [cell for cell in cells if (cell.task, cell.seed) == (task, seed)]
        full: Mapping[str, Update] | None = None
        for cell in sorted(group, key=lambda cell: cell.method != REFERENCE):  # the reference first
            say(f"{cell.label}: spectrum of its update")
            updates, trained = layer_updates(cell), training_hash_of(cell)
            full = updates if cell.method == REFERENCE else full
            for name, update in updates.items():
                change, values = update.change, torch.linalg.svdvals(update.change).numpy()
                norms = torch.linalg.norm(change) / torch.linalg.norm(update.before)
                rows.append(
                    {
                        "task": task,
                        "family": cell.family,
                        "method": cell.method,
                        "seed": seed,
                        "training_hash": trained,
                        "layer": name,
                        "category": category_of(name),
                        "rows": change.shape[0],
                        "columns": change.shape[1],
                        "relative_norm": float(norms),
                        "effective_rank": effective_rank(values),
                        "stable_rank": stable_rank(values),
                        "cosine_with_full": cosine(change, full[name].change) if full else math.nan,
                    }
                )
                if values[0] > 0:
                    relative.setdefault((task, cell.method), []).append(values / values[0])
    order = list(dict.fromkeys(cell.method for cell in cells))
    layers = pd.DataFrame(rows).sort_values(
        ["task", "method", "seed"],
        key=lambda column: column.map(order.index) if column.name == "method" else column,
        kind="stable",
        ignore_index=True,
    )
    return Spectra(layers, _lines(relative))


def _lines(relative: Mapping[tuple[str, str], Sequence[np.ndarray]]) -> pd.DataFrame:
    found = []
    for (task, method), spectra in relative.items():
        for index in range(max(map(len, spectra))):
            at = [values[index] for values in spectra if len(values) > index]
            low, median, high = np.quantile(at, QUARTILES)
            found.append((task, method, index + 1, low, median, high))
    return pd.DataFrame(found, columns=["task", "method", "index", "low", "median", "high"])


def table(layers: pd.DataFrame, context: Context) -> Table:
    """Return one row per task and method."""
    rows = []
    for task, of_task in layers.groupby("task", sort=False):
        rows.append(Row(label(Task(str(task))), heading=True))
        for method, group in of_task.groupby("method", sort=False):
            cells = tuple(
                _quartiles(scale * group[name], form) for name, (_, scale, form) in COLUMNS.items()
            )
            rows.append(Row(label(method_named(str(method))), cells))
    return Table(
        f"Learned updates: {context.title}",
        "Of the change of each adapted layer's weight, W after training minus W before: its size, "
        "over how many directions it is spread, and its cosine with full fine-tuning's of the "
        "same seed. Median over layers and seeds, with the middle half in brackets. "
        f"{context.caption}",
        ("method", *(label for label, _, _ in COLUMNS.values())),
        rows,
    )


def _quartiles(values: pd.Series, form: str) -> str:
    known = values.dropna()
    if known.empty:
        return NOT_THERE
    low, median, high = (form.format(value) for value in np.quantile(known, QUARTILES))
    return f"{median} [{low}, {high}]"


def draw(found: Spectra, context: Context) -> Drawing:
    """Draw a column per task: singular values above, effective rank by category below."""
    tasks, methods = found.layers["task"].unique(), list(found.lines["method"].unique())
    caption = (
        "Change of the adapted layers' weights by training. Above: singular values over the "
        "largest of their layer; line: median over layers and seeds, band: the middle half. "
        "Below: effective rank (e to the entropy of the singular values) by the layer's role; "
        f"marker: median, bar: range over blocks and seeds. {context.caption}"
    )

    def panels(look: Look) -> Figure:
        handles = [legend_handle(method_named(method)) for method in methods]
        figure, axes = panelled(look, 2 * len(tasks), len(tasks), 1.95, handles, sharey="row")
        above, below = axes[: len(tasks)], axes[len(tasks) :]
        for task, values, ranks in zip(tasks, above, below, strict=True):
            layers = found.layers[found.layers["task"] == task]
            _draw_values(values, found.lines[found.lines["task"] == task])
            _draw_ranks(ranks, layers[layers["method"].isin(methods)], methods)
            values.set_title(label(Task(task)))
        above[0].set_ylabel("singular value / largest")
        below[0].set_ylabel("effective rank (directions)")
        return figure

    return Drawing(f"Learned updates · {context.title}", caption, panels)


def _draw_values(ax: Axes, lines: pd.DataFrame) -> None:
    for method, line in lines.groupby("method", sort=False):
        look = style.of_method(method_named(str(method)))
        shown = line[line["median"] >= FLOOR]
        index, low = shown["index"], shown["low"].clip(FLOOR)
        ax.fill_between(index, low, shown["high"], color=look.color, alpha=0.13, lw=0)
        ax.plot(index, shown["median"], color=look.color, linestyle=look.line)
    ax.set(xscale="log", yscale="log", ylim=(FLOOR, 1.5), xlabel="index of the singular value")
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _draw_ranks(ax: Axes, layers: pd.DataFrame, methods: Sequence[str]) -> None:
    categories = layers["category"].unique()
    for number, method in enumerate(methods):
        look = style.of_method(method_named(method))
        at = np.arange(len(categories)) + 0.7 * ((number + 0.5) / len(methods) - 0.5)
        ranks = layers[layers["method"] == method].groupby("category")["effective_rank"]
        found = ranks.agg(["min", "median", "max"]).reindex(categories)
        ax.vlines(at, found["min"], found["max"], color=look.color, lw=1)
        ax.plot(at, found["median"], look.marker, color=look.color, mec="white", mew=0.6, ms=5)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(categories)), categories, rotation=40, ha="right", fontsize=6.5)
