"""Claim (e): rank of the learned update, and the least error at equal budget.

Both come from the tables of `frod-bench analyze spectrum` and `expressible`, in the results folder
or else published: they need the trained weights, which records do not hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.report.claims.parts import Claim, Part, combine, verdict_of
from frod_bench.report.keys import Method
from frod_bench.report.names import label, labels_in_text
from frod_bench.report.rules import ExpressivenessRule
from frod_bench.stats import Estimate

SPECTRUM, EXPRESSIBLE = "update_spectrum", "expressible"  # analyses, and their folders
SPECTRUM_COLUMNS = ("task", "method", "seed", "effective_rank")
ERROR_COLUMNS = ("task", "method", "seed", "parametrisation", "budget", "error")
OURS, LOW_RANK = "on axis + sparse", "low rank"  # parametrisations
QUANTITIES = {SPECTRUM: "effective_rank", EXPRESSIBLE: "error"}  # columns of the tables
TRAINED = "training_hash"  # a column of the tables, and of a report's frame
LEARNED_BY = "full"  # the update that is fitted


@dataclass(frozen=True)
class Updates:
    """The tables of the two analyses, None if there is none, and whether each is published."""

    spectrum: pd.DataFrame | None
    errors: pd.DataFrame | None
    is_published: tuple[bool, bool] = (False, False)
    has_others: tuple[bool, bool] = (False, False)  # models of other settings, which are left out

    def of_runs(self, frame: pd.DataFrame) -> "Updates":
        """The same without rows of the folder's own tables on models that have other settings.

        A row is left out if `frame` has runs of its task and method, and none of them has its
        settings. Published tables are kept whole, and so are older ones without settings.
        """
        before = self.spectrum, self.errors
        spectrum, errors = (
            table if is_published else _trained_as(table, frame)
            for table, is_published in zip(before, self.is_published, strict=True)
        )
        others = _is_shorter(spectrum, before[0]), _is_shorter(errors, before[1])
        return replace(self, spectrum=spectrum, errors=errors, has_others=others)


def learned_updates(results_dir: Path, profile: str) -> Updates:
    """Read the tables of the folder's own analyses, or else the published ones of the profile."""
    spectrum, spectrum_is_published = _table(results_dir, profile, SPECTRUM, SPECTRUM_COLUMNS)
    errors, errors_are_published = _table(results_dir, profile, EXPRESSIBLE, ERROR_COLUMNS)
    return Updates(spectrum, errors, (spectrum_is_published, errors_are_published))


def _table(
    results_dir: Path, profile: str, name: str, columns: tuple[str, ...]
) -> tuple[pd.DataFrame | None, bool]:
    for folder, is_published in ((results_dir, False), (REFERENCE_DIR / profile, True)):
        path = folder / name / "tables" / f"{name}.csv"
        if path.exists():
            found = pd.read_csv(path, dtype={TRAINED: str})
            return (found if set(columns) <= set(found) else None), is_published
    return None, False


def _is_shorter(table: pd.DataFrame | None, before: pd.DataFrame | None) -> bool:
    return table is not None and before is not None and len(table) < len(before)


def _trained_as(table: pd.DataFrame | None, frame: pd.DataFrame) -> pd.DataFrame | None:
    if table is None or TRAINED not in table:
        return table
    known = frame.groupby(["task", "method"])[TRAINED].agg(lambda hashes: set(hashes.dropna()))
    names = zip(table["task"], table["method"], table[TRAINED], strict=True)
    kept = [
        not (hashes := known.get((task, method))) or own in hashes for task, method, own in names
    ]
    return table[kept]


def expressiveness(updates: Updates, rule: ExpressivenessRule, confidence: float) -> Claim:
    """Both parts must hold: a high rank that is spread at random expresses little."""
    methods = [rule.ours, *rule.against]
    errors = updates.errors
    if errors is not None:
        errors = errors[
            (errors["budget"] == f"rank {rule.budget_rank}") & (errors["method"] == LEARNED_BY)
        ]
    fits = [OURS, LOW_RANK]
    lost = (
        _holes(SPECTRUM, updates.spectrum, updates.is_published[0], ("method", methods), rule),
        _holes(EXPRESSIBLE, errors, updates.is_published[1], ("parametrisation", fits), rule),
    )
    other = "models of other settings are left out: use the words of this report"
    told = zip(lost, updates.has_others, strict=True)
    holes = "; ".join(f"{one} ({other})" if has_others else one for one, has_others in told if one)
    parts = (
        *_rank_parts(updates, rule, confidence, holes),
        _error_part(errors, updates.is_published[1], rule, confidence, holes),
    )
    return Claim(
        "expressiveness",
        f"{label(Method(rule.ours))} is more expressive than low-rank methods",
        f"the {100 * confidence:g} % interval of the mean ratio of effective ranks of learned "
        f"updates lies above 1 against each of {labels_in_text(rule.against)}, and that of the "
        f"difference of least errors to a truncated SVD of rank {rule.budget_rank} lies below 0",
        combine(part.verdict for part in parts),
        holes,
        parts,
    )


def _holes(
    name: str,
    table: pd.DataFrame | None,
    is_published: bool,
    asked_for: tuple[str, list[str]],
    rule: ExpressivenessRule,
) -> str:
    """Which runs a table lacks for the tasks and seeds of the rule; empty if it has them all.

    `asked_for` is a column and the names in it that are needed. A row without a number counts as
    missing. A published table decides nothing, so it counts as missing, too.
    """
    column, names = asked_for
    make = (
        f"make it: frod-bench reproduce experiment={name}, then frod-bench analyze "
        f"{name.removeprefix('update_')}"
    )
    if table is None or is_published:
        shown = "; the published one is shown" if is_published and table is not None else ""
        return f"no table {name} of these results{shown} ({make})"
    asked = pd.MultiIndex.from_product([rule.tasks, names, rule.seeds])
    known = table[np.isfinite(table[QUANTITIES[name]])]
    there = pd.MultiIndex.from_frame(known[["task", column, "seed"]])
    lost = asked.difference(there)
    return f"{len(lost)} of {len(asked)} runs are not in table {name} ({make})" if len(lost) else ""


def _rank_parts(
    updates: Updates, rule: ExpressivenessRule, confidence: float, holes: str
) -> Iterator[Part]:
    for method in rule.against:
        found, table = stats.NOTHING, updates.spectrum
        if table is not None:
            medians = (
                _named(table, rule)
                .pivot_table(
                    index="task", columns="method", values="effective_rank", aggfunc="median"
                )
                .reindex(columns=[rule.ours, method])
            )
            logs = np.log(medians.to_numpy())
            found = _exp(stats.difference_over_tasks(logs[:, 0], logs[:, 1], confidence))
        verdict = verdict_of(holes, found.low > 1, found.high < 1)
        words, methods = "effective rank of the update, {0} over {1}", (rule.ours, method)
        note = "the published run" if found.n and updates.is_published[0] else ""
        n = len(rule.tasks)
        yield Part(words, "×", found, confidence, n, verdict, note, methods=methods)


def _error_part(
    rows: pd.DataFrame | None,
    is_published: bool,
    rule: ExpressivenessRule,
    confidence: float,
    holes: str,
) -> Part:
    found = stats.NOTHING
    if rows is not None:
        errors = _named(rows, rule).pivot_table(
            index="task", columns="parametrisation", values="error"
        )
        errors = 100 * errors.reindex(columns=[OURS, LOW_RANK])
        found = stats.difference_over_tasks(errors[OURS], errors[LOW_RANK], confidence)
    words = (
        f"least error of full fine-tuning's update at the budget of rank {rule.budget_rank}, "
        "{0} {minus} truncated SVD"
    )
    verdict = verdict_of(holes, found.high < 0, found.low > 0)
    note = "the published run" if found.n and is_published else ""
    unit, n = "% of the update", len(rule.tasks)
    return Part(words, unit, found, confidence, n, verdict, note, methods=(rule.ours,))


def _named(table: pd.DataFrame, rule: ExpressivenessRule) -> pd.DataFrame:
    """The rows of the rule's tasks and seeds."""
    return table[table["task"].isin(rule.tasks) & table["seed"].isin(rule.seeds)]


def _exp(logs: Estimate) -> Estimate:
    mean, low, high = np.exp(logs[:3]).tolist()
    return Estimate(mean, low, high, logs.n)
