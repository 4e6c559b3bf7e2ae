"""How the learned update W_after - W_before of each layer is spread over directions.

The effective rank is that of Roy and Vetterli (EUSIPCO 2007): e to the entropy of the singular
values as shares of their sum. The stable rank is ||A||_F^2 / ||A||_2^2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from frod_bench.analyses.updates import Update, layer_updates
from frod_bench.cells.cell import Cell
from frod_bench.frod.targets import category_of

REFERENCE = "full"  # whose update the others' are set beside
QUARTILES = (0.25, 0.5, 0.75)

Say = Callable[[str], None]
Updates = Mapping[str, Update]


@dataclass(frozen=True)
class Spectra:
    """What the analysis measured.

    Attributes:
        layers: a row a layer of a cell: task, family, method, seed, layer, category, rows, columns,
            relative_norm (||change|| / ||before||, Frobenius), effective_rank, stable_rank,
            cosine_with_full (of the two updates as vectors). Not a number where there is no update.
        lines: the singular values over the largest, by index from 1: task, method, index, low,
            median, high (quartiles over layers and seeds).
    """

    layers: pd.DataFrame
    lines: pd.DataFrame


def effective_rank(singular_values: np.ndarray) -> float:
    """From 1 to the number of values; NaN of a zero matrix."""
    total = singular_values.sum()
    if total == 0:
        return float("nan")
    shares = singular_values[singular_values > 0] / total
    return float(np.exp(-np.sum(shares * np.log(shares))))


def stable_rank(singular_values: np.ndarray) -> float:
    """From 1 to the number of values; NaN of a zero matrix."""
    largest = singular_values.max()
    return float("nan") if largest == 0 else float(np.sum((singular_values / largest) ** 2))


def cosine(one: Tensor, other: Tensor) -> float:
    """Of two matrices as vectors; NaN where one is zero."""
    product = float(torch.linalg.norm(one) * torch.linalg.norm(other))
    return float("nan") if product == 0 else float(torch.sum(one * other)) / product


def measure(cells: Sequence[Cell], say: Say) -> Spectra:
    """The spectra of all trained cells; `say` is told of each."""
    rows: list[dict[str, Any]] = []
    relative: dict[tuple[str, str], list[np.ndarray]] = {}
    for task, seed in dict.fromkeys((cell.task, cell.seed) for cell in cells):
        group = [cell for cell in cells if (cell.task, cell.seed) == (task, seed)]
        full: Updates | None = None
        for cell in sorted(group, key=lambda cell: cell.method != REFERENCE):  # the reference first
            say(f"{cell.label}: spectrum of its update")
            updates = layer_updates(cell)
            full = updates if cell.method == REFERENCE else full
            for name, update in updates.items():
                values = torch.linalg.svdvals(update.change).numpy()
                base = {"task": task, "family": cell.family, "method": cell.method, "seed": seed}
                rows.append(base | _layer_row(name, update, values, full))
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


def _layer_row(
    name: str, update: Update, values: np.ndarray, full: Updates | None
) -> dict[str, Any]:
    change, before = update.change, update.before
    rows, columns = change.shape
    return {
        "layer": name,
        "category": category_of(name),
        "rows": rows,
        "columns": columns,
        "relative_norm": float(torch.linalg.norm(change) / torch.linalg.norm(before)),
        "effective_rank": effective_rank(values),
        "stable_rank": stable_rank(values),
        "cosine_with_full": float("nan") if full is None else cosine(change, full[name].change),
    }


def _lines(relative: Mapping[tuple[str, str], Sequence[np.ndarray]]) -> pd.DataFrame:
    found = []
    for (task, method), spectra in relative.items():
        for index in range(max(map(len, spectra))):
            at = [values[index] for values in spectra if len(values) > index]
            low, median, high = np.quantile(at, QUARTILES)
            found.append((task, method, index + 1, low, median, high))
    return pd.DataFrame(found, columns=["task", "method", "index", "low", "median", "high"])
