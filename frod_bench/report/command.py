"""Write an experiment's tables, figures and page from existing records.

The overrides name a grid, `experiment=main_table` unless they say otherwise; another experiment's
report goes into a folder of its name. What is missing is named on standard error, in the tables and
on the page. With `folder=` the records of a results folder are reported as they are.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from frod_bench.cells import cell as sweep
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.garbage import collector
from frod_bench.common.names import resolved
from frod_bench.common.paths import check_writable, is_published
from frod_bench.common.terminal import plain_console
from frod_bench.config.settings import FIGURE_STYLES
from frod_bench.report.asked import (
    MANIFEST,
    STYLE,
    asked_cells,
    folder_of,
    parse,
    refuse_nameless,
)
from frod_bench.report.build import DEFAULT_FIGURES, PARTS, Report, write_report
from frod_bench.report.claims_table import claims_rows, show_claims
from frod_bench.report.collect import missing_runs
from frod_bench.report.folder import cells_in
from frod_bench.report.rules import LATEST, rules_of_edition
from frod_bench.training import tracker

CHOICES = {"all": PARTS, **{part: (part,) for part in PARTS}}


def report_folder(part: str, given: Mapping[str, str], console: Console) -> list[Path]:
    """Write `part` of a report of the records in `folder`, there or in `out`; returns the files.

    Raises InputError if the folder is published and `out` is missing, and as `cells_in`.
    """
    folder = resolved(given["folder"], "folder")
    if "out" not in given and is_published(folder):
        raise InputError(
            f"folder={given['folder']}: is published, and a report would overwrite its tables. "
            "Name another folder for the report, out=DIR."
        )
    style = given.get("figures.style", FIGURE_STYLES[0])
    if style not in FIGURE_STYLES:
        raise InputError(f"figures.style={style}: is unknown. Allowed: {STYLE}.")
    with collector(runs=False):
        cells, title = cells_in(folder)
        out_dir = resolved(given.get("out", folder), "out")
        _forget(out_dir)
        names = folder.parent, folder.name, cells, title
        written = write_report(
            *names,
            parts=CHOICES[part],
            out_dir=out_dir,
            rules=rules_of_edition(given.get("rules", LATEST)),
            figure_style=style,
        )
    say(written, title, console)
    return written.paths


def report(
    what: str,
    config: DictConfig,
    cells: Sequence[sweep.Cell],
    console: Console,
    edition: str = LATEST,
) -> Report:
    """Write `what` of a grid's cells, judged by the rules of `edition`, and print what is missing
    in it.
    """
    asked = asked_cells(cells)
    out_dir = folder_of(config)
    _forget(out_dir)
    console.print("writing the report" if what == "all" else f"writing the report's {what}")
    with collector(runs=False):
        written = write_report(
            Path(config.results_root),
            config.profile.name,
            asked,
            config.profile.title,
            parts=CHOICES[what],
            out_dir=out_dir,
            rules=rules_of_edition(edition),
            figures=config.experiment.get("figures", DEFAULT_FIGURES),
            figure_style=config.figures.style,
            own_rates=config.experiment.get("own_rates", False),
        )
    say(written, config.profile.title, console)
    tables = {"claims": claims_rows(written.judged)} if written.judged else {}
    tracker.log_report(config, out_dir, {k: tracker.Rows(*rows) for k, rows in tables.items()})
    return written


def _forget(out_dir: Path) -> None:
    """Remove the manifest of the report that is about to be replaced."""
    with suppress(OSError):  # it is missing; or it stays, and does not fit what is written now
        (out_dir / MANIFEST).unlink()


def say(written: Report, title: str, console: Console) -> None:
    """Print the claims, the files (to standard output) and what is missing."""
    if written.judged:
        show_claims(written.judged, title, console)
    for path in written.paths:
        print(path)
    for line in (*written.collected.warnings, *missing_runs(written.collected.frame)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        part, overrides, given = parse(words)
        edition = given.get("rules", LATEST)
        if "folder" in given:
            report_folder(part, given, plain_console(stderr=True))
            return
        from frod_bench.cells.grid import compose_cells  # Hydra, which a folder does not need

        if edition != LATEST and not any(word.startswith("suite=") for word in overrides):
            overrides = [*overrides, f"suite={rules_of_edition(edition).suite}"]
        config, cells = compose_cells(overrides)
        refuse_nameless(config)
        check_writable(folder_of(config), value=str(config.results_root))
        report(part, config, cells, plain_console(stderr=True), edition)
