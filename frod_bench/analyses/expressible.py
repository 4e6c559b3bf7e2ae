"""How much of a learned update each parametrisation could express, whatever training would find.

At rank r LoRA trains r (m + k) values of a layer. FRoD is given as many: its k scales, and a
rotation on the first r (m + k) - k places that FRoD's generator draws, so that each support holds
the smaller ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from frod_bench.analyses.fits import (
    Factors,
    low_rank_residual,
    places_on_and_off_axis,
    random_subspace_residual,
)
from frod_bench.analyses.spectrum import Say
from frod_bench.analyses.updates import layer_updates
from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.frod import FrodConfig, FrodLinear, attach_frod
from frod_bench.frod.support import draw_supports, support_size
from frod_bench.training import runner

RANKS = (1, 2, 4, 8, 16, 32)
LOW_RANK, ON_AXIS, SPARSE, RANDOM = "low rank", "on axis", "on axis + sparse", "random subspace"
SCALES = "scales alone"  # a budget: k
OWN = "FRoD's own"  # a budget: what FRoD trains at the cell's method.sparse_rate

Fit = dict[str, Any]


@dataclass(frozen=True)
class Layer:
    """One layer as FRoD sees it.

    Attributes:
        category: whose V and support it has.
        factors: U and V.
        drawn: all off-diagonal places, in the order in which FRoD draws them.
    """

    category: str
    factors: Factors
    drawn: np.ndarray


def measure(trained: Sequence[Cell], say: Say) -> pd.DataFrame:
    """A row a layer, parametrisation and budget: task, family, method, seed, layer, category,
    parametrisation, budget, trained and weights (numbers), residual and total (squared Frobenius
    norms), error (their ratio's root), settled.
    """
    rows: list[dict[str, Any]] = []
    for cell in trained:
        say(f"{cell.label}: fitting its update")
        settings = cell.settings
        base = {"task": cell.task, "family": cell.family, "method": cell.method, "seed": cell.seed}
        changes = {name: u.change.numpy() for name, u in layer_updates(cell).items()}
        layers = frod_layers_of(settings)
        ranks = common_ranks([change.shape for change in changes.values()])
        for name, change in changes.items():
            named = base | {"layer": name, "category": layers[name].category}
            fits = fits_of(change, layers[name], ranks, settings.method.sparse_rate)
            rows += [named | fit for fit in fits]
    frame = pd.DataFrame(rows)
    return frame.assign(error=np.sqrt(frame["residual"] / frame["total"]))


def frod_layers_of(settings: Settings) -> Mapping[str, Layer]:
    """Name -> what FRoD makes of each target layer of a cell's pretrained backbone, in float64."""
    backbone = runner.build_model(settings, runner.load_data(settings).num_labels).backbone.double()
    targets = list(settings.backbones[settings.task.family].target_modules)
    attach_frod(backbone, FrodConfig(targets, sparse_rate=0, seed=settings.seed))
    adapted = {n: layer for n, layer in backbone.named_modules() if isinstance(layer, FrodLinear)}
    widths = {layer.shared.category: layer.shared.width for layer in adapted.values()}
    drawn = draw_supports(widths, 1.0, settings.seed)
    return {
        name: Layer(
            layer.shared.category,
            Factors(layer.left.numpy(), layer.shared.basis.numpy()),
            drawn[layer.shared.category].numpy(),
        )
        for name, layer in adapted.items()
    }


def common_ranks(shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Those of `RANKS` at whose budget every layer is short of full rank and of all k k places."""
    return [
        rank
        for rank in RANKS
        if all(rank < min(m, k) and rank * (m + k) < k * k for m, k in shapes)
    ]


def fits_of(
    change: np.ndarray, layer: Layer, ranks: Sequence[int], sparse_rate: float
) -> Iterator[Fit]:
    """The rows of one layer's update, (m, k)."""
    rows, width = change.shape
    values = np.linalg.svd(change, compute_uv=False)
    total = float(np.sum(change**2))

    def row(kind: str, budget: str, trained: int, residual: float, settled: bool = True) -> Fit:
        return {
            "parametrisation": kind,
            "budget": budget,
            "trained": trained,
            "weights": change.size,
            "residual": residual,
            "total": total,
            "settled": settled,
        }

    budgets = {SCALES: width, OWN: width + support_size(width, sparse_rate)}
    yield row(ON_AXIS, SCALES, width, layer.factors.on_axis(change).residual)
    for rank in ranks:
        budget, trained = f"rank {rank}", rank * (rows + width)
        yield row(LOW_RANK, budget, trained, low_rank_residual(values, rank))
        budgets[budget] = trained
    for budget, trained in budgets.items():
        left = random_subspace_residual(total, trained, change.size)
        yield row(RANDOM, budget, trained, left)
        if budget != SCALES:
            places = places_on_and_off_axis(width, layer.drawn[: trained - width])
            fit = layer.factors.on_places(change, places)
            yield row(SPARSE, budget, trained, fit.residual, fit.settled)


def pooled(layers: pd.DataFrame) -> pd.DataFrame:
    """All layers of a cell together: task, method, seed, parametrisation, budget, trained, weights,
    percent (trained of weights), error (root of the summed squares' ratio), unsettled (layers).
    """
    keys = ["task", "method", "seed", "parametrisation", "budget"]
    summed = (
        layers.assign(unsettled=~layers["settled"])
        .groupby(keys, sort=False)[["trained", "weights", "residual", "total", "unsettled"]]
        .sum()
        .reset_index()
    )
    summed["percent"] = 100 * summed["trained"] / summed["weights"]
    summed["error"] = np.sqrt(summed["residual"] / summed["total"])
    return summed.drop(columns=["residual", "total"])
