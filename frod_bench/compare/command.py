"""Print the paired differences of records, and draw their curves (docs/how-to/compare.md).

Exit status: 0, 1 if a figure cannot be written, 2 for bad input.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable, is_published
from frod_bench.common.terminal import plain_console, shown
from frod_bench.compare.comparison import panels_of, print_curves, save_figures, show
from frod_bench.compare.published import overlaid, read_losses
from frod_bench.compare.records import PROFILE, CompareConfig, compare, parse
from frod_bench.report.frame import methods_in
from frod_bench.report.rules import load_rules
from frod_bench.report.style import telling_apart


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    try:
        config = parse(arguments)
        losses = read_losses(config.published) if config.published else None
        comparison = compare(config, load_rules())
        published = overlaid(comparison, losses) if losses else {}
        if config.plot != "none" and config.out_dir is not None:
            check_writable(_out_dir(config), "out")
    except InputError as error:
        print(shown(f"error: {error}"), file=sys.stderr)
        return 2
    console = plain_console()
    show(comparison, console)
    if config.plot == "none":
        return 0
    panels = panels_of(comparison) | published
    for panel in published.values():
        console.print(str(panel.caption), markup=False, highlight=False, soft_wrap=True)
    with telling_apart(methods_in(comparison.cells)):
        if config.plot == "terminal":
            for panel in panels.values():
                print_curves(panel, console)
        try:
            out_dir, figure_style = _out_dir(config), config.figure_style
            for path in save_figures(panels, comparison.name, out_dir, figure_style):
                print(path.resolve())
        except OSError as error:
            print(f"error: {error}. Name another out=.", file=sys.stderr)
            return 1
    return 0


def _out_dir(config: CompareConfig) -> Path:
    """Where figures go: next to the (first folder's) records, unless these are published."""
    if config.out_dir is not None:
        return Path(config.out_dir).expanduser()
    folder = Path(config.results_root, config.profile or PROFILE).expanduser()
    if config.folders:
        folder = Path(config.folders[0]).expanduser()
    if is_published(folder):
        return Path("results") / "compare" / folder.name / "figures"
    return folder / "figures"


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses(resumes=False):
        sys.exit(main(words))
