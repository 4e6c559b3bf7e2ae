"""A plan as JSON, or as tables for a terminal."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table

from frod_bench.plan.accelerators import Accelerator
from frod_bench.plan.costs import CellCost
from frod_bench.plan.readings import DENOMINATORS, MARGIN, PAPER_PERCENT, Reading, near_ones

ASSUMPTIONS = (
    "Every text has max_length tokens: an upper bound. Training only: no evaluation, no set-up.",
    "FLOPs and memory: eager attention, FRoD's C written out; weights float32, cast by autocast.",
    "Hours: FLOPs over the accelerator's peak times an assumed utilisation, with the change made.",
    "Stored: what save=adapter keeps. Changes (accumulation, checkpointing, FSDP) are estimates.",
)


@dataclass(frozen=True)
class PlanResult:
    """What a plan found."""

    title: str
    accelerator: Accelerator
    cells: Sequence[CellCost]
    readings: Sequence[Reading]


def as_json(result: PlanResult) -> str:
    """All of it."""
    accelerator = result.accelerator
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
        "assumptions": list(ASSUMPTIONS),
        "cells": [cell.as_dict() for cell in result.cells],
        "paper_percent": PAPER_PERCENT,
        "readings": [reading.as_dict() for reading in result.readings],
    }
    return json.dumps(document, indent=1)


def show(result: PlanResult, console: Console) -> None:
    """Tables: parameters, memory and time of all cells, and the readings of the paper's number."""
    accelerator = result.accelerator
    console.print(f"{result.title}, on {accelerator.title}", style="bold", highlight=False)
    console.print(parameter_table(result.cells))
    console.print(cost_table(result.cells))
    total = sum(cell.hours for cell in result.cells)
    say(console, f"{len(result.cells)} cells, one seed each: {total:.1f} hours one after another.")
    for line in ASSUMPTIONS:
        say(console, line)
    if result.readings:
        console.print(reading_table(result.readings))
        for name, meaning in DENOMINATORS.items():
            say(console, f"{name}: {meaning}.")
        near = near_ones(result.readings)
        say(console, f"Within {MARGIN} points of {PAPER_PERCENT} %: {len(near)} readings.")
        for line in near:
            say(console, f"  {line}")


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
        table.add_row(tasks, cell.method, *(f"{n:,}" for n in (*numbers, *stored)), share)
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
        table.add_row(
            tasks,
            cell.method,
            *memory,
            f"{cell.flops / cell.steps / 1e12:.4g}",
            f"{cell.flops / 1e15:.4g}",
            f"{cell.hours:.2f}",
            "as it is" if change == "none" else change,
            "" if change == "none" else _gib(fitted.peak_bytes),
        )
    return table


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
    groups: dict[tuple[str, int, str], list[CellCost]] = {}
    for cell in cells:
        groups.setdefault((cell.family, cell.num_labels, cell.method), []).append(cell)
    ordered = sorted(groups.items(), key=lambda item: item[0][:2])
    return [(", ".join(cell.task for cell in group), group[0]) for _, group in ordered]


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"
