"""A plan as JSON, or as tables for a terminal, with every reading of the paper's share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, product
from statistics import fmean
from typing import Any

from rich.console import Console

from frod_bench.plan.cells import Accelerator, Grid
from frod_bench.plan.costs import DATA_NOTE, CellCost, Disk, Download, flops_of
from frod_bench.plan.fit import Change
from frod_bench.plan.shapes import OPTION_TOKENS
from frod_bench.report.rules import ParametersRule
from frod_bench.report.table import Row, Table, to_rich

ASSUMPTIONS = (
    "Every text has max_length tokens, an upper bound. Hours count training and, if the task "
    "states its rows, evaluations; not setup.",
    "FLOPs and memory: eager attention, FRoD's C written out; float32 weights, cast by autocast.",
    "Hours: FLOPs over the accelerator's peak times an assumed utilisation, with the change made.",
    "Peak then: of one device. With FSDP each device holds in full U and V, merged weights, casts; "
    "and gradients, while there are micro-batches to come.",
    "Stored: what save=adapter keeps.",
)
RANKED = (
    f"Ranked rows: max_length tokens for the question and its longest option, {OPTION_TOKENS} for "
    "each further option (fewer if the task states its options), the question read once.",
    "A frozen backbone that ranks takes no steps: its memory is that of an evaluation batch.",
)
CHECKPOINTS = "Checkpoints of a cell are under results_root, two at a time, until it has a record."
NUMERATORS = ("without the head", "with the head")
DENOMINATORS = {
    "backbone": "the backbone as it is fine-tuned",
    "trained model": "the backbone, the adapter and the head",
    "adapted model": "the same, and FRoD's frozen U, V and lambda_0",
    "checkpoint": "the whole checkpoint, with CLIP's text tower and the language model's head",
}


@dataclass(frozen=True)
class Reading:
    """One way to read "trains p % of the parameters", the mean over tasks."""

    counted: str  # whether the head counts as trained, one of `NUMERATORS`
    of: str  # a key of `DENOMINATORS`
    over: str  # a family, `families` (their mean) or `tasks` (the suite's mean)
    percent: float
    near: bool  # whether it is within the claim's tolerance of the paper's number


@dataclass(frozen=True)
class PlanResult:
    """The result of a plan."""

    grid: Grid
    accelerator: Accelerator
    cells: Sequence[CellCost]
    downloads: Sequence[Download]
    rule: ParametersRule  # the claim about the share of trained parameters

    @property
    def saves(self) -> bool:
        """Whether the cells keep their trained values."""
        return self.cells[0].settings.save == "adapter"

    @property
    def data_note(self) -> str | None:
        """What is known of the sizes of data sets; None if the package contains the data."""
        return None if self.cells[0].settings.profile.stand_in else DATA_NOTE

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers assume."""
        ranks = any(cell.settings.head == "rank" for cell in self.cells)
        return ASSUMPTIONS + (RANKED if ranks else ())

    @property
    def kept_bytes(self) -> int:
        """Bytes of the trained values that all runs of all cells keep."""
        kept = sum(cell.disk.kept_with_save_adapter for cell in self.cells)
        return self.grid.repeats * kept if self.saves else 0

    def readings(self) -> list[Reading]:
        """Return all readings of the cells of the rule's method; none if there are none."""
        checkpoints = {one.backbone: one.parameters for one in self.downloads}
        ours = [cell for cell in self.cells if cell.settings.method.name == self.rule.ours]
        found = []
        for counted, of in product(NUMERATORS, DENOMINATORS) if ours else ():
            by_family: dict[str, list[float]] = {}
            for cell in ours:
                share = _percent(cell, counted, of, checkpoints)
                by_family.setdefault(cell.family_label, []).append(share)
            means = {family: fmean(shares) for family, shares in by_family.items()}
            means["families"] = fmean(list(means.values()))
            means["tasks"] = fmean(share for shares in by_family.values() for share in shares)
            for over, percent in means.items():
                near = abs(percent - self.rule.paper_percent) <= self.rule.tolerance_points
                found.append(Reading(counted, of, over, percent, near))
        return found


def _percent(cell: CellCost, counted: str, of: str, checkpoints: Mapping[str, int]) -> float:
    counts = cell.counts
    trained = counts.trained + counts.head
    whole = {
        "backbone": counts.backbone,
        "trained model": counts.backbone + trained,
        "adapted model": counts.backbone + trained + counts.frozen_extra,
        "checkpoint": checkpoints[cell.settings.backbone.name],
    }
    return 100 * (trained if counted == NUMERATORS[1] else counts.trained) / whole[of]


def as_json(result: PlanResult) -> str:
    """Return all results as a JSON document."""
    accelerator, grid = result.accelerator, result.grid
    document: dict[str, Any] = {
        "title": f"Plan: {grid.title}",
        "accelerator": {
            "name": accelerator.name,
            "title": accelerator.title,
            "memory_bytes": int(accelerator.memory_gib * 2**30),
            "usable_bytes": accelerator.usable_bytes,
            "flops_per_sec": accelerator.flops_per_sec,
            "utilisation": accelerator.utilisation,
        },
        "assumptions": list(result.assumptions),
        "cells": [cell.as_dict() for cell in result.cells],
        "runs_of_each_cell": {"number": grid.repeats, "for": grid.repeated},
        "disk": {
            "downloads": [asdict(one) for one in result.downloads],
            "data_sets": result.data_note,
            "kept_bytes": result.kept_bytes,
        },
        "paper_percent": result.rule.paper_percent,
        "readings": [asdict(reading) for reading in result.readings()],
    }
    return json.dumps(document, indent=1)


def show(result: PlanResult, console: Console) -> None:
    """Print parameters, memory and time of all cells, disk, and readings of the paper's number."""

    def say(lines: Iterable[str]) -> None:
        for line in lines:
            console.print(line, soft_wrap=True)

    console.print(f"Plan: {result.grid.title}, on {result.accelerator.title}", style="bold")
    console.print(to_rich(_parameter_table(result.cells)))
    console.print(to_rich(_cost_table(result.cells)))
    say([hours_line(result), *_change_lines(result.cells), *result.assumptions])
    console.print(to_rich(_disk_table(result.cells)))
    kept = " (save=none): records, curves and predictions, a few MB per cell."
    if result.saves:
        kept = f": {result.kept_bytes / 1e9:.1f} GB of trained values (save=adapter)."
    say([f"Backbones: {', '.join(map(str, result.downloads))}.", *filter(None, [result.data_note])])
    say([f"Kept by all cells{kept}", CHECKPOINTS])
    if readings := result.readings():
        rule, near = result.rule, [reading for reading in readings if reading.near]
        console.print(to_rich(_reading_table(readings, rule.paper_percent)))
        say(f"{name}: {meaning}." for name, meaning in DENOMINATORS.items())
        within = f"Within {rule.tolerance_points} points of {rule.paper_percent} %"
        say([f"{within}: {len(near)} readings."])
        say(f"  {r.percent:.2f} %: {r.counted}, of the {r.of}, {r.over}" for r in near)


def hours_line(result: PlanResult) -> str:
    """Return the number of cells, and the hours of one run of each and of all repetitions."""
    number, grid = len(result.cells), result.grid
    total = sum(cell.hours for cell in result.cells)
    devices = sum(cell.hours * (cell.fitted.change or Change()).devices for cell in result.cells)
    line = (
        f"{number} cell{'s' if number != 1 else ''}, one seed each: {total:.1f} hours in sequence, "
        f"{devices:.1f} device-hours."
    )
    if grid.repeats > 1:
        again = f"{grid.repeats} runs of each ({', '.join(grid.repeated)})"
        line += f" {again}: {grid.repeats * total:.1f} and {grid.repeats * devices:.1f}."
    return line


def _change_lines(cells: Iterable[CellCost]) -> list[str]:
    """Return the overrides that make cells fit; cells with the same overrides share a line."""
    wanting: dict[str, list[str]] = {}
    for cell in cells:
        change = cell.fitted.change
        if change is not None and change != Change():
            launch = [f"{change.launch} -m frod_bench.run ..."] if change.launch else []
            words = " ".join([*launch, *change.overrides])
            wanting.setdefault(words, []).append(f"{cell.task_label}/{cell.label}")
    lines = [f"  {words}\n    {', '.join(labels)}" for words, labels in wanting.items()]
    return ["To make them fit:", *lines] if lines else []


def _parameter_table(cells: Iterable[CellCost]) -> Table:
    names = ("trained", "with head", "frozen extra", "stored", "with head", "% of backbone")
    rows = []
    for tasks, (cell, *_) in _grouped(cells):
        counts = cell.counts
        numbers = [counts.trained, counts.trained + counts.head, counts.frozen_extra]
        numbers += [counts.stored, counts.stored + counts.head]
        rows.append(Row(tasks, (cell.label, *(f"{n:,}" for n in numbers), f"{counts.percent:.3f}")))
    return Table("Parameters", "", ("tasks", "method", *names), rows, texts=1)


def _cost_table(cells: Iterable[CellCost]) -> Table:
    parts = ("weights", "U and V", "gradients", "optimizer", "activations", "peak")
    names = (*parts, "TFLOP per step", "PFLOP", "hours", "fits with", "peak then")
    rows = []
    for tasks, group in _grouped(cells):
        cell = group[0]
        step, change = cell.step, cell.fitted.change
        sizes = (step.weight_bytes, step.factor_bytes, step.gradient_bytes, step.optimizer_bytes)
        numbers = [_gib(n) for n in (*sizes, max(step.activation_bytes), step.peak_bytes)]
        flops = flops_of(step, cell.micro_batches)
        whole = _span([f"{one.steps * flops / 1e15:.4g}" for one in group])
        numbers += [f"{flops / 1e12:.4g}", whole, _span([f"{one.hours:.2f}" for one in group])]
        peak = _gib(cell.fitted.peak_bytes)
        if change is None:
            fits = ("no change of these", f"> {peak}")
        else:
            fits = ("as it is", "") if change == Change() else (str(change), peak)
        rows.append(Row(tasks, (cell.label, *numbers, *fits)))
    title = "Memory (GiB), FLOPs and hours per cell"
    return Table(title, "", ("tasks", "method", *names), rows, texts=1)


def _disk_table(cells: Iterable[CellCost]) -> Table:
    """Return disk space by backbone and method: the most of its tasks."""
    most: dict[tuple[str, str], Disk] = {}
    for cell in cells:
        key = (cell.settings.backbone.name, cell.label)
        most[key] = max(most.get(key, cell.disk), cell.disk, key=lambda d: d.kept_with_save_adapter)
    rows = [
        Row(backbone, (method, *(f"{size / 1e9:.3g}" for size in asdict(disk).values())))
        for (backbone, method), disk in most.items()
    ]
    names = ("backbone", "method", "kept by save=adapter", "checkpoints while it runs")
    return Table("Disk (GB = 1e9 bytes) per cell", "", names, rows, texts=1)


def _reading_table(readings: Sequence[Reading], paper_percent: float) -> Table:
    """Return percents by what is counted and of what; a star marks those near the paper's."""
    columns = dict.fromkeys(reading.over for reading in readings)
    means = {"families": "mean of families", "tasks": "mean of tasks"}
    names = ("trained", "of the", *(means.get(name, name) for name in columns))
    rows = [
        Row(counted, (of, *(f"{one.percent:.3f}{' *' if one.near else ''}" for one in group)))
        for (counted, of), group in groupby(readings, key=lambda one: (one.counted, one.of))
    ]
    title = f"FRoD's share of the parameters, %; the paper reports {paper_percent}"
    return Table(title, "", names, rows, texts=1)


def _grouped(cells: Iterable[CellCost]) -> list[tuple[str, list[CellCost]]]:
    """Return groups of cells whose steps are alike, each with the names of its tasks.

    The cells of a group differ only in their numbers of steps and evaluations, which depend on the
    rows of the tasks.
    """
    groups: dict[tuple[str, int, int, str], list[CellCost]] = {}
    for cell in cells:
        key = (cell.family_label, cell.settings.task.num_labels, cell.row_tokens, cell.label)
        groups.setdefault(key, []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: item[0][:3])
    return [(", ".join(cell.task_label for cell in group), group) for _, group in ordered]


def _span(values: Sequence[str]) -> str:
    """Return the one number of all, or the lowest and the highest."""
    low, high = min(values, key=float), max(values, key=float)
    return low if low == high else f"{low} to {high}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"
