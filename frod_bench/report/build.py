"""A whole report: an experiment's records -> tables, figures and page in `results/<profile>/`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from frod_bench.common import atomic
from frod_bench.common.copies import in_copies
from frod_bench.common.errors import InputError
from frod_bench.common.garbage import collector
from frod_bench.common.paths import REFERENCE_DIR, from_here, is_published
from frod_bench.report.analyses.about import About
from frod_bench.report.asked import Cell
from frod_bench.report.claims.expressiveness import learned_updates
from frod_bench.report.claims.judge import Beside, Judge, judge
from frod_bench.report.claims.parts import Judged, head_of, suite_tasks
from frod_bench.report.claims_table import COLUMNS, claims_frame, claims_table
from frod_bench.report.collect import Collected, collect, collect_folder
from frod_bench.report.convergence import convergence_table
from frod_bench.report.curves import Curve, evaluated_curves
from frod_bench.report.frame import methods_in
from frod_bench.report.keys import Run
from frod_bench.report.names import csv_frame
from frod_bench.report.numbers import Numbers
from frod_bench.report.paired import paired_table
from frod_bench.report.picks import picks_of, searched, unlike_code, unlike_picks, untuned
from frod_bench.report.published.numbers import load_published
from frod_bench.report.published.table import published_table
from frod_bench.report.reproduction import cells_table
from frod_bench.report.rules import Rules, load_rules
from frod_bench.report.sensitivity import (
    published_trials,
    searched_sensitivity,
    sensitivity_of,
    trials_of,
)
from frod_bench.report.style import telling_apart
from frod_bench.report.table import write_table
from frod_bench.report.tables import main_table, parameter_table
from frod_bench.report.uninformative import (
    below_frozen,
    gained_nothing,
    one_class,
    slow_seeds,
    uneven_seconds,
)

if TYPE_CHECKING:
    from frod_bench.report.figures import Drawing

CONSTANT_RATE = "constant_rate"  # under the results root: the runs of that experiment
PARTS = ("tables", "plots", "html")
DEFAULT_FIGURES = ("convergence",)
FEWEST_DRAWINGS, MOST_COPIES = 4, 4  # drawings of a copy that draws; such copies


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
    own_rates: bool = False,
) -> Report:
    """Write `tables/`, `figures/` and `report.html` in `out_dir` from the records of `cells`.

    The default of `out_dir` is `<results_root>/<profile>`. `title` is the title of the profile.
    `figures` are the kinds of figure to draw; each of them except convergence also gets a table of
    its numbers. `own_rates` says that each variant of a method has its own learning rates. Raises
    InputError, and writes nothing, if no cell has a record or if a kind of figure does not fit the
    cells.
    """
    rules = (rules or load_rules()).of_profile(profile)
    load_published()  # refuses what does not fit before anything is written
    collected = collect(results_root, profile, cells)
    frame = collected.frame
    if frame.empty or (frame["status"] == "missing").all():
        raise InputError(_nothing(results_root / profile / "records", len(frame), collected.others))
    return write_collected(
        collected,
        profile,
        title,
        out_dir or results_root / profile,
        parts=parts,
        rules=rules,
        beside=_beside(collected, results_root, profile, rules),
        figures=figures,
        figure_style=figure_style,
        own_rates=own_rates,
        picks=picks_of(results_root / profile, profile),
    )


def write_collected(
    collected: Collected,
    profile: str,
    title: str,
    out_dir: Path,
    *,
    parts: Sequence[str] = PARTS,
    rules: Rules,
    beside: Beside | None = None,
    judge: Judge = judge,
    figures: Sequence[str] = DEFAULT_FIGURES,
    figure_style: str = "screen",
    own_rates: bool = False,
    picks: pd.DataFrame | None = None,
) -> Report:
    """Write a report in `out_dir`, as `write_report` does, from records that were collected before.

    `judge` judges the claims on the frame and on `beside`. `picks` are the picks of the search that
    the learning rates come from.
    """
    frame = collected.frame
    about = About(title, frame)
    found: dict[str, pd.DataFrame] = {}
    if set(figures) != set(DEFAULT_FIGURES):
        from frod_bench.report.analyses.kinds import analyse  # matplotlib: only for analyses

        found = analyse(figures, frame)
    trials = [
        trials_of(collected.records),
        published_trials(REFERENCE_DIR / profile),
        searched(collected.records, picks),
    ]
    collected.warnings += untuned(frame, pd.concat([one for one in trials if one is not None]))
    collected.warnings += unlike_picks(frame, collected.records, picks)
    collected.warnings += unlike_code(frame, collected.records)
    numbers = Numbers(collected, profile, title, rules, beside or Beside(), own_rates, judge)
    if {"tables", "html"} & set(parts):  # they show warnings
        collected.warnings += one_class(numbers.constant, numbers.split)
        collected.warnings += gained_nothing(below_frozen(frame), numbers.split)
        collected.warnings += slow_seeds(uneven_seconds(frame))
    tables: list[Path] = []
    page: list[Path] = []
    others = "convergence" in figures
    with telling_apart(methods_in(frame)):
        drawings = _drawings(numbers, found, about, figures) if "plots" in parts else {}
        figures_dir = out_dir / "figures"
        works = [partial(_saved, n, d, figures_dir, figure_style) for n, d in drawings.items()]
        with in_copies(works, _copies(len(works))) as saved:  # they take as long as the rest
            if "tables" in parts:
                tables = _write_tables(numbers, out_dir / "tables", others=others)
                if found:
                    from frod_bench.report.analyses.kinds import write_numbers

                    tables += write_numbers(found, about, out_dir / "tables")
            if "html" in parts:
                from frod_bench.report.page.write import write_page  # plotly: only where it draws

                page = [write_page(numbers, out_dir, others=others)]
            drawn = list(chain.from_iterable(saved()))
    judged = numbers.judged if {"tables", "html"} & set(parts) else None
    return Report([*tables, *drawn, *page], collected, judged)


def _beside(collected: Collected, results_root: Path, profile: str, rules: Rules) -> Beside:
    """What the claims are judged on beside the experiment's own cells."""
    rule = rules.robustness
    methods, results_dir = [rule.ours, *rule.against], results_root / profile
    if rule.areas == "search":
        tasks = rule.area_tasks or suite_tasks(rules.suite)
        heads = {task: head_of(task, rules.head) for task in tasks}
        sensitivity = searched_sensitivity(
            results_dir, profile, rule.learning_rate_factors, methods, heads
        )
    else:
        sensitivity = sensitivity_of(
            collected.records, profile, rule.learning_rate_factors, methods
        )
    constant, make = None, ""
    if rules.convergence.constant_rate:
        root = results_root / CONSTANT_RATE
        constant = _constant_rate(root / profile, profile, rules, collected.warnings)
        make = f"frod-bench reproduce experiment={CONSTANT_RATE} profile={profile}"
        if not is_published(root):  # no command writes there; the experiment has a root of its own
            make += f" results_root={from_here(root)}"
    updates = learned_updates(results_dir, profile) if rules.expressiveness else None
    return Beside(sensitivity, constant, make, updates)


def _constant_rate(
    folder: Path, profile: str, rules: Rules, warnings: list[str]
) -> tuple[pd.DataFrame, Mapping[Run, Curve]] | None:
    """The runs of experiment=constant_rate that the rules name; None if there are none. What is
    wrong with their files, and which of them were run at several settings, is added to `warnings`.
    """
    if not (folder / "records").exists():
        return None
    rule, tasks = rules.convergence, suite_tasks(rules.suite)
    methods = dict.fromkeys([rule.ours, *rule.decides, *rule.shown, rule.reference])
    cells = [Cell(t, m, s, protocol="fair") for t in tasks for m in methods for s in rules.seeds]
    found = collect_folder(folder, profile, cells)
    warnings += [f"At a constant learning rate: {line}" for line in found.troubles]
    return found.frame, evaluated_curves(found.frame, found.curves, rule.column)


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


def _write_tables(numbers: Numbers, out_dir: Path, *, others: bool) -> list[Path]:
    """Write the tables, that of what others measured if asked for; `cells.csv` has all digits, so
    that runs can be compared bit for bit.
    """
    title, rules, pairs = numbers.title, numbers.rules, numbers.pairs
    ours, main, collected = numbers.ours, numbers.summary, numbers.collected
    split = numbers.split
    claims, parameters, times = claims_frame(numbers.judged), numbers.parameters, numbers.times
    rule, moot, mixed = rules.convergence, numbers.moot_targets, numbers.mixed_machines
    tables = {
        "claims": (claims_table(numbers.judged, title), claims[list(COLUMNS)]),
        "main": (main_table(main, title, collected.warnings, split=split), main),
        "parameters": (parameter_table(parameters, title), parameters),
        "paired": (paired_table(pairs, ours, title, split), pairs),
        "convergence": (convergence_table(times, rule, title, constant=moot, mixed=mixed), times),
    }
    if pairs.empty:
        del tables["paired"]
    if numbers.predicted:
        tables["predicted"] = numbers.predicted
    if others:
        tables["published"] = (
            published_table(numbers.others, rules, title, numbers.curve_split),
            numbers.others,
        )
    paths: list[Path] = []
    for name, (table, found) in tables.items():
        paths += write_table(table, csv_frame(found), out_dir, name)
    cells_path = out_dir / "cells.csv"
    atomic.write_text(cells_path, cells_table(collected).to_csv(index=False))
    return [*paths, cells_path]


def _drawings(
    numbers: Numbers, found: Mapping[str, pd.DataFrame], about: About, figures: Sequence[str]
) -> "dict[str, Drawing]":
    """What was analysed, the curves if asked for, and what others measured, by name."""
    from frod_bench.report.analyses.kinds import drawings  # matplotlib: only where it draws
    from frod_bench.report.figures import convergence, losses_by_task
    from frod_bench.report.published.figure import draw as published_figure

    drawn = drawings(found, about)
    if "convergence" in figures:
        drawn |= {f"convergence_{name}": convergence(p) for name, p in numbers.panels.items()}
        followed = numbers.followed_panels.values()
        if of_tasks := [panels for panels in followed if panels.task is not None]:
            drawn["convergence_losses"] = losses_by_task(of_tasks, numbers.title)
        drawn["published"] = published_figure(load_published(), numbers.rules.convergence)
    return drawn


def _copies(drawings: int) -> int:
    """How many copies of this process draw the figures; 0 if this process draws them itself.

    Each copy has a core and at least `FEWEST_DRAWINGS` drawings. So nothing is copied if there is
    one core, or if there are too few drawings for two copies.
    """
    if drawings < 2 * FEWEST_DRAWINGS:
        return 0
    from frod_bench.sweep.allotment import cores  # modules that a report needs for this alone

    count = min(cores(), drawings // FEWEST_DRAWINGS, MOST_COPIES)
    return count if count > 1 else 0


def _saved(name: str, drawing: "Drawing", out_dir: Path, style: str) -> list[Path]:
    """Draw a figure and write its files; returns their paths."""
    from frod_bench.report.figures import save

    with collector(runs=True):
        return save({name: drawing}, out_dir, style)
