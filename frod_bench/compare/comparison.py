"""A comparison: its numbers, its tables in the terminal, and its curves, drawn or as characters."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.text import Text

from frod_bench import stats
from frod_bench.common.names import short_stem
from frod_bench.report import style
from frod_bench.report.collect import Collected, missing_runs
from frod_bench.report.convergence import (
    arrivals,
    format_target,
    format_time,
    target_words,
    time_summary,
)
from frod_bench.report.curves import AXES, Band, Curve, evaluated_curves
from frod_bench.report.frame import (
    by_task,
    is_method,
    method_of,
    methods_in,
    split_of,
    task_of,
    tasks_in,
)
from frod_bench.report.keys import TASK_KEY, Method, Run
from frod_bench.report.names import label
from frod_bench.report.paired import (
    MEAN,
    MIDDLE,
    THESE,
    WINS,
    minus,
    p_text,
    paired_summary,
    signed,
)
from frod_bench.report.panels import ALL_TASKS, LOSSES, SCORE, Panels, experiment_panels
from frod_bench.report.rules import Rules
from frod_bench.report.table import NOT_THERE, Row, Table, to_rich
from frod_bench.report.tables import format_score, summarise

_OVERALL = {
    THESE: "these tasks",
    MEAN: "tasks at random",
    MIDDLE: "middle half",
    WINS: "wins, share",
}
_NO_PAIR = (NOT_THERE, NOT_THERE, NOT_THERE, "no pair", "0", "")
VALUES_SHOWN = 3  # of a setting that differs in several ways
PLOT_LINES, PLOT_COLUMNS, FRAME_COLUMNS = 14, 100, 14
MARKS = "+xo*~.#%@=&$"
_BLACK, _FOREGROUND = "\033[38;2;0;0;0m", "\033[39m"  # black would not be seen on a dark terminal


class Contrast(NamedTuple):
    """`ours` minus `theirs`, both of them methods of the frame, under a name for readers."""

    name: str
    ours: Method
    theirs: Method


@dataclass(frozen=True)
class Comparison:
    """Records side by side; methods of two folders differ by their side, A and B."""

    title: str
    collected: Collected  # the cells that are shown, and those of the reference
    shown: "pd.Series[bool]"  # whether a row of its frame is shown
    contrasts: Sequence[Contrast]
    heads: tuple[str, str]  # names of the two columns of each contrast
    rules: Rules
    reference: Method  # sets the target
    name: str  # of its figures, such as frod_lora
    notes: Sequence[str] = ()  # how the cells were chosen
    caption: str = ""  # what figures must say besides
    settings: pd.DataFrame = field(default_factory=pd.DataFrame)  # that differ in paired records

    @property
    def cells(self) -> pd.DataFrame:
        """The rows of the frame that are shown."""
        return self.collected.frame[self.shown]

    @cached_property
    def followed(self) -> dict[Run, Curve]:
        """The curve of each run on which the rules measure the time to a target."""
        column = self.rules.convergence.column
        return evaluated_curves(self.collected.frame, self.collected.curves, column)

    @cached_property
    def arrived(self) -> pd.DataFrame:
        """When each cell, the reference's too, reached its target."""
        frame, rule = self.collected.frame, self.rules.convergence
        return arrivals(frame, self.followed, rule, self.reference)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row per task and method: target (of the curve that the rule names), score, steps and
        seconds to target (texts), and the medians of the last two as steps_median and
        seconds_median.
        """
        scores = summarise(self.cells)
        scores = scores[(scores["scope"] == "task") & scores["primary"]]
        times = time_summary(self.arrived[self.shown.to_numpy()], self.rules.convergence)
        by_key = {(r.axis, task_of(r), method_of(r)): r for r in times.itertuples(index=False)}
        rows = []
        for score in scores.itertuples(index=False):
            task, method = task_of(score), method_of(score)
            row = {**task._asdict(), **method._asdict(), "score": format_score(score)}
            for axis in AXES:
                found = by_key[axis, task, method]
                row |= {axis: format_time(found), f"{axis}_median": found.median}
            rows.append(row | {"target": found.target})
        return pd.DataFrame(rows)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The paired differences of every contrast: `contrast`, the columns of `paired_summary`,
        and for a task `ours_mean` and `theirs_mean` (points) over the seeds that both have.
        """
        found = [pairs for one in self.contrasts if len(pairs := self._pairs_of(one))]
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["scope"])

    def _pairs_of(self, contrast: Contrast) -> pd.DataFrame:
        cells, (name, ours, theirs) = self.cells, contrast
        both = cells[is_method(cells, ours) | is_method(cells, theirs)]
        summary = paired_summary(both, ours, self.rules.accuracy.margin_points)
        values = pd.DataFrame(
            {
                column: 100 * both[is_method(both, m)].set_index([*TASK_KEY, "seed"])["value"]
                for column, m in (("ours_mean", ours), ("theirs_mean", theirs))
            }
        )
        means = values.dropna().groupby(level=TASK_KEY).mean()
        summary = summary.merge(means, how="left", left_on=TASK_KEY, right_index=True)
        return summary.assign(contrast=name)

    def out_of_reach(self) -> list[str]:
        """A line for each task whose target nothing reaches, or that has none."""
        lines = []
        for task, rows in by_task(self.frame):
            rule = self.rules.convergence
            target, known = rows["target"].iloc[0], rows["steps_median"].dropna()
            if np.isnan(target):
                name = label(self.reference, in_text=True)
                lines.append(
                    f"{label(task)}: no target, because {name} has no curve here or improves "
                    "in too few of its runs."
                )
            elif len(known) and np.isinf(known).all():
                lines.append(
                    f"{label(task)}: no method that is compared reaches the target, "
                    f"{format_target(target, rule)} {rule.unit}."
                )
        return lines


def show(comparison: Comparison, console: Console) -> None:
    """Print scores and times, settings that differ, and paired differences."""
    line = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    rule = comparison.rules.convergence
    for note in comparison.notes:
        line(note)
    console.print(to_rich(_scores(comparison)))
    line(
        "Score: mean over seeds ± half of the 95 % interval (Student's t), or the range of two "
        f"seeds. Target: of {rule.words}, {target_words(rule, comparison.reference)}; "
        "∞: not reached. Seconds are of training, with set-up charged."
    )
    for text in comparison.out_of_reach():
        line(text)
    if len(comparison.settings):
        console.print(to_rich(_settings(comparison)))
    if comparison.contrasts:
        console.print(to_rich(_differences(comparison)))
        line(
            f"Points of {comparison.heads[0]} minus {comparison.heads[1]}, paired by task and "
            "seed, over the pairs that both have. Intervals: Student's t over pairs; of the mean "
            "of these tasks Student's t with the variance within them; of tasks drawn at random a "
            f"bootstrap of tasks and seeds (of fewer than {stats.FEW_TASKS} tasks Student's t). "
            "McNemar compares two trained models, not two methods: "
            f"{split_of(comparison.cells)} examples that one alone gets right, and the exact "
            "p-value, by Holm over tasks. Middle half: the interquartile mean over tasks and "
            "seeds. Wins: how often a run of the one beats a run of the other."
        )
    for warning in (*comparison.collected.warnings, *missing_runs(comparison.cells)):
        line(f"Warning: {warning}", style="yellow")


def _scores(comparison: Comparison) -> Table:
    rows, rule = [], comparison.rules.convergence
    for row in comparison.frame.itertuples(index=False):
        target, method = format_target(row.target, rule), label(method_of(row))
        rows.append(Row(label(task_of(row)), (method, row.score, target, row.steps, row.seconds)))
    numbers = ("score (points)", f"target ({rule.unit})", "steps to target", "seconds to target")
    title = f"Comparison: {comparison.title}"
    return Table(title, "", ("task", "method", *numbers), rows, texts=1)


def _differences(comparison: Comparison) -> Table:
    """A row for each task and each contrast that it has cells of, then the same over tasks."""
    pairs = comparison.pairs
    of_tasks = pairs[pairs["scope"] == "task"]
    by_key = {(task_of(row), row.contrast): row for row in of_tasks.itertuples(index=False)}
    rows = []
    for task, of_task in by_task(comparison.cells):
        methods = methods_in(of_task)
        for name, *pair in comparison.contrasts:
            if any(method in methods for method in pair):
                row = by_key.get((task, name))
                cells = _NO_PAIR if row is None or math.isnan(row.mean) else _pair_cells(row)
                rows.append(Row(label(task), (name, *cells)))
    if len(of_tasks) and len(tasks_in(of_tasks)) > 1:
        for quantity, words in _OVERALL.items():
            of_quantity = pairs[(pairs["scope"] == "overall") & (pairs["quantity"] == quantity)]
            form = "{:.2f}".format if quantity == WINS else signed
            for row in of_quantity.itertuples(index=False):
                mean = NOT_THERE if math.isnan(row.mean) else form(row.mean)
                cells = ("", "", mean, _interval(row, form), f"{row.n:.0f} tasks", "")
                rows.append(Row(words, (row.contrast, *cells)))
    header = ("task", "method", *comparison.heads, "mean", "95 % interval", "pairs", "McNemar")
    return Table("Paired differences (points)", "", header, rows, texts=1)


def _pair_cells(row: Any) -> tuple[str, ...]:
    interval = _interval(row, signed)
    if row.n == 2:
        interval = f"{signed(row.least)} to {signed(row.greatest)} (range)"
    test = (
        f"{row.only_ours:.0f} : {row.only_theirs:.0f}, {p_text(row.p_holm)}" if row.n_tested else ""
    )
    means = (minus(f"{mean:.1f}") for mean in (row.ours_mean, row.theirs_mean))
    return (*means, signed(row.mean), interval, f"{row.n:.0f}", test)


def _interval(row: Any, form: Callable[[float], str]) -> str:
    return "not available" if math.isnan(row.low) else f"[{form(row.low)}, {form(row.high)}]"


def _settings(comparison: Comparison) -> Table:
    """A row for each setting; of one with many values those that most pairs have."""
    rows = []
    for setting, found in comparison.settings.groupby("setting", sort=False):
        for row in found.head(VALUES_SHOWN).itertuples(index=False):
            rows.append(Row(str(setting), (row.ours, row.theirs, str(row.pairs))))
        rest = found.iloc[VALUES_SHOWN:]
        if len(rest):
            rows.append(Row(str(setting), (f"{len(rest)} more", "", str(rest["pairs"].sum()))))
    header = ("setting", *comparison.heads, "pairs")
    return Table("Settings that differ", "", header, rows, texts=2)


def panels_of(comparison: Comparison) -> dict[str, Panels]:
    """The panels to draw: one for each task that has a curve, and the mean if there are several.

    If the rules set targets of the held-out loss, its panels follow, named `<task>_loss`.
    """
    cells, arrived, rule = comparison.cells, comparison.arrived, comparison.rules.convergence
    drawn: dict[str, Panels] = {}
    for quantity, ending in ((SCORE, ""), (LOSSES["held-out loss"], "_loss")):
        if quantity is not SCORE and quantity.column != rule.column:
            continue
        curves = comparison.followed
        if quantity.column != rule.column:
            curves = evaluated_curves(cells, comparison.collected.curves, quantity.column)
        panels = experiment_panels(
            cells,
            curves,
            arrived,
            comparison.title,
            rule,
            quantity=quantity,
            setting=comparison.caption,
        )
        drawn |= {
            f"{name}{ending}": one
            for name, one in panels.items()
            if name != ALL_TASKS or len(panels) > 2
        }
    return drawn


def save_figures(
    panels: Mapping[str, Panels], name: str, out_dir: Path, figure_style: str
) -> list[Path]:
    """Draw `compare_<task>_<name>`, by `short_stem`. Raises OSError if it cannot be written."""
    from frod_bench.report import figures  # matplotlib: only where it draws

    drawings = {
        short_stem(f"compare_{task}_{name}"): figures.convergence(shown)
        for task, shown in panels.items()
    }
    return figures.save(drawings, out_dir, figure_style)


def print_curves(panels: Panels, console: Console) -> None:
    """Print one plot per axis: the median over seeds of each method, and the target as a line."""
    for axis in panels.bands:
        title = f"{panels.title}: {panels.y_label} by {panels.x_labels[axis]}"
        if panels.has_target:
            title += f"; the line across is the {panels.target_text}"
        console.print(title, markup=False, highlight=False, soft_wrap=True)
        plot = _plot(panels.bands[axis], panels.scale, panels.target, console)
        console.print(Text.from_ansi(plot), soft_wrap=True)


def _plot(bands: Mapping[Method, Band], scale: float, target: float, console: Console) -> str:
    from uniplot import plot_to_string  # slow to import

    bands = {method: band for method, band in bands.items() if band.grid.size}
    colors = [style.of_method(method).color for method in bands]
    alike = console.color_system is None or len(set(colors)) < len(colors)
    plot: str = plot_to_string(
        xs=[band.grid for band in bands.values()],
        ys=[scale * band.median for band in bands.values()],
        lines=True,
        legend_labels=[label(method) for method in bands],
        color=False if console.color_system is None else colors,
        character_set="ascii" if alike else "braille",
        force_ascii_characters=[MARKS[line % len(MARKS)] for line in range(len(bands))],
        x_gridlines=[],
        y_gridlines=[] if math.isnan(target) else [scale * target],
        width=max(20, min(PLOT_COLUMNS, console.width - FRAME_COLUMNS)),
        height=PLOT_LINES,
    )
    return plot.replace(_BLACK, _FOREGROUND)
