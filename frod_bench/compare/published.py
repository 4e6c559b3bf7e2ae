"""Training losses that others published, drawn over those of a comparison's methods.

The axis is the share of the budget, because runs differ in length by an order of magnitude. The
budget of published runs is the length of the shortest one. If each method's curve ended at its own
last step instead, the curves of methods that trained for longer would be moved to the left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.compare.comparison import Comparison
from frod_bench.report.curves import Band, Curve, band_over_seeds, evaluated_curves
from frod_bench.report.frame import methods_in, runs_of
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.panels import (
    ALL_TASKS,
    LOSSES,
    SHARE_LABEL,
    Panels,
    experiment_panels,
)
from frod_bench.report.published import files
from frod_bench.report.published.numbers import curves_of

HERE, PUBLISHED = "here", "published"  # the sides of methods
NAME = "training_loss"  # in names of files
DEFAULT = "-default"  # ends the name of a run of PEFT's with a method's default settings


@dataclass(frozen=True)
class Losses:
    """Published training losses: where from, and a curve per run.

    `unit` is what curves are over; `window` is in points, and None means that of the rule.
    """

    source: str
    curves: Mapping[Method, Sequence[Curve]]
    unit: str
    window: int | None = None
    left_out: Mapping[Method, str] = field(default_factory=dict)  # a run with other settings

    @property
    def budget(self) -> float:
        """The last point that all runs have."""
        return min(float(curve.steps[-1]) for runs in self.curves.values() for curve in runs)


def read_losses(name: str) -> Losses:
    """The published losses of a name, or of a CSV with the columns of the released ones.

    Raises InputError for an unknown name, and for a file that does not fit.
    """
    if name in NAMED:
        return NAMED[name]()
    if not name.endswith(".csv"):
        raise InputError(
            f"published={name}: is unknown.{did_you_mean(name, NAMED)} Or name a CSV file with the "
            f"columns {', '.join(files.LOSS_COLUMNS)}."
        )
    return Losses(name, curves_of(files.loss_curves(Path(name).expanduser())), "logged point")


def _released_cars() -> Losses:
    source = "the curves that FRoD's authors released (CLIP ViT-B/32, Stanford Cars)"
    return Losses(source, curves_of(files.loss_curves()), "logged point")


def _peft_metamathqa() -> Losses:
    """The curve of each method of PEFT's; of several its default settings."""
    runs, by_run = files.peft_runs(), dict(list(files.peft_curves().groupby("run")))
    default = runs["run"].str.endswith(DEFAULT)
    kept = runs[default | ~runs["method"].duplicated(keep=False)].drop_duplicates("method")
    curves = {}
    for row in kept.itertuples(index=False):
        points = by_run[row.run]
        steps = points["step"].to_numpy(dtype=np.float64)
        values = points["train_loss"].to_numpy(dtype=np.float64)
        curves[Method(row.method)] = [Curve(steps, np.full_like(steps, np.nan), values)]
    rest = runs[~runs["run"].isin(kept["run"])]
    left_out = {Method(row.method): row.run for row in rest.itertuples(index=False)}
    source = "PEFT's comparison (Llama-3.2-3B, MetaMathQA, one run each)"
    return Losses(source, curves, "step", 1, left_out)  # a point is a mean over 250 steps


NAMED = {"released_cars": _released_cars, "peft_metamathqa": _peft_metamathqa}


def overlaid(comparison: Comparison, losses: Losses) -> dict[str, Panels]:
    """The training loss of each task that has one, by the share of the budget, with the published
    losses of the same methods; by `<task>_training_loss`.

    Raises InputError if none of the methods is published, if a published curve begins after the
    shortest run has ended, or if no run has training losses.
    """
    methods = [m for m in methods_in(comparison.cells) if m in losses.curves]
    asked = ", ".join(map(label, methods_in(comparison.cells)))
    if not methods:
        raise InputError(
            f"published: {losses.source} has no curve of {asked}. Compare some of "
            f"{', '.join(method.method for method in losses.curves)}."
        )
    begin = {m: max(float(curve.steps[0]) for curve in losses.curves[m]) for m in methods}
    if late := [m for m in begin if begin[m] >= losses.budget]:
        raise InputError(
            f"published: in {losses.source} {label(late[0])} begins at {begin[late[0]]:g}, and the "
            f"shortest run ends at {losses.budget:g}. Write the curves over one unit, from the "
            "first point of each run."
        )
    lost = [label(m) for m in methods_in(comparison.cells) if m not in methods]
    rule = comparison.rules.convergence
    window = losses.window or rule.window_evaluations
    theirs = {
        method._replace(side=PUBLISHED): band_over_seeds(
            [_cut(curve.smoothed(window), losses.budget) for curve in losses.curves[method]],
            "steps",
        )
        for method in methods
    }
    panels = _own_panels(comparison)
    if not panels:
        raise InputError(
            f"published: no run of {asked} has training losses, so there is nothing to draw over."
        )
    smoothed = f", smoothed over {window} points" if window > 1 else ""
    left_out = [losses.left_out[method] for method in methods if method in losses.left_out]
    setting = [
        f"Dashed: {losses.source}{smoothed}; 100 % is {losses.unit} {losses.budget:,.0f}, at which "
        "the shortest run ends. Other data, backbone, batch and learning rates: compare the order "
        "and the shape of curves, not their heights.",
        f"Not published: {', '.join(lost)}." if lost else "",
        f"Left out, for other settings: {', '.join(left_out)}." if left_out else "",
    ]
    return {
        f"{name}_{NAME}": replace(
            own,
            bands={"steps": {**_on_side(own), **theirs}},
            x_labels={"steps": SHARE_LABEL},
            caption=own.caption._replace(setting=" ".join(filter(None, setting))),
        )
        for name, own in panels.items()
    }


def _own_panels(comparison: Comparison) -> dict[str, Panels]:
    """The comparison's training losses, task by task, by the share of each run's steps."""
    frame, quantity = comparison.cells, LOSSES["training loss"]
    steps = dict(zip(runs_of(frame), frame["steps"], strict=True))
    measured = evaluated_curves(frame, comparison.collected.curves, quantity.column)
    shares = {
        run: curve._replace(steps=100 * curve.steps / steps[run])
        for run, curve in measured.items()
        if steps[run]  # one that trains nothing has no training loss
    }
    rule, title = comparison.rules.convergence, comparison.title
    found = experiment_panels(frame, shares, comparison.arrived, title, rule, quantity=quantity)
    return {name: panels for name, panels in found.items() if name != ALL_TASKS}


def _on_side(panels: Panels) -> dict[Method, Band]:
    return {method._replace(side=HERE): band for method, band in panels.bands["steps"].items()}


def _cut(curve: Curve, budget: float) -> Curve:
    """The curve up to the budget, by the share of it."""
    kept = curve.steps <= budget
    return Curve(100 * curve.steps[kept] / budget, curve.seconds[kept], curve.values[kept])
