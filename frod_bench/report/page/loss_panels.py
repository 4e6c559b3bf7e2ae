"""The losses over training as panels: what the page's curves offer beside the score."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from frod_bench.report.frame import by_method, is_task
from frod_bench.report.names import label
from frod_bench.report.numbers import Numbers
from frod_bench.report.panels import ALL_TASKS, Panels, experiment_panels
from frod_bench.report.summary import holes


class Loss(NamedTuple):
    """A loss in the lines of a curve; `window` lines are averaged, None: as many as of a score."""

    column: str
    of: str = ""  # whose rows; empty: those that the score of the curve is measured on
    window: int | None = None


LOSSES = {
    "held-out loss": Loss("eval_loss"),
    "training loss": Loss("train_loss", "training", window=20),  # one batch alone says little
}


def loss_panels(numbers: Numbers, loss: Loss) -> dict[str, Panels]:
    """The panels of each task that has such a loss, and of all; values in the loss's own unit."""
    collected, rule = numbers.collected, numbers.rules.convergence
    rule = replace(rule, window_evaluations=loss.window or rule.window_evaluations)
    frame = collected.frame.assign(metric=loss.column)
    found = experiment_panels(frame, collected.curves, numbers.arrived, numbers.title, rule)
    of = loss.of or ", ".join(sorted(set(frame["curve_split"].dropna())))
    smoothed = f"smoothed over {rule.window_evaluations} measurements"
    return {
        name: replace(
            panels,
            y_label=f"mean {of} loss" if name == ALL_TASKS else f"{of} loss",
            caption=_caption(panels, f"{of} loss, {smoothed}", frame),
            target=np.nan,
            arrived={},
        )
        for name, panels in found.items()
    }


def _caption(panels: Panels, what: str, frame: pd.DataFrame) -> str:
    seeds = max(band.seeds for band in panels.bands["steps"].values())
    over = "one seed." if seeds == 1 else f"line: median over {seeds} seeds, band: their range."
    if panels.task is None:
        return f"Mean over tasks of the {what}; {over} The tasks are those of the mean score."
    here = by_method(frame[is_task(frame, panels.task)])
    lost = [f"{label(method)} ({why})" for method, cells in here if (why := holes(cells))]
    text = f"{what[0].upper()}{what[1:]}; {over}"
    return f"{text} Not drawn: {', '.join(lost)}." if lost else text
