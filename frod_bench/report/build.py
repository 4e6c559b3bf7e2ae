"""A whole report: an experiment's records -> tables, figures and page in `results/<profile>/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from frod_bench.common.errors import InputError
from frod_bench.common.paths import REFERENCE_DIR, is_published
from frod_bench.report.analyses.about import About
from frod_bench.report.claims import Judged
from frod_bench.report.claims_table import COLUMNS, claims_frame, claims_table
from frod_bench.report.collect import Cell, Collected, collect
from frod_bench.report.convergence import convergence_table
from frod_bench.report.frame import Method
from frod_bench.report.names import csv_frame
from frod_bench.report.numbers import Numbers
from frod_bench.report.paired import one_class, paired_table
from frod_bench.report.reproduction import cells_table
from frod_bench.report.rules import Rules, load_rules
from frod_bench.report.sensitivity import (
    published_trials,
    searched,
    sensitivity_of,
    trials_of,
    untuned,
)
from frod_bench.report.table import write_table
from frod_bench.report.tables import main_table, parameter_table

PARTS = ("tables", "plots", "html")
DEFAULT_FIGURES = ("convergence",)


@dataclass(frozen=True)
class Report:
    """What a report wrote and what it was made of; no claims where it wrote figures alone."""

    paths: list[Path]
    collected: Collected
    judged: Judged | None


def write_report(
    results_root: Path,
    profile: str,
    cells: Sequence[Cell],
    title: str,
    *,
    parts: Sequence[str] = PARTS,
    out_dir: Path | None = None,
    rules: Rules | None = None,
    figures: Sequence[str] = DEFAULT_FIGURES,
    figure_style: str = "screen",
) -> Report:
    """Write `tables/`, `figures/` and `report.html` in `out_dir` from the records of `cells`.

    Without `out_dir` that is `<results_root>/<profile>`. `title` is the profile's title, `figures`
    the kinds that are drawn, each but convergence with a table of its numbers. Raises InputError,
    and writes nothing, if none of the cells has a record or a kind of figure does not fit them.
    """
    rules = rules or load_rules()
    collected = collect(results_root, profile, cells)
    frame = collected.frame
    if frame.empty or (frame["status"] == "missing").all():
        raise InputError(_nothing(results_root / profile / "records", len(frame), collected.others))
    out_dir = out_dir or results_root / profile
    about = About(title, frame)
    found: dict[str, pd.DataFrame] = {}
    if set(figures) != set(DEFAULT_FIGURES):
        from frod_bench.report.analyses.kinds import analyse  # matplotlib: only for analyses

        found = analyse(figures, frame)
    rule = rules.robustness
    sensitivity = sensitivity_of(
        collected.records, profile, rule.learning_rate_factors, [rule.ours, *rule.against]
    )
    trials = [
        trials_of(collected.records),
        published_trials(REFERENCE_DIR / profile),
        searched(collected.records, profile),
    ]
    collected.warnings += untuned(frame, pd.concat([one for one in trials if one is not None]))
    numbers = Numbers(collected, profile, title, rules, sensitivity)
    if {"tables", "html"} & set(parts):  # they show scores; predictions take long to read
        collected.warnings += one_class(numbers.constant)
    paths: list[Path] = []
    if "tables" in parts:
        paths += _write_tables(numbers, out_dir / "tables")
        if found:
            from frod_bench.report.analyses.kinds import write_numbers

            paths += write_numbers(found, about, out_dir / "tables")
    if "plots" in parts:  # matplotlib: only where it draws
        from frod_bench.report.analyses.kinds import drawings
        from frod_bench.report.figures import convergence, save

        drawn = drawings(found, about)
        if "convergence" in figures:
            drawn |= {f"convergence_{name}": convergence(p) for name, p in numbers.panels.items()}
        paths += save(drawn, out_dir / "figures", figure_style)
    if "html" in parts:
        from frod_bench.report.page.write import write_page  # plotly: only where it draws

        paths.append(write_page(numbers, out_dir))
    judged = numbers.judged if {"tables", "html"} & set(parts) else None
    return Report(paths, collected, judged)


def _nothing(folder: Path, cells: int, others: Sequence[str]) -> str:
    """The message if no cell has a record."""
    out = " out=results/mine" if is_published(folder) else ""
    existing = (
        " Records of other cells are there, made with other settings, data or weights, for "
        f"example {others[0]}; `frod-bench report all folder={folder.parent}{out}` reports them "
        "as they are."
        if others
        else ""
    )
    return (
        f"No records of this experiment's {cells} cells under {folder}.{existing} Make them by "
        "`python -m frod_bench.reproduce` with the same words that the report was asked with "
        "(experiment=..., profile=..., ...); the main table by `make reproduce-all`. `make smoke` "
        "runs three tasks of it and reports them in results/smoke/embedded."
    )


def _write_tables(numbers: Numbers, out_dir: Path) -> list[Path]:
    """Write the tables; `cells.csv` has all digits, so that runs can be compared bit for bit."""
    title, rules, pairs = numbers.title, numbers.rules, numbers.pairs
    ours, main = Method(rules.accuracy.ours), numbers.summary
    claims, parameters, times = claims_frame(numbers.judged), numbers.parameters, numbers.times
    rule, moot = rules.convergence, numbers.moot_targets
    tables = {
        "claims": (claims_table(numbers.judged, title), claims[list(COLUMNS)]),
        "main": (main_table(main, title, numbers.collected.warnings), main),
        "parameters": (parameter_table(parameters, title), parameters),
        "paired": (paired_table(pairs, ours, title), pairs),
        "convergence": (convergence_table(times, rule, title, constant=moot), times),
    }
    if pairs.empty:
        del tables["paired"]
    paths: list[Path] = []
    for name, (table, found) in tables.items():
        paths += write_table(table, csv_frame(found), out_dir, name)
    cells_path = out_dir / "cells.csv"
    cells_table(numbers.collected).to_csv(cells_path, index=False)
    return [*paths, cells_path]
