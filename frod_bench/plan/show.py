"""A plan as JSON, or as tables for a terminal."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from frod_bench.plan.accelerators import Accelerator
from frod_bench.plan.cells import Grid
from frod_bench.plan.costs import CellCost
from frod_bench.plan.disk import DATA_NOTE, Disk, Download
from frod_bench.plan.fit import Change
from frod_bench.plan.ranking import OPTION_TOKENS
from frod_bench.plan.readings import DENOMINATORS, MARGIN, PAPER_PERCENT, Reading, near_ones

ASSUMPTIONS = (
    "Every text has max_length tokens: an upper bound. Training only: no evaluation, no set-up.",
    "FLOPs and memory: eager attention, FRoD's C written out; weights float32, cast by autocast.",
    "Hours: FLOPs over the accelerator's peak times an assumed utilisation, with the change made.",
    "Peak then: of one device. FSDP leaves whole on each: U and V, merged weights, casts; and "
    "gradients, while there are micro-batches to come.",
    "Stored: what save=adapter keeps.",
)
RANKED = (
    f"Ranked rows: max_length tokens for question and longest option, {OPTION_TOKENS} for each "
    "further option (those that a task states itself: their letters), the question read once.",
    "A frozen backbone that ranks takes no step: its memory is that of a batch of an evaluation.",
)


@dataclass(frozen=True)
class PlanResult:
    """What a plan found.

    Attributes:
        saves: whether the cells keep their trained values (`save=adapter`).
        stand_in: whether data and backbones come with the suite.
    """

    grid: Grid
    accelerator: Accelerator
    cells: Sequence[CellCost]
    readings: Sequence[Reading]
    downloads: Sequence[Download]
    saves: bool
    stand_in: bool

    @property
    def title(self) -> str:
        """What is planned."""
        return f"Plan: {self.grid.title}"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the numbers assume."""
        ranks = any(cell.head == "rank" for cell in self.cells)
        return ASSUMPTIONS + (RANKED if ranks else ())

    @property
    def kept_bytes(self) -> int:
        """Trained values that all runs of all cells keep."""
        return self.grid.repeats * sum(cell.disk.kept for cell in self.cells) if self.saves else 0


def as_json(result: PlanResult) -> str:
    """All of it."""
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
            "downloads": [one.as_dict() for one in result.downloads],
            "data_sets": None if result.stand_in else DATA_NOTE,
            "kept_bytes": result.kept_bytes,
        },
        "paper_percent": PAPER_PERCENT,
        "readings": [reading.as_dict() for reading in result.readings],
    }
    return json.dumps(document, indent=1)


def show(result: PlanResult, console: Console) -> None:
    """Tables: parameters, memory and time of all cells, disk, and the readings of the paper's
    number.
    """
    console.print(f"{result.title}, on {result.accelerator.title}", style="bold", highlight=False)
    console.print(parameter_table(result.cells))
    console.print(cost_table(result.cells))
    say(console, hours_line(result))
    for line in (*change_lines(result.cells), *result.assumptions):
        say(console, line)
    console.print(disk_table(result.cells))
    for line in disk_lines(result):
        say(console, line)
    if result.readings:
        console.print(reading_table(result.readings))
        for name, meaning in DENOMINATORS.items():
            say(console, f"{name}: {meaning}.")
        near = near_ones(result.readings)
        say(console, f"Within {MARGIN} points of {PAPER_PERCENT} %: {len(near)} readings.")
        for line in near:
            say(console, f"  {line}")


def hours_line(result: PlanResult) -> str:
    """How many cells, and what they and their repetitions take in all."""
    number, grid = len(result.cells), result.grid
    total = sum(cell.hours for cell in result.cells)
    devices = sum(cell.hours * cell.devices for cell in result.cells)
    line = (
        f"{number} cell{'s'[: number != 1]}, one seed each: {total:.1f} hours one after another, "
        f"{devices:.1f} of one device."
    )
    if grid.repeats > 1:
        again = f"{grid.repeats} runs of each ({', '.join(grid.repeated)})"
        line += f" {again}: {grid.repeats * total:.1f}, and {grid.repeats * devices:.1f}."
    return line


def change_lines(cells: Iterable[CellCost]) -> list[str]:
    """What makes cells fit, to be pasted; cells that need the same share a line."""
    wanting: dict[str, list[str]] = {}
    for cell in cells:
        change = cell.fitted.change
        if change is not None and change != Change():
            start = f"{change.launch} -m frod_bench.run ... " if change.launch else ""
            words = start + " ".join(change.overrides)
            wanting.setdefault(words.strip(), []).append(f"{cell.task}/{cell.label}")
    lines = [f"  {words}\n    {', '.join(labels)}" for words, labels in wanting.items()]
    return ["To make them fit:", *lines] if lines else []


def say(console: Console, line: str) -> None:
    """One plain line."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def parameter_table(cells: Iterable[CellCost]) -> Table:
    """Counts; tasks whose heads have as many classes share a row."""
    table = _table("Parameters", ("tasks", "method"))
    names = ("trained", "with head", "frozen extra", "stored", "with head", "% of backbone")
    for name in names:
        table.add_column(name, justify="right")
    for tasks, cell in _alike(cells):
        counts = cell.counts
        numbers = (counts.trained, counts.trained + counts.head, counts.frozen_extra)
        stored = (counts.stored, counts.stored + counts.head)
        share = f"{100 * counts.trained / counts.backbone:.3f}"
        table.add_row(tasks, cell.label, *(f"{n:,}" for n in (*numbers, *stored)), share)
    return table


def cost_table(cells: Iterable[CellCost]) -> Table:
    """Memory by part (GiB), FLOPs, hours, and what makes it fit."""
    table = _table("Memory (GiB), FLOPs and hours a cell", ("tasks", "method"))
    parts = ("weights", "U and V", "gradients", "optimizer", "activations", "peak")
    for name in (*parts, "TFLOP a step", "PFLOP", "hours"):
        table.add_column(name, justify="right")
    table.add_column("fits with")
    table.add_column("peak then", justify="right")
    for tasks, cell in _alike(cells):
        step, fitted = cell.step, cell.fitted
        sizes = (step.weight_bytes, step.factor_bytes, step.gradient_bytes, step.optimizer_bytes)
        memory = (_gib(n) for n in (*sizes, max(step.activation_bytes), step.peak_bytes))
        change = "nothing of ours" if fitted.change is None else str(fitted.change)
        least = "> " if fitted.change is None else ""
        table.add_row(
            tasks,
            cell.label,
            *memory,
            f"{cell.step_flops / 1e12:.4g}",
            f"{cell.flops / 1e15:.4g}",
            f"{cell.hours:.2f}",
            "as it is" if change == "none" else change,
            "" if change == "none" else f"{least}{_gib(fitted.peak_bytes)}",
        )
    return table


def disk_table(cells: Iterable[CellCost]) -> Table:
    """What a cell takes of the disk, by backbone and method; the most of its tasks."""
    table = _table("Disk (GB = 1e9 bytes) a cell", ("backbone", "method"))
    for name in ("kept by save=adapter", "checkpoints while it runs"):
        table.add_column(name, justify="right")
    most: dict[tuple[str, str], Disk] = {}
    for cell in cells:
        key, new = (cell.backbone, cell.label), cell.disk
        old = most.get(key, new)
        most[key] = max(old, new, key=lambda disk: (disk.kept, disk.checkpoints))
    for key, disk in most.items():
        sizes = (disk.kept, disk.checkpoints)
        table.add_row(*key, *(f"{size / 1e9:.3g}" for size in sizes))
    return table


def disk_lines(result: PlanResult) -> list[str]:
    """What is downloaded, what stays, and where the rest is."""
    return [
        f"Backbones: {', '.join(map(str, result.downloads))}.",
        *([] if result.stand_in else [DATA_NOTE]),
        f"Kept by all cells: {result.kept_bytes / 1e9:.1f} GB of trained values (save=adapter)."
        if result.saves
        else "Kept by all cells (save=none): records, curves and predictions, some MB a cell.",
        "Checkpoints of a cell lie under results_root, two at a time, and go once it has a record.",
    ]


def reading_table(found: Sequence[Reading]) -> Table:
    """Percent by what is counted and of what; a star where it comes near the paper's."""
    table = _table(f"FRoD's share of the parameters, %; the paper says {PAPER_PERCENT}", ())
    for name in ("trained", "of the"):
        table.add_column(name)
    columns = list(dict.fromkeys(reading.over for reading in found))
    for name in columns:
        mean = {"families": "mean of families", "tasks": "mean of tasks"}
        table.add_column(mean.get(name, name), justify="right")
    for (counted, of), row in groupby(found, key=lambda reading: (reading.counted, reading.of)):
        table.add_row(counted, of, *(f"{r.percent:.3f}{' *' if r.near else ''}" for r in row))
    return table


def _alike(cells: Iterable[CellCost]) -> list[tuple[str, CellCost]]:
    """One cell for all that differ in the task's name only, with their names."""
    groups: dict[tuple[str, int, int, str], list[CellCost]] = {}
    for cell in cells:
        key = (cell.family, cell.num_labels, cell.row_tokens, cell.label)
        groups.setdefault(key, []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: item[0][:3])
    return [(", ".join(cell.task for cell in group), group[0]) for _, group in ordered]


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"
