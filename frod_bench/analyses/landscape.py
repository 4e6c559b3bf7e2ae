"""The loss on a plane through a model's weights, after Li et al. (arXiv 1712.09913).

A plane is loss(W + a D1 + b D2), where W is the weights of all layers that methods adapt, and D1
and D2 are random directions that are normalised filter by filter: each row of a layer's part has
the norm of that row of the pretrained weight. What is not in those layers (head, biases, norms,
embeddings) stays as it is at the plane's centre.

All methods of a task and seed share D1 and D2, at the start and at the end. So both are in the
space of dense weights and not of what a method trains, where no direction would mean the same to
two methods; and rows are scaled by the pretrained weights and not, as Li et al. do for networks
trained apart, by each end's own, so that one step is equally long everywhere.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from frod_bench.analyses.spectrum import Say
from frod_bench.analyses.updates import densified, start_of, target_layers
from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model
from frod_bench.training import runner
from frod_bench.training.loop import predict

STEPS = 21  # a side; odd, so that the centre is a point of the grid
SPAN = 0.5  # the largest |a| and |b|: half of each filter's norm
START = "start"
START_OF = "start of "  # and the method that begins elsewhere
RADII = (0.1, 0.25, 0.5)  # at which the table tells how much the loss rises
_SAME_START = 1e-5  # relative: what is computed in another order starts at the same weights

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Centre:
    """A model that a plane lies around.

    Attributes:
        name: a method, for its end; `start`; or `start of <method>` where that is another.
        model: with plain layers, see `updates.densified`.
    """

    name: str
    model: Model


def measure(trained: Sequence[Cell], say: Say) -> pd.DataFrame:
    """A row a point of a plane: task, family, seed, centre, method (empty for the start), a, b,
    loss (on the rows that the cell's curve is measured on).
    """
    rows: list[dict[str, Any]] = []
    axis = np.linspace(-SPAN, SPAN, STEPS)
    for task, seed in dict.fromkeys((cell.task, cell.seed) for cell in trained):
        group = [cell for cell in trained if (cell.task, cell.seed) == (task, seed)]
        settings = group[0].settings
        torch.set_num_threads(settings.runtime.threads)
        loss = held_out_loss(settings)
        directions: tuple[Weights, Weights] | None = None
        for centre in centres_of(group):
            layers = target_layers(centre.model, settings)
            directions = directions or directions_of(weights_of(layers), seed)  # start comes first
            say(f"{task}, seed {seed}: the plane around {centre.name}")
            losses = plane(layers, directions, axis, functools.partial(loss, centre.model))
            base = {"task": task, "family": group[0].family, "seed": seed, "centre": centre.name}
            base["method"] = "" if centre.name.startswith(START) else centre.name
            rows += [
                base | {"a": a, "b": b, "loss": losses[i, j]}
                for i, a in enumerate(axis)
                for j, b in enumerate(axis)
            ]
    return pd.DataFrame(rows)


def held_out_loss(settings: Settings) -> Callable[[Model], float]:
    """What gives a model's loss on the rows that the curve of a cell is measured on."""
    accelerator = runner.make_accelerator(settings)
    problem = runner.make_problem(settings, runner.load_data(settings))

    def loss(model: Model) -> float:
        model.to(accelerator.device)
        logits, labels = predict(
            model, problem.held_out, problem.collate, settings.trainer, accelerator
        )
        return problem.loss(logits, labels).item()

    return loss


def centres_of(group: Sequence[Cell]) -> Iterator[Centre]:
    """The start of the methods of one task and seed, further starts where they differ, the ends."""
    first: Model | None = None
    for cell in group:
        settings = cell.settings
        start = densified(start_of(settings), settings)
        if first is None:
            first = start
            yield Centre(START, start)
        elif not is_same(start, first):
            yield Centre(START_OF + cell.method, start)
    for cell in group:
        settings = cell.settings
        yield Centre(cell.method, densified(runner.restore_trained(cell), settings))


def is_same(one: Model, other: Model) -> bool:
    """Whether two models have the same parameters but for rounding."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.linalg.norm(a - b) <= _SAME_START * torch.linalg.norm(b) for a, b in pairs)


def weights_of(layers: Mapping[str, nn.Module]) -> Weights:
    """Name -> a copy of the weight of each plain layer, (m, k)."""
    return {name: layer.weight.detach().clone() for name, layer in layers.items()}  # type: ignore[operator]


def directions_of(weights: Mapping[str, Tensor], seed: int) -> tuple[Weights, Weights]:
    """Two directions, drawn by `seed` and normalised by the rows of `weights`."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (
        {
            name: filter_normalised(torch.randn(weight.shape, generator=generator), weight)
            for name, weight in sorted(weights.items())
        }
        for _ in range(2)
    )
    return first, second


def filter_normalised(direction: Tensor, weight: Tensor) -> Tensor:
    """`direction` (m, k) with each row scaled to the norm of that row of `weight` (m, k)."""
    norms = torch.linalg.norm(direction, dim=1, keepdim=True)
    return direction / norms * torch.linalg.norm(weight, dim=1, keepdim=True)


@torch.no_grad()
def plane(
    layers: Mapping[str, nn.Module],
    directions: tuple[Weights, Weights],
    axis: np.ndarray,
    loss: Callable[[], float],
) -> np.ndarray:
    """`loss()` with the weights W of plain layers at W + a D1 + b D2 for all a, b of `axis`;
    infinite or not a number where it is. The layers are left at W.

    Returns:
        (len(axis), len(axis)), a by row.
    """
    weights = weights_of(layers)
    losses = np.empty((len(axis), len(axis)))
    for i, a in enumerate(axis):
        for j, b in enumerate(axis):
            for name, layer in layers.items():
                first, second = (direction[name].to(weights[name]) for direction in directions)
                layer.weight.copy_(weights[name] + a * first + b * second)  # type: ignore[operator]
            losses[i, j] = loss()
    for name, layer in layers.items():
        layer.weight.copy_(weights[name])  # type: ignore[operator]
    return losses


def rises(points: pd.DataFrame) -> pd.DataFrame:
    """A row a plane: task, seed, centre, method, loss (at the centre), lowest (on the plane), and
    for each of `RADII` rise_<radius>, the mean loss at that distance less the centre's.
    """
    rows = []
    half_step = SPAN / (STEPS - 1)
    for (task, seed, centre, method), at in points.groupby(
        ["task", "seed", "centre", "method"], sort=False
    ):
        distance = np.hypot(at["a"], at["b"])
        loss = float(at.loc[distance.idxmin(), "loss"])
        row = {"task": task, "seed": seed, "centre": centre, "method": method, "loss": loss}
        row["lowest"] = at["loss"].min()
        for radius in RADII:
            ring = (distance - radius).abs() <= half_step
            row[f"rise_{radius:g}"] = at.loc[ring, "loss"].mean() - loss
        rows.append(row)
    return pd.DataFrame(rows)
