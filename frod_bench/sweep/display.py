"""The progress of a sweep on standard error: a live bar on a terminal, else a line per cell."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from frod_bench.cells.cell import Cell


@dataclass(frozen=True)
class Finished:
    """A cell whose run ended."""

    cell: Cell
    status: str  # ok | failed | diverged | refused | over its time limit
    summary: str
    seconds: float
    is_ours: bool = True  # False: another sweep has run it


class SweepDisplay:
    """How many cells are done, which ones run, and when all will be done."""

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

    def running(self, cells: Sequence[Cell], elsewhere: Sequence[Cell] = ()) -> None:
        """`cells` run now; if none do, the rest wait for other processes, which run `elsewhere`."""
        labels = ", ".join(cell.label for cell in cells or elsewhere)
        now = f"running {labels}" if cells else f"waiting for other processes to run {labels}"
        self.progress.update(self.bar, now=now)
        if self.prints_lines:
            self.say(now)

    def finished(self, one: Finished) -> None:
        """One more cell is done."""
        self.done += 1
        self.progress.update(self.bar, completed=self.already + self.done, end=self.ends())
        if one.status != "ok" or self.prints_lines:
            took = f"{one.seconds:.1f} s" if one.is_ours else "run by another process"
            self.say(
                f"[{self.already + self.done}/{self.total}] {one.cell.label}: {one.status}, "
                f"{one.summary} ({took}; {self.ends()})"
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
