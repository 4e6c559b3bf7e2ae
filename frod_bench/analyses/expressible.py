"""How much of a learned update each parametrisation could express, whatever training would find.

At rank r, LoRA trains r (m + k) values of a layer. FRoD is given as many: its k scales, and a
rotation on the first r (m + k) - k places that FRoD's generator draws, so that each support
contains the smaller ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from frod_bench.analyses import fits
from frod_bench.analyses.command import Context, Say
from frod_bench.analyses.updates import layer_updates, training_hash_of
from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.frod import FrodConfig, FrodLinear, attach_frod
from frod_bench.frod.core import draw_supports, support_size
from frod_bench.report import style
from frod_bench.report.figures import Drawing, Look, legend_entry, panelled
from frod_bench.report.keys import Method, Task
from frod_bench.report.names import label, method_named
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.training import runner

RANKS = (1, 2, 4, 8, 16, 32)
LOW_RANK, ON_AXIS, SPARSE, RANDOM = "low rank", "on axis", "on axis + sparse", "random subspace"
SCALES = "scales alone"  # a budget: k
OWN = "FRoD's own"  # a budget: what FRoD trains on the cell's backbone
LOOKS = {  # parametrisation -> its name in the legend, and how it is drawn
    LOW_RANK: ("low rank (truncated SVD)", style.of_method(Method("lora"))),
    SPARSE: ("FRoD: on axis + sparse rotation", style.of_method(Method("frod"))),
    ON_AXIS: (
        "FRoD's scales alone (on axis)",
        style.of_method(Method("frod"))._replace(line="none", marker="D"),
    ),
    RANDOM: ("random subspace", style.of_method(Method("frozen"))),
}

Fit = dict[str, Any]
# counts, squared Frobenius norms, and whether the fit converged
FIT = ("parametrisation", "budget", "trained", "weights", "residual", "total", "settled")


@dataclass(frozen=True)
class Layer:
    """One layer as FRoD sees it."""

    category: str  # whose V and support it uses
    factors: fits.Factors
    drawn: np.ndarray  # all off-diagonal places, in the order in which FRoD draws them


def analyze(cells: Sequence[Cell], context: Context, say: Say) -> list[Path]:
    """Measure; write `expressible.*` (all layers of a cell together) and by layer in a CSV."""
    layers = measure(cells, say)
    together = pooled(layers)
    summary, drawings = table(together, context), {"expressible": draw(together, context)}
    return context.write("expressible", summary, together, {"expressible_layers": layers}, drawings)


def measure(trained: Sequence[Cell], say: Say) -> pd.DataFrame:
    """Return one row per layer, parametrisation and budget; error is root of residual / total."""
    rows: list[dict[str, Any]] = []
    for cell in trained:
        say(f"{cell.label}: fitting its update")
        settings = cell.settings
        base = {"task": cell.task, "family": cell.family, "method": cell.method, "seed": cell.seed}
        base["training_hash"] = training_hash_of(cell)
        changes = {name: u.change.numpy() for name, u in layer_updates(cell).items()}
        layers = frod_layers_of(settings)
        ranks = common_ranks([change.shape for change in changes.values()])
        for name, change in changes.items():
            named = base | {"layer": name, "category": layers[name].category}
            of_layer = fits_of(change, layers[name], ranks, own_sparse_rate(settings))
            rows += [named | fit for fit in of_layer]
    frame = pd.DataFrame(rows)
    return frame.assign(error=np.sqrt(frame["residual"] / frame["total"]))


def own_sparse_rate(settings: Settings) -> float:
    """The share of k^2 that FRoD trains on the backbone of a cell, whatever the cell's method."""
    method, of_family = settings.method, settings.adapter_sizes or {}
    if method.kind == "frod":
        return method.sparse_rate
    sizes = (of_family.get(settings.task.family) or {}).get("frod") or {}
    return float(sizes.get("sparse_rate", method.sparse_rate))


def frod_layers_of(settings: Settings) -> Mapping[str, Layer]:
    """Return name -> FRoD's view of each target layer of the pretrained backbone, in float64."""
    backbone = runner.build_model(settings, runner.load_data(settings).num_labels).backbone.double()
    targets = list(settings.backbone.target_modules)
    attach_frod(backbone, FrodConfig(targets, sparse_rate=0, seed=settings.seed))
    adapted = {n: layer for n, layer in backbone.named_modules() if isinstance(layer, FrodLinear)}
    widths = {layer.shared.category: layer.shared.width for layer in adapted.values()}
    drawn = draw_supports(widths, 1.0, settings.seed)
    return {
        name: Layer(
            layer.shared.category,
            fits.Factors(layer.U.numpy(), layer.shared.V.numpy()),
            drawn[layer.shared.category].numpy(),
        )
        for name, layer in adapted.items()
    }


def common_ranks(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Return those of `RANKS` whose budget is below full rank, and below k k, in every layer."""
    return [
        rank
        for rank in RANKS
        if all(rank < min(m, k) and rank * (m + k) < k * k for m, k in shapes)
    ]


def fits_of(
    change: np.ndarray, layer: Layer, ranks: Sequence[int], sparse_rate: float
) -> Iterator[Fit]:
    """Yield the rows of one layer's update, (m, k)."""
    rows, width = change.shape
    values, total = np.linalg.svd(change, compute_uv=False), float(np.sum(change**2))

    def row(kind: str, budget: str, trained: int, residual: float, settled: bool = True) -> Fit:
        return dict(
            zip(FIT, (kind, budget, trained, change.size, residual, total, settled), strict=True)
        )

    budgets = {SCALES: width, OWN: width + support_size(width, sparse_rate)}
    yield row(ON_AXIS, SCALES, width, layer.factors.on_axis(change).residual)
    for rank in ranks:
        budget, trained = f"rank {rank}", rank * (rows + width)
        yield row(LOW_RANK, budget, trained, fits.low_rank_residual(values, rank))
        budgets[budget] = trained
    for budget, trained in budgets.items():
        residual = fits.random_subspace_residual(total, trained, change.size)
        yield row(RANDOM, budget, trained, residual)
        if budget != SCALES:
            places = fits.places_on_and_off_axis(width, layer.drawn[: trained - width])
            fit = layer.factors.on_places(change, places)
            yield row(SPARSE, budget, trained, fit.residual, fit.converged)


def pooled(layers: pd.DataFrame) -> pd.DataFrame:
    """Add up all layers of a cell; `unsettled` counts those whose fit did not converge."""
    keys = ["task", "method", "seed", "training_hash", "parametrisation", "budget"]
    numbers = ["trained", "weights", "residual", "total", "unsettled"]
    layers = layers.assign(unsettled=~layers["settled"])
    summed = layers.groupby(keys, sort=False)[numbers].sum().reset_index()
    summed["percent"] = 100 * summed["trained"] / summed["weights"]
    summed["error"] = np.sqrt(summed["residual"] / summed["total"])
    return summed.drop(columns=["residual", "total"])


def table(together: pd.DataFrame, context: Context) -> Table:
    """Return one row per update and budget."""
    kinds = [LOW_RANK, SPARSE, ON_AXIS, RANDOM]
    rows = []
    for (task, method), of_task in together.groupby(["task", "method"], sort=False):
        rows.append(Row(_update_label(task, method), heading=True))
        percents = of_task.groupby("budget")["percent"].mean().sort_values()
        errors = of_task.groupby(["budget", "parametrisation"])["error"].mean()
        for budget, percent in percents.items():
            found = [errors.get((budget, kind)) for kind in kinds]
            cells = (NOT_THERE if error is None else f"{100 * error:.1f}" for error in found)
            rows.append(Row(str(budget), (f"{percent:.2f}", *cells)))
    unsettled = int(together["unsettled"].sum())
    return Table(
        f"What could express the update: {context.title}",
        "Relative error, %, of the best approximation of the update of all adapted layers, by how "
        "many values are trained; mean over seeds. Low rank: truncated SVD, chosen knowing the "
        "update. On axis + sparse: FRoD's basis and random support, chosen before it. Random "
        "subspace: the expectation for a fixed subspace, independent of the update. "
        f"{context.caption}",
        ("budget", "trained, % of the weights", *kinds),
        rows,
        [f"{unsettled} fits did not converge; their errors are upper bounds."] * (unsettled > 0),
    )


def draw(together: pd.DataFrame, context: Context) -> Drawing:
    """Draw a panel per update: relative error of the best approximation by trained values."""
    updates = together.groupby(["task", "method"], sort=False)
    caption = (
        "Frobenius norm of what the best approximation leaves of the update of all adapted "
        "layers, over the update's; line: mean over seeds, band: range. At each budget except "
        "that of the scales all train equally many values. The truncated SVD chooses its "
        "subspace knowing the update; FRoD's basis and support are fixed before training, and "
        "so is the random subspace, which expresses its share of the dimensions. "
        f"Dotted vertical line: FRoD's own budget. {context.caption}"
    )

    def panels(look: Look) -> Figure:
        handles = [legend_entry(name, own) for name, own in LOOKS.values()]
        figure, axes = panelled(
            look,
            len(updates),
            look.columns(len(updates)),
            2.2,
            handles,
            legend_columns=2,
            y_label="relative error of the update",
            sharey="row",
        )
        for ax, ((task, method), of_update) in zip(axes, updates, strict=True):
            _draw_update(ax, of_update)
            ax.set_title(_update_label(task, method))
        return figure

    return Drawing(f"What could express the update · {context.title}", caption, panels)


def _update_label(task: str, method: str) -> str:
    return f"{label(Task(task))}, update of {label(method_named(method), in_text=True)}"


def _draw_update(ax: Axes, shown: pd.DataFrame) -> None:
    for kind, (_, look) in LOOKS.items():
        by_budget = shown[shown["parametrisation"] == kind].groupby("budget")
        found = by_budget["error"].agg(["min", "mean", "max"])
        found = found.assign(percent=by_budget["percent"].mean()).sort_values("percent")
        x, color = found["percent"], look.color
        ax.fill_between(x, found["min"], found["max"], color=color, alpha=0.13, lw=0)
        line, marker = look.line, look.marker
        ax.plot(x, found["mean"], color=color, ls=line, marker=marker, mec="white", mew=0.6, ms=5)
    own = shown.loc[shown["budget"] == OWN, "percent"].mean()
    ax.axvline(own, color=style.MUTED, lw=0.7, ls=(0, (2, 2)), zorder=1)
    ax.set(xscale="log", ylim=(0, 1.04))
    ax.set_xlabel("trained, % of the adapted weights", fontsize=7.5)
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
