"""Curvature at the start in each method's own coordinates, and the learning rate that was picked.

Two measures of the training loss on fixed rows, before the first step and without dropout
(docs/explanation/why.md derives what each should predict):

- `eigenvalue`: the largest of the Hessian H. Gradient descent is stable up to a rate of
  2 / eigenvalue. The lowest one, which bounds no rate, is in the table, too.
- `sign_rate`: |g|_1 / s^T H s for s = sign(g), which is Adam's first step: the rate that goes to
  the minimum of the loss along it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from frod_bench.analyses.command import Context, Say
from frod_bench.analyses.hessian import Surface, ends_of
from frod_bench.analyses.picked_rates import (
    HEAD,
    QUANTITIES,
    converged,
    correlations,
    picks_of,
    pooled,
)
from frod_bench.cells.cell import Cell, cell_of
from frod_bench.cells.code import code_digests, digest_of
from frod_bench.common.atomic import make_folder, write_text
from frod_bench.common.errors import DoesNotFitError, InputError
from frod_bench.common.names import with_head, without_head
from frod_bench.config.settings import Settings
from frod_bench.methods.registry import Prepared, prepare, step_scales
from frod_bench.report import style
from frod_bench.report.figures import Drawing, Look, legend_handle, marker_of, panelled
from frod_bench.report.keys import Family, Task
from frod_bench.report.names import label, method_named
from frod_bench.report.table import NOT_THERE, Row, Table
from frod_bench.training import runner
from frod_bench.training.loop import Problem, rows_of_step

STARTS = "curvature_starts.csv"
BATCHES = 4  # of train, the first that a run sees
ALONE, WITH_HEAD = "adapter", "adapter and head"  # coordinates; of `full` all of the backbone
MEASURED_BY = ("layer", "methods", "rows", "loop")  # parts of the code that a measure depends on


@dataclass(frozen=True)
class Start:
    """A cell's model before its first step, in float64."""

    prepared: Prepared
    backward: Callable[[], None]  # adds the gradient of the loss


def analyze(cells: Sequence[Cell], context: Context, say: Say) -> list[Path]:
    """Measure; write `curvature.*`, `curvature_points.csv`, `curvature_ranks.csv` and the figure.

    Methods that train nothing beside the head have no coordinates, and are left out. Raises
    InputError if nothing else is left.
    """
    idle = dict.fromkeys(cell.method for cell in cells if not coordinates_of(cell))
    cells = [cell for cell in cells if coordinates_of(cell)]
    if not cells:
        raise InputError(
            f"method={', '.join(idle)}: trains nothing beside the head, so that its start has no "
            "coordinates of its own. Name methods that train more, e.g. method=full,frod."
        )
    for name in idle:
        say(f"{name} is left out: it trains nothing beside the head")
    found = measure(cells, context.out_dir / "tables", say)
    picks = picks_of(cells)
    points = pooled(found, picks)
    ranks = correlations(points)
    others = {"curvature_points": points, "curvature_ranks": ranks}
    drawings = {"curvature": draw(points, ranks, context)}
    return context.write("curvature", table(found, points, ranks, context), found, others, drawings)


def coordinates_of(cell: Cell) -> list[str]:
    """The groups that a cell trains beside the head, by its learning rates."""
    return [name for name in cell.settings.method.learning_rates if name != HEAD]


def measure(cells: Sequence[Cell], folder: Path, say: Say) -> pd.DataFrame:
    """Return one row per cell and coordinates.

    A start that is in a table in `folder` is not measured again, if the code that makes and
    measures it is the same. `STARTS` has all starts that were measured, also those that are not
    asked for now. It is written after each cell, so that the same command resumes after an
    interruption. A cell whose method does not fit its backbone is reported and left out. Raises
    InputError if a table is damaged, or if no method fits.
    """
    path, code = folder / STARTS, _code_digest()
    of_start = _known_starts(folder / "curvature.csv") | _known_starts(path)
    found: list[pd.DataFrame] = []
    refused: DoesNotFitError | None = None
    for cell in cells:
        key = f"{start_hash(cell)}-{code}"
        if key not in of_start:
            try:
                of_start[key] = pd.DataFrame(_rows_of(cell, key, say))
            except DoesNotFitError as error:
                say(f"{cell.label} is left out: {error}")
                refused = error
                continue
            make_folder(folder)
            known = pd.concat(of_start.values())
            write_text(path, known.to_csv(index=False, float_format="%.10g"))
        found.append(of_start[key].assign(**_named(cell)))
    if not found and refused is not None:
        raise refused
    return pd.concat(found, ignore_index=True)


def _known_starts(path: Path) -> dict[str, pd.DataFrame]:
    """The rows of a table that was written before, by their starts."""
    if not path.exists():
        return {}
    try:
        known = pd.read_csv(path)
    except (ValueError, OSError) as error:  # of pandas, too
        raise InputError(
            f"{path}: cannot be read ({error}). Move it away, and run the analysis again."
        ) from error
    if "start" not in known:  # of an earlier version
        return {}
    rows = known.drop_duplicates(["start", "coordinates"])
    return {str(key): of_start for key, of_start in rows.groupby("start", sort=False)}


def _named(cell: Cell) -> dict[str, Any]:
    family = with_head(cell.family, cell.settings.head)
    return {"task": cell.task, "family": family, "method": cell.variant, "seed": cell.seed}


def start_hash(cell: Cell) -> str:
    """The hash of a cell's settings and content, whatever its learning rates."""
    method = cell.settings.method
    rates = dict.fromkeys(method.learning_rates, 1.0)
    return cell_of(replace(cell.settings, method=replace(method, learning_rates=rates))).config_hash


def _code_digest() -> str:
    """A digest of the code of models, methods, data, loss and of the analyses."""
    known = code_digests()
    return "-".join([*(known[part] for part in MEASURED_BY), digest_of([Path(__file__).parent])])


def _rows_of(cell: Cell, key: str, say: Say) -> list[dict[str, Any]]:
    start, rows = start_of(cell.settings), []
    for coordinates, surface in surfaces_of(start, cell.settings):
        row = _named(cell) | {"coordinates": coordinates, "n": len(surface)}
        row |= curvature_of(surface) | {"start": key}
        rows.append(row)
        doubt = "" if row["is_sound"] else " (not converged)"
        say(f"{cell.label}, {coordinates}: eigenvalue {row['eigenvalue']:.3g}{doubt}")
    return rows


def start_of(settings: Settings) -> Start:
    """Build a cell's model before its first step, with its loss on the first rows of train."""
    torch.set_num_threads(settings.runtime.threads)
    accelerator = runner.make_accelerator(settings)
    data = runner.load_data(settings)
    model = runner.build_model(settings, data.num_labels)
    prepared = prepare(model, settings.method, settings.backbone, settings.seed)
    prepared.model.double().to(accelerator.device).eval()  # without dropout
    problem = runner.make_problem(settings, data)
    size = settings.trainer.batch_rows
    order = rows_of_step(0, len(data.train), BATCHES * size, settings.seed)
    batches = [
        _batch([data.train[i] for i in order[start : start + size]], problem, accelerator.device)
        for start in range(0, len(order), size)
    ]

    def backward() -> None:
        for inputs, labels in batches:
            loss = problem.loss(prepared.model(**inputs), labels) / len(batches)
            loss.backward()

    return Start(prepared, backward)


def _batch(
    rows: Sequence[Any], problem: Problem, device: torch.device
) -> tuple[dict[str, Tensor], Tensor]:
    """Return a batch's inputs and labels."""
    batch = {name: _widened(values).to(device) for name, values in problem.collate(rows).items()}
    return batch, batch.pop("labels")


def _widened(values: Tensor) -> Tensor:
    return values.double() if values.is_floating_point() else values


def surfaces_of(start: Start, settings: Settings) -> Iterator[tuple[str, Surface]]:
    """Yield the loss in the coordinates of the adapter alone, and with those of the head."""
    groups = start.prepared.groups
    adapter = [p for name, group in groups.items() if name != HEAD for p in group]
    head = groups.get(HEAD, [])
    scales = step_scales(start.prepared.model, settings.method)
    for name, parameters in ((ALONE, adapter), (WITH_HEAD, [*adapter, *head])):
        if adapter and (name == ALONE or head):
            own = [scales.get(parameter) for parameter in parameters]
            yield name, Surface(parameters, start.backward, own)


def curvature_of(surface: Surface) -> dict[str, Any]:
    """Return both measures, with what tells whether they can be trusted."""
    gradient, ends = surface.gradient(), ends_of(surface)
    signs = np.sign(gradient)  # 0 for entries without a gradient, such as LoRA's A
    slope, along = float(np.abs(gradient).sum()), float(signs @ surface.product(signs))
    return {
        "eigenvalue": ends.largest,
        "lowest": ends.lowest,
        "residual": ends.residual,
        "step_error": ends.step_error,
        "products": ends.products,
        "is_sound": ends.is_sound,
        "moving": int(np.abs(signs).sum()),
        "gradient_l1": slope,
        "sign_curvature": along,
        "sign_rate": slope / along if along > 0 else np.nan,
    }


def table(
    found: pd.DataFrame, points: pd.DataFrame, ranks: pd.DataFrame, context: Context
) -> Table:
    """Return one row per task, method and coordinates, and notes on convergence and correlation."""
    picks = points.drop_duplicates(["family", "method"]).set_index(["family", "method"])
    rows = []
    for (task, family), of_task in converged(found).groupby(["task", "family"], sort=False):
        rows.append(Row(label(Task(str(task), without_head(str(family))[1])), heading=True))
        for (method, coordinates), own in of_task.groupby(["method", "coordinates"], sort=False):
            rate = picks.loc[(family, method), "picked_rate"]
            shown = NOT_THERE if np.isnan(rate) else f"{rate:.3g}"
            cells = (str(coordinates), str(own["n"].iloc[0]), *(_range(own[q]) for q in QUANTITIES))
            rows.append(Row(label(method_named(str(method))), (*cells, shown)))
    unsound = int((~found["is_sound"].astype(bool)).sum())
    notes = [_rank_words(line) for line in ranks.dropna(subset=["spearman"]).itertuples()]
    if unsound:
        notes.append(f"{unsound} eigenvalues did not converge: their means are not known.")
    return Table(
        f"Curvature at the start: {context.title}",
        "Training loss on the first rows of train, before the first step: largest eigenvalue "
        "of the Hessian, and the learning rate at which one step along the gradient's signs would "
        f"be best; mean and range over seeds. {context.caption}",
        (
            *("method", "coordinates", "how many", *(name for name, _ in QUANTITIES.values())),
            "picked learning rate",
        ),
        rows,
        notes,
        texts=1,
    )


def _range(values: pd.Series) -> str:
    if values.isna().any():
        return NOT_THERE
    ends = f" ({values.min():.2g} to {values.max():.2g})" if len(values) > 1 else ""
    return f"{values.mean():.3g}{ends}"


def _rank_words(line: Any) -> str:
    name, sign = QUANTITIES[line.quantity]
    points = "methods in families" if line.family == "all" else "methods"
    words = (f"{line.spearman:+.2f}", f"{sign:+d}")
    found, expected = (text.replace("-", "−") for text in words)
    return (
        f"{line.coordinates}, {_family_label(line.family)}: Spearman's correlation of the picked "
        f"rate with “{name}” is {found} over {line.points} {points} (p {line.p_value:.2g}); it "
        f"would be {expected} if this explained the rates."
    )


def _family_label(family: str) -> str:
    return "all families" if family == "all" else label(Family(*without_head(family)))


def draw(points: pd.DataFrame, ranks: pd.DataFrame, context: Context) -> Drawing:
    """Draw a panel per measure: picked learning rate over it, for the adapter's coordinates."""
    own = points[points["coordinates"] == ALONE].dropna(subset=["picked_rate"])
    methods = list(dict.fromkeys(own["method"]))
    families = list(dict.fromkeys(own["family"]))
    joined = "Lines join the methods of a family. " if len(families) > 1 else ""
    caption = (
        "Learning rate that the search picked over two measures at the start, in the "
        "coordinates that a method trains besides the head: geometric means over tasks and seeds. "
        "If a measure explained the rates, points would fall along "
        "the first panel and rise along the second; dotted: in inverse, or direct, "
        "proportion. A method has no point in a family in which the loss at one of its starts has "
        f"no lowest value along the signs. {joined}{context.caption}"
    )

    def panels(look: Look) -> Figure:
        handles = [legend_handle(method_named(method)) for method in methods]
        figure, axes = panelled(
            look, len(QUANTITIES), look.columns(2), 2.5, handles, y_label="picked learning rate"
        )
        for ax, (name, (title, sign)) in zip(axes, QUANTITIES.items(), strict=True):
            shown = own.dropna(subset=[name]).sort_values("picked_rate", kind="stable")
            _draw_panel(ax, shown, name, sign, name_families=len(families) > 1)
            ax.set_xlabel(title)
            rho = _rank_of(ranks, name, families)
            text = f"Spearman {rho:+.2f}".replace("-", "−")
            ax.set_title(text if np.isfinite(rho) else "too few for a rank")
        return figure

    return Drawing(f"Curvature and learning rates · {context.title}", caption, panels)


def _rank_of(ranks: pd.DataFrame, name: str, families: Sequence[str]) -> float:
    family = "all" if len(families) > 1 else "".join(families)
    keys = ["coordinates", "family", "quantity"]
    return float(ranks.set_index(keys)["spearman"].get((ALONE, family, name), np.nan))


def _draw_panel(
    ax: Axes, points: pd.DataFrame, name: str, sign: int, *, name_families: bool
) -> None:
    if points.empty:
        ax.text(0.5, 0.5, "no learning rate was picked", transform=ax.transAxes, ha="center")
        return
    for row in points.iloc[::-1].itertuples():  # the first methods over later ones of their rate
        look = style.of_method(method_named(str(row.method)))
        x = getattr(row, name)
        ax.plot(x, row.picked_rate, color=look.color, ls="", **marker_of(look, 1.2, zorder=4))
    if name_families:
        for family, joined in points.groupby("family", sort=False):
            ax.plot(joined[name], joined["picked_rate"], color=style.MUTED, lw=0.5, zorder=2)
            highest = tuple(joined.iloc[-1][[name, "picked_rate"]])
            text = _family_label(str(family))
            ax.annotate(text, highest, (5, 4), textcoords="offset points", fontsize=6)
    ax.set_xscale("log")
    ax.set_yscale("log")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    ax.set_autoscale_on(False)
    centre = np.exp(np.log(points[[name, "picked_rate"]]).mean())
    ends = np.array(ax.get_xlim())
    line = centre["picked_rate"] * (ends / centre[name]) ** sign
    ax.plot(ends, line, color=style.MUTED, lw=0.7, ls=(0, (1, 2)), zorder=1)
