"""One method beside committed runs: folders are read as one, and each other method is compared."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frod_bench.report.asked import Cell
from frod_bench.report.build import write_collected
from frod_bench.report.challenger import judge_challenger, rules_for
from frod_bench.report.claims.judge import Beside
from frod_bench.report.claims.parts import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Claim
from frod_bench.report.collect import Collected, collect_folders
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.rules import load_rules
from frod_bench.stats import curves
from tests.report.factory import make_record, synthetic_curve, write_record

TASKS = ("rte", "cola", "boolq", "dtd", "mnist")
SEEDS = (0, 1)
SCORES = {"full": 0.9, "lora": 0.6, "dora": 0.8, "mine": 0.8}


def both(tmp_path: Path, lost: str = "", device: str = "") -> Collected:
    """`mine` in one folder, the others in another; without the runs of `lost` on one task; each
    folder is of a device of its own, unless one is named.
    """
    asked: dict[Path, list[Cell]] = {}
    for method, score in SCORES.items():
        root = tmp_path / ("own" if method == "mine" else "committed")
        for number, task in enumerate(TASKS):
            for seed in SEEDS:
                asked.setdefault(root / "embedded", []).append(Cell(task, method, seed))
                made = make_record(task, method, seed, value=score + 0.01 * (number + seed))
                if method == "mine":  # differences without a spread decide nothing
                    made["metrics"][made["primary_metric"]]["value"] += 0.002 * (1 - 2 * seed)
                made["provenance"]["device"] = device or root.name
                if (method, task) != (lost, "rte"):
                    sec = 0.01 if method == "mine" else 0.02  # a step
                    curve = synthetic_curve(final=score, seed=seed, step_sec=sec)
                    write_record(root, made, curve)
    return collect_folders("embedded", asked)


def judged_as(collected: Collected, **options: Any) -> dict[str, Claim]:
    rules = rules_for("mine", load_rules(), "some", SEEDS)
    measured = evaluated_curves(collected.frame, collected.curves, rules.convergence.column)
    judged = judge_challenger(collected.frame, measured, Beside(), "embedded", rules, **options)
    return {claim.key: claim for claim in judged.claims}


def verdicts(collected: Collected) -> dict[str, str]:
    return {key: claim.verdict for key, claim in judged_as(collected).items()}


def test_folders_are_read_as_one_with_a_caution_about_both(tmp_path: Path) -> None:
    found = both(tmp_path)
    assert list(found.frame["method"].unique()) == list(SCORES)
    assert (found.frame["status"] == "ok").all()
    assert len(found.curves) == len(found.frame)
    assert not found.others
    [caution] = [line for line in found.warnings if "devices" in line]
    assert "committed, own" in caution


def test_each_other_method_is_judged_on_the_tasks_and_seeds_of_the_report(tmp_path: Path) -> None:
    found = verdicts(both(tmp_path))
    assert found.pop("convergence") == UNDECIDED  # five tasks give no interval
    assert found == {
        "accuracy_full": NOT_SUPPORTED,  # ten points below
        "accuracy_lora": SUPPORTED,  # twenty points above
        "accuracy_dora": SUPPORTED,  # equal
    }


def test_seconds_of_machines_that_do_not_compare_decide_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "FEWEST_RATIOS", 3)  # of five tasks an interval is known
    apart = "seconds are of machines that do not compare"
    one = both(tmp_path / "one", device="cpu")
    together = judged_as(one)["convergence"]
    assert apart not in together.holes
    assert set(of_seconds(together)) == {SUPPORTED}  # twice as fast
    several = both(tmp_path / "several")
    for claim in (
        judged_as(one, seconds_compare=False)["convergence"],
        judged_as(several)["convergence"],
    ):
        assert apart in claim.holes
        assert set(of_seconds(claim)) == {UNDECIDED}


def of_seconds(claim: Claim) -> list[str]:
    """The verdicts of the parts in seconds that decide."""
    parts = (part for part in claim.parts if part.words.startswith("seconds"))
    return [part.verdict for part in parts if part.verdict is not None]


def test_curves_of_some_rows_do_not_count(tmp_path: Path) -> None:
    found = both(tmp_path)
    found.frame["curve_rows"] = 64.0
    assert "curves are not of the whole split" in judged_as(found)["convergence"].holes


def test_a_missing_run_leaves_its_method_undecided_and_no_other(tmp_path: Path) -> None:
    found = verdicts(both(tmp_path, lost="lora"))
    assert found["accuracy_lora"] == UNDECIDED
    assert found["accuracy_full"] == NOT_SUPPORTED


def test_the_rules_ask_of_the_method_what_they_ask_of_frod() -> None:
    before = load_rules()
    after = rules_for("mine", before, "smoke", [0, 1])
    assert (after.suite, after.seeds) == ("smoke", [0, 1])
    assert after.accuracy.margin_points == before.accuracy.margin_points
    assert after.accuracy.ours == after.convergence.ours == "mine"
    assert after.convergence.shown == ["frod", "full"]
    assert not after.convergence.published_ratio  # it is about FRoD
    assert before == load_rules()


def test_every_table_has_the_method_and_the_tests_are_its_own(tmp_path: Path) -> None:
    out, rules = tmp_path / "out", rules_for("mine", load_rules(), "some", SEEDS)
    write_collected(
        both(tmp_path),
        "embedded",
        "mine",
        out,
        parts=["tables"],
        rules=rules,
        judge=judge_challenger,
    )
    names = ("claims", "main", "parameters", "paired", "convergence")
    assert all("mine" in (out / "tables" / f"{name}.md").read_text() for name in names)
    cells = pd.read_csv(out / "tables" / "cells.csv")
    assert set(cells["method"]) == set(SCORES)
    paired = pd.read_csv(out / "tables" / "paired.csv")
    assert set(paired["method"]) == {"full", "lora", "dora"}
    means = paired[(paired["scope"] == "overall") & (paired["quantity"] == "mean difference")]
    found = dict(zip(means["method"], means["mean"].round(6), strict=True))
    assert found == {"full": -10.0, "lora": 20.0, "dora": 0.0}
    judged = pd.read_csv(out / "tables" / "claims.csv")
    assert not judged["claim"].str.contains("parameters|robustness").any()
