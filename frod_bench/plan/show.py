"""A plan as JSON, or as tables for a terminal."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich.console import Console

from frod_bench.plan.accelerators import Accelerator
from frod_bench.plan.cells import Grid
from frod_bench.plan.costs import CellCost
from frod_bench.plan.disk import DATA_NOTE, Disk, Download
from frod_bench.plan.fit import Change
from frod_bench.plan.ranking import OPTION_TOKENS
from frod_bench.plan.readings import DENOMINATORS, Reading
from frod_bench.report.rules import ParametersRule
from frod_bench.report.table import Row, Table, to_rich

ASSUMPTIONS = (
    "Every text has max_length tokens, an upper bound. Training only, without evaluation or setup.",
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


@dataclass(frozen=True)
class PlanResult:
    """The result of a plan.

    Attributes:
        rule: the claim about the share of trained parameters.
        saves: whether the cells keep their trained values (`save=adapter`).
        is_synthetic: whether data and backbones are included in the package.
    """

    grid: Grid
    accelerator: Accelerator
    cells: Sequence[CellCost]
    rule: ParametersRule
    readings: Sequence[Reading]
    downloads: Sequence[Download]
    saves: bool
    is_synthetic: bool

    @property
    def title(self) -> str:
        """Title of the plan."""
        return f"Plan: {self.grid.title}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers assume."""
        return ASSUMPTIONS + (RANKED if any(cell.head == "rank" for cell in self.cells) else ())

    @property
    def kept_bytes(self) -> int:
        """Bytes of the trained values that all runs of all cells keep."""
        kept = sum(cell.disk.kept_with_save_adapter for cell in self.cells)
        return self.grid.repeats * kept if self.saves else 0


def as_json(result: PlanResult) -> str:
    """Return all results as a JSON document."""
    accelerator, grid = result.accelerator, result.grid
    document: dict[str, Any] = {
        "title": result.title,
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
            "data_sets": None if result.is_synthetic else DATA_NOTE,
            "kept_bytes": result.kept_bytes,
        },
        "paper_percent": result.rule.paper_percent,
        "readings": [asdict(reading) for reading in result.readings],
    }
    return json.dumps(document, indent=1)


def show(result: PlanResult, console: Console) -> None:
    """Print parameters, memory and time of all cells, disk, and readings of the paper's number."""

    def say(lines: Iterable[str]) -> None:
        for line in lines:
            console.print(line, soft_wrap=True)

    console.print(f"{result.title}, on {result.accelerator.title}", style="bold")
    console.print(to_rich(_parameter_table(result.cells)))
    console.print(to_rich(_cost_table(result.cells)))
    say([hours_line(result), *_change_lines(result.cells), *result.assumptions])
    console.print(to_rich(_disk_table(result.cells)))
    say(_disk_lines(result))
    if result.readings:
        console.print(to_rich(_reading_table(result)))
        say(_reading_lines(result))


def hours_line(result: PlanResult) -> str:
    """Return the number of cells, and the hours of one run of each and of all repetitions."""
    number, grid = len(result.cells), result.grid
    total = sum(cell.hours for cell in result.cells)
    devices = sum(cell.hours * cell.devices for cell in result.cells)
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
    for tasks, cell in _grouped(cells):
        counts = cell.counts
        numbers = [counts.trained, counts.trained + counts.head, counts.frozen_extra]
        numbers += [counts.stored, counts.stored + counts.head]
        rows.append(Row(tasks, (cell.label, *(f"{n:,}" for n in numbers), f"{counts.percent:.3f}")))
    return Table("Parameters", "", ("tasks", "method", *names), rows, texts=1)


def _cost_table(cells: Iterable[CellCost]) -> Table:
    parts = ("weights", "U and V", "gradients", "optimizer", "activations", "peak")
    names = (*parts, "TFLOP per step", "PFLOP", "hours", "fits with", "peak then")
    rows = []
    for tasks, cell in _grouped(cells):
        step, fitted = cell.step, cell.fitted
        sizes = (step.weight_bytes, step.factor_bytes, step.gradient_bytes, step.optimizer_bytes)
        change = "no change of these" if fitted.change is None else str(fitted.change)
        least = "> " if fitted.change is None else ""
        numbers = [_gib(n) for n in (*sizes, max(step.activation_bytes), step.peak_bytes)]
        numbers += [f"{cell.step_flops / 1e12:.4g}", f"{cell.flops / 1e15:.4g}"]
        fits = "as it is" if change == "none" else change
        peak = "" if change == "none" else f"{least}{_gib(fitted.peak_bytes)}"
        rows.append(Row(tasks, (cell.label, *numbers, f"{cell.hours:.2f}", fits, peak)))
    title = "Memory (GiB), FLOPs and hours per cell"
    return Table(title, "", ("tasks", "method", *names), rows, texts=1)


def _disk_table(cells: Iterable[CellCost]) -> Table:
    """Return disk space by backbone and method: the most of its tasks."""
    most: dict[tuple[str, str], Disk] = {}
    for cell in cells:
        key, old = (cell.backbone, cell.label), most.get((cell.backbone, cell.label))
        if old is None or cell.disk.kept_with_save_adapter > old.kept_with_save_adapter:
            most[key] = cell.disk
    rows = [
        Row(backbone, (method, *(f"{size / 1e9:.3g}" for size in asdict(disk).values())))
        for (backbone, method), disk in most.items()
    ]
    names = ("backbone", "method", "kept by save=adapter", "checkpoints while it runs")
    return Table("Disk (GB = 1e9 bytes) per cell", "", names, rows, texts=1)


def _disk_lines(result: PlanResult) -> list[str]:
    return [
        f"Backbones: {', '.join(map(str, result.downloads))}.",
        *([] if result.is_synthetic else [DATA_NOTE]),
        f"Kept by all cells: {result.kept_bytes / 1e9:.1f} GB of trained values (save=adapter)."
        if result.saves
        else "Kept by all cells (save=none): records, curves and predictions, a few MB per cell.",
        "Checkpoints of a cell are under results_root, two at a time, until it has a record.",
    ]


def _reading_table(result: PlanResult) -> Table:
    """Return percents by what is counted and of what; a star marks those near the paper's."""
    columns = dict.fromkeys(reading.over for reading in result.readings)
    means = {"families": "mean of families", "tasks": "mean of tasks"}
    names = ("trained", "of the", *(means.get(name, name) for name in columns))
    groups = groupby(result.readings, key=lambda reading: (reading.counted, reading.of))
    rows = [
        Row(counted, (of, *(f"{one.percent:.3f}{' *' if one.near else ''}" for one in group)))
        for (counted, of), group in groups
    ]
    title = f"FRoD's share of the parameters, %; the paper reports {result.rule.paper_percent}"
    return Table(title, "", names, rows, texts=1)


def _reading_lines(result: PlanResult) -> list[str]:
    near = [
        f"  {one.percent:.2f} %: {one.counted}, of the {one.of}, {one.over}"
        for one in result.readings
        if one.near
    ]
    within = f"Within {result.rule.tolerance_points} points of {result.rule.paper_percent} %"
    meanings = [f"{name}: {meaning}." for name, meaning in DENOMINATORS.items()]
    return [*meanings, f"{within}: {len(near)} readings.", *near]


def _grouped(cells: Iterable[CellCost]) -> list[tuple[str, CellCost]]:
    """Return one cell for all that differ in the task's name only, with these names."""
    groups: dict[tuple[str, int, int, str], list[CellCost]] = {}
    for cell in cells:
        key = (cell.family_label, cell.num_labels, cell.row_tokens, cell.label)
        groups.setdefault(key, []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: item[0][:3])
    return [(", ".join(cell.task_label for cell in group), group[0]) for _, group in ordered]


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"
