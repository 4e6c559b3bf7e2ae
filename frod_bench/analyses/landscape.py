"""The loss on a plane through a model's weights, after Li et al. (arXiv 1712.09913).

A plane is loss(W + a D1 + b D2), where W is the weights of all layers that methods adapt, and each
row of a random direction D has the norm of that row of the pretrained weights. Li et al. scale by
each end's own; here a step has the same length everywhere. Head, biases, norms and embeddings stay
as they are at the plane's centre.

All methods of a task and seed share D1 and D2, at the start and at the end. So D1 and D2 are in the
space of dense weights. In the space of the values that a method trains, a direction would have
another meaning for each method.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor, nn

from frod_bench.analyses.command import Context, Say
from frod_bench.analyses.updates import densified, start_of, target_layers
from frod_bench.cells.cell import Cell
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Model
from frod_bench.report.figures import Drawing, Look, panelled
from frod_bench.report.keys import Task
from frod_bench.report.names import label, method_named
from frod_bench.report.table import Row, Table
from frod_bench.training import runner
from frod_bench.training.loop import predict

STEPS = 21  # per side; odd, so that the centre is a point of the grid
SPAN = 0.5  # the largest |a| and |b|: half of each filter's norm
START = "start"
START_OF = "start of "  # followed by the method that starts elsewhere
RADII = (0.1, 0.25, 0.5)  # at which the table reports the rise of the loss
_SAME_START = 1e-5  # relative: sums in another order differ by rounding
LINES = 8  # steps of a panel's contour lines

Weights = dict[str, Tensor]


def analyze(cells: Sequence[Cell], context: Context, say: Say) -> list[Path]:
    """Measure the planes; write `landscape.*`, `landscape_points.csv`, and a figure per seed."""
    points, seeds = measure(cells, say), list(dict.fromkeys(cell.seed for cell in cells))
    named = {seed: f"landscape_seed_{seed}" if len(seeds) > 1 else "landscape" for seed in seeds}
    drawings = {named[s]: draw(points[points["seed"] == s], context) for s in sorted(seeds)}
    summary, planes = table(points, context), {"landscape_points": points}
    return context.write("landscape", summary, rises(points), planes, drawings)


def measure(trained: Sequence[Cell], say: Say) -> pd.DataFrame:
    """Return one row per point of a plane; `method` is empty for the start."""
    rows: list[dict[str, Any]] = []
    axis = np.linspace(-SPAN, SPAN, STEPS)
    for task, seed in dict.fromkeys((cell.task, cell.seed) for cell in trained):
        group = [cell for cell in trained if (cell.task, cell.seed) == (task, seed)]
        settings, base = group[0].settings, {"task": task, "family": group[0].family, "seed": seed}
        torch.set_num_threads(settings.runtime.threads)
        loss = held_out_loss(settings)
        plain = runner.build_model(settings, runner.load_data(settings).num_labels)
        directions = directions_of(weights_of(target_layers(plain, settings)), seed)
        for centre, model in centres_of(group):
            layers = target_layers(model, settings)
            say(f"{task}, seed {seed}: the plane around {centre}")
            losses = plane(layers, directions, axis, functools.partial(loss, model))
            named = base | {"centre": centre, "method": "" if centre.startswith(START) else centre}
            found = zip(itertools.product(axis, axis), losses.flat, strict=True)
            rows += [named | {"a": a, "b": b, "loss": value} for (a, b), value in found]
    return pd.DataFrame(rows)


def held_out_loss(settings: Settings) -> Callable[[Model], float]:
    """Return a function of a model: its loss on the rows of a cell's curve."""
    accelerator = runner.make_accelerator(settings)
    problem = runner.make_problem(settings, runner.load_data(settings))
    rows = problem.held_out, problem.collate, settings.trainer

    def loss(model: Model) -> float:
        logits, labels = predict(model.to(accelerator.device), *rows, accelerator)
        return problem.loss(logits, labels).item()

    return loss


def centres_of(group: Sequence[Cell]) -> Iterator[tuple[str, Model]]:
    """Yield the centres of the planes of one task and seed, as models with plain layers.

    They are called `start`, `start of <method>` if the method starts elsewhere, and <method>.
    """
    first: Model | None = None
    for cell in group:
        settings = cell.settings
        start = densified(start_of(settings), settings)
        if first is None:
            first = start
            yield START, start
        elif not is_same(start, first):
            yield START_OF + cell.method, start
    for cell in group:
        yield cell.method, densified(runner.restore_trained(cell), cell.settings)


def is_same(one: Model, other: Model) -> bool:
    """Whether two models have the same parameters up to rounding."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.linalg.norm(a - b) <= _SAME_START * torch.linalg.norm(b) for a, b in pairs)


def weights_of(layers: Mapping[str, nn.Module]) -> Weights:
    """Return name -> a copy of the weight of each plain layer, (m, k)."""
    return {name: layer.weight.detach().clone() for name, layer in layers.items()}  # type: ignore[operator]


def directions_of(weights: Mapping[str, Tensor], seed: int) -> tuple[Weights, Weights]:
    """Draw two directions by `seed`; each row (m, k) has the norm of that row of `weights`."""
    generator = torch.Generator().manual_seed(seed)
    found: tuple[Weights, Weights] = {}, {}
    for direction in found:
        for name, weight in sorted(weights.items()):
            drawn = torch.randn(weight.shape, generator=generator)
            norms = torch.linalg.norm(drawn, dim=1, keepdim=True)
            direction[name] = drawn / norms * torch.linalg.norm(weight, dim=1, keepdim=True)
    return found


@torch.no_grad()
def plane(
    layers: Mapping[str, nn.Module],
    directions: tuple[Weights, Weights],
    axis: np.ndarray,
    loss: Callable[[], float],
) -> np.ndarray:
    """Return `loss()` at W + a D1 + b D2 for all a (by row) and b; the layers stay at W."""
    weights, losses = weights_of(layers), []
    for a, b in itertools.product(axis, axis):
        for name, layer in layers.items():
            first, second = (direction[name].to(weights[name]) for direction in directions)
            layer.weight.copy_(weights[name] + a * first + b * second)  # type: ignore[operator]
        losses.append(loss())
    for name, layer in layers.items():
        layer.weight.copy_(weights[name])  # type: ignore[operator]
    return np.reshape(losses, (len(axis), len(axis)))


def rises(points: pd.DataFrame) -> pd.DataFrame:
    """Return one row per plane: the loss at the centre, the lowest on the plane, and for each of
    `RADII` rise_<radius>, the mean loss at that distance minus the centre's.
    """
    rows, half_step, keys = [], SPAN / (STEPS - 1), ["task", "seed", "centre", "method"]
    for key, at in points.groupby(keys, sort=False):
        distance = np.hypot(at["a"], at["b"])
        loss = float(at.loc[distance.idxmin(), "loss"])
        row = dict(zip(keys, key, strict=True)) | {"loss": loss, "lowest": at["loss"].min()}
        for radius in RADII:
            ring = (distance - radius).abs() <= half_step
            row[f"rise_{radius:g}"] = at.loc[ring, "loss"].mean() - loss
        rows.append(row)
    return pd.DataFrame(rows)


def table(points: pd.DataFrame, context: Context) -> Table:
    """Return one row per plane."""
    names = ["loss", "lowest", *(f"rise_{radius:g}" for radius in RADII)]
    rows = []
    for (task, seed), planes in rises(points).groupby(["task", "seed"], sort=False):
        rows.append(Row(f"{label(Task(str(task)))}, seed {seed}", heading=True))
        for line in planes.to_dict("records"):
            numbers = tuple(f"{line[name]:.3f}" for name in names)
            rows.append(Row(_centre_label(line["centre"]), numbers))
    return Table(
        f"Loss around the start and the ends: {context.title}",
        "Held-out loss at the plane's centre, the lowest on the plane, and how much the mean at a "
        "distance from the centre is above it; a distance of 1 is the norm of each filter of the "
        f"pretrained weights. {context.caption}",
        ("centre", "loss", "lowest", *(f"rise at {radius:g}" for radius in RADII)),
        rows,
    )


def draw(points: pd.DataFrame, context: Context) -> Drawing:
    """Draw a row per task and a column per centre."""
    tasks, centres = list(points["task"].unique()), list(points["centre"].unique())
    titles = [_centre_label(centre).replace(" of ", " of\n") for centre in centres]
    caption = (
        "Held-out loss at W + a D1 + b D2, W the weights of all adapted layers at the start or at "
        "a method's end. D1 and D2 are random, with each row scaled to the norm of that row of the "
        "pretrained weights. Directions and colours (logarithmic) are shared by the panels of a "
        f"row; the lines of a panel are {LINES} steps from its lowest to its highest loss. Above "
        "a panel: the loss at its centre (cross), and in brackets the lowest and the highest. "
        f"{_start_words(centres)}{context.caption}"
    )

    def panels(look: Look) -> Figure:
        columns, height_in = len(centres), look.width_in / len(centres) + 0.1
        figure, axes = panelled(look, len(tasks) * columns, columns, height_in, sharey="row")
        planes = np.array(axes).reshape(len(tasks), columns)
        for task, row in zip(tasks, planes, strict=True):
            of_task = points[points["task"] == task]
            scale = LogNorm(*_bounds(of_task))
            for ax, centre in zip(row, centres, strict=True):
                _draw_plane(ax, of_task[of_task["centre"] == centre], scale)
            _colorbar(figure, list(row), scale)
            row[0].set_ylabel(f"{label(Task(task))}\nb, filter norms")
        for top, bottom, title in zip(planes[0], planes[-1], titles, strict=True):
            top.set_title(title, fontsize=7.5, pad=12)
            bottom.set_xlabel("a, filter norms", fontsize=7)
        return figure

    return Drawing(f"Loss around start and ends · {context.title}", caption, panels)


def _start_words(centres: Sequence[str]) -> str:
    """Return sentences on which methods the start is shared by; empty if there is no start."""
    if START not in centres:
        return ""
    own = [c.removeprefix(START_OF) for c in centres if c.startswith(START_OF)]
    if not own:
        return "The start is shared: before the first step these methods compute the same. "
    ends = [centre for centre in centres if not centre.startswith(START)]
    shared = ", ".join(_centre_label(method) for method in ends if method not in own)
    return (
        f"The start is that of {shared}: before the first step they compute the same. Elsewhere, "
        f"with panels of their own: the start of {', '.join(map(_centre_label, own))}. "
    )


def _centre_label(centre: str) -> str:
    """Return a centre's name with its method as papers write it."""
    start = START_OF if centre.startswith(START_OF) else ""
    name = centre.removeprefix(START_OF)
    return name if name == START else start + label(method_named(name))


def _bounds(points: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and the highest finite loss; their difference is not 0."""
    known = points.loc[np.isfinite(points["loss"]) & (points["loss"] > 0), "loss"]
    return float(known.min()), float(known.max()) * (1 + 1e-9)


def _draw_plane(ax: Axes, points: pd.DataFrame, scale: LogNorm) -> None:
    ax.set_box_aspect(1)
    ax.grid(visible=False)
    ax.tick_params(labelbottom=ax.get_subplotspec().is_last_row())  # type: ignore[union-attr]
    ax.tick_params(labelleft=ax.get_subplotspec().is_first_col())  # type: ignore[union-attr]
    if points.empty:
        ax.set_axis_off()
        return
    low, high = _bounds(points)
    losses = points.pivot_table(index="b", columns="a", values="loss", dropna=False)
    filled = losses.fillna(high).clip(low, high)
    sides, levels = (losses.columns, losses.index), np.geomspace(low, high, LINES + 1)[1:-1]
    ax.pcolormesh(*sides, filled, norm=scale, cmap="viridis", shading="gouraud")
    ax.contour(*sides, filled, levels, colors="white", linewidths=0.4)
    ax.plot(0, 0, "+", color="white", mec="white", ms=6, mew=1.2)
    centre = points.loc[np.hypot(points["a"], points["b"]).idxmin(), "loss"]
    words = f"{centre:.3f} [{low:.2f}, {high:.2f}]"
    ax.text(0.5, 1.03, words, transform=ax.transAxes, ha="center", fontsize=6)
    ends = [-SPAN, 0, SPAN]
    ax.set_xticks(ends, [f"{end:g}".replace("-", "−") for end in ends], fontsize=6.5)
    ax.set_yticks(ends)
    for text, side in zip(ax.get_xticklabels(), ("left", "center", "right"), strict=False):
        text.set(horizontalalignment=side)  # keeps it out of the next panel


def _colorbar(figure: Figure, beside: list[Axes], scale: LogNorm) -> None:
    mappable = mpl.cm.ScalarMappable(scale, "viridis")
    bar = figure.colorbar(mappable, ax=beside, label="loss", pad=0.01, aspect=14)
    bar.ax.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_visible(False)
