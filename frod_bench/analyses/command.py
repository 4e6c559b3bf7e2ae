"""`frod-bench analyze landscape|spectrum|expressible`: analyses of trained models.

Each reads the cells of its own experiment, unless the overrides name another that keeps trained
values, and writes tables and a figure to a folder of the experiment's name beside the records.
Missing runs are reported on standard error, with the command that makes them. Exit status 2 for bad
input, and if there is no trained model at all.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from frod_bench.analyses.kept import kept_cells
from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import check_writable

EXPERIMENTS = {
    "landscape": "landscape",
    "spectrum": "update_spectrum",
    "expressible": "expressible",
}


def main(words: Sequence[str]) -> None:
    """Analyze, and print the paths of the files. Raises InputError for bad input."""
    arguments = parse("analyze", words)
    if arguments.action is None:
        raise InputError(f"No analysis is named.{did_you_mean('', EXPERIMENTS)}")
    overrides = arguments.overrides
    if not any(override.startswith("experiment=") for override in overrides):
        overrides = [f"experiment={EXPERIMENTS[arguments.action]}", *overrides]
    kept = kept_cells(overrides)
    check_writable(kept.context.out_dir)
    for line in kept.lacking:
        _say(line)
    # Imported only now: torch and matplotlib are not needed to report what is missing.
    analysis = import_module(f"frod_bench.analyses.{arguments.action}")
    for path in analysis.analyze(kept.cells, kept.context, _say):
        print(path)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def start(words: Sequence[str]) -> None:
    """Run the command line and exit with its status."""
    with exit_statuses():
        main(words)
