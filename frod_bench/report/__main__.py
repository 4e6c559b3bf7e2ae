"""Command line: write the tables and figures of an experiment from the records that are there.

    python -m frod_bench.report [tables|plots|all] [Hydra overrides]

The overrides name the same grid as `python -m frod_bench.run -m` does, `experiment=main_table`
unless they say otherwise. What is missing in it
is told on standard error and shown in the tables.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from frod_bench import tracker
from frod_bench.complaints import exit_statuses
from frod_bench.errors import InputError, did_you_mean
from frod_bench.grid import compose_cells
from frod_bench.report.build import PARTS, write_report
from frod_bench.report.collect import Cell

CHOICES = {"all": PARTS, "tables": ("tables",), "plots": ("plots",)}


def report(what: str, overrides: Sequence[str], console: Console) -> None:
    """Write `what` of the grid that `overrides` name, and tell what is missing in it."""
    if what not in CHOICES:
        raise InputError(f"{what!r} is no part of a report." + did_you_mean(what, CHOICES))
    if not any(override.startswith("experiment=") for override in overrides):
        overrides = ["experiment=main_table", *overrides]
    base, cells = compose_cells(overrides)
    asked = [Cell(c.task, c.method, c.seed, c.config_hash, c.protocol, c.family) for c in cells]
    written = write_report(
        Path(base.results_root), base.profile.name, asked, base.profile.title, parts=CHOICES[what]
    )
    for path in written.paths:
        print(path)
    for line in (*written.collected.warnings, *written.holes()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    tracker.log_report(base, Path(base.results_root).resolve() / base.profile.name)


def main() -> None:
    """Read the command line."""
    words = sys.argv[1:]
    what = words.pop(0) if words and "=" not in words[0] else "all"
    with exit_statuses():
        report(what, words, Console(stderr=True))


if __name__ == "__main__":
    main()
