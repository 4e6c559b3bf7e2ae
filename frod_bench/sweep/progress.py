"""The progress of a sweep on standard error: a live bar on a terminal, else a line per cell."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from frod_bench.cells.cell import Cell, Plan


@dataclass(frozen=True)
class Finished:
    """A cell whose run ended."""

    cell: Cell
    status: str  # ok | failed | diverged | refused
    summary: str
    seconds: float


class SweepDisplay:
    """Number of cells done, the cells that run, and the estimated end of the sweep."""

    def __init__(self, total: int, already: int, console: Console, enabled: bool = True) -> None:
        self.total, self.already, self.console = total, already, console
        self.done = 0
        self.started = time.monotonic()
        self.prints_lines = enabled and not console.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[end]} · {task.fields[now]}", markup=False),
            console=console,
            disable=not (enabled and console.is_terminal),
        )
        self.bar = self.progress.add_task(
            "cells", total=total, completed=already, end="ends …", now=""
        )

    def running(self, cells: Sequence[Cell]) -> None:
        """These cells run now."""
        labels = ", ".join(cell.label for cell in cells)
        self.progress.update(self.bar, now=f"running {labels}")
        if self.prints_lines:
            self.say(f"running {labels}")

    def finished(self, one: Finished) -> None:
        """One more cell is done."""
        self.done += 1
        self.progress.update(self.bar, completed=self.already + self.done, end=self.ends())
        if one.status != "ok" or self.prints_lines:
            self.say(
                f"[{self.already + self.done}/{self.total}] {one.cell.label}: {one.status}, "
                f"{one.summary} ({one.seconds:.1f} s; {self.ends()})"
            )

    def say(self, line: str) -> None:
        """One plain line."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def ends(self) -> str:
        """The estimated time of the end, at the pace so far."""
        left = self.total - self.already - self.done
        pace_sec = (time.monotonic() - self.started) / max(1, self.done)
        when = datetime.now() + timedelta(seconds=left * pace_sec)
        return f"ends {when:%H:%M:%S}"


def print_plan(plan: Plan, console: Console) -> None:
    """Print what would run, one cell per line."""
    for cell in plan.missing:
        console.print(f"{cell.label}  {cell.record_path}", highlight=False, soft_wrap=True)
    done = len(plan.cells) - len(plan.missing)
    console.print(
        f"{len(plan.missing)} of {len(plan.cells)} cells would run, {done} are done.",
        highlight=False,
    )


def print_failures(failures: Sequence[Finished], console: Console) -> None:
    """Print the table of failures."""
    table = Table(title=f"{len(failures)} runs failed")
    for column in ("cell", "status", "reason", "record"):
        table.add_column(column, overflow="fold")
    for one in failures:
        table.add_row(one.cell.label, one.status, one.summary, str(one.cell.record_path))
    console.print(table)
