"""The rules of the profile `real`: its suite, heads, seeds and margin, and nothing else's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frod_bench.records import hashing
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.claims.judge import Beside, judge
from frod_bench.report.claims.parts import (
    CONSISTENT,
    SUPPORTED,
    UNDECIDED,
    Claim,
    evidence_on,
    head_of,
    suite_tasks,
)
from frod_bench.report.claims_table import claims_table
from frod_bench.report.collect import collect
from frod_bench.report.rules import load_rules
from frod_bench.tuning.command import FIRST_SEED
from tests.report.factory import make_record, synthetic_curve, write_record

ALL = load_rules()
REAL = ALL.of_profile("real")
SMALL = replace(REAL, suite="smoke")  # eurosat, boolq, rte
METHODS = ("full", "lora", "dora", "frod")


def run(root: Path, task: str, method: str, seed: int, points: float, head: str) -> Cell:
    made: dict[str, Any] = make_record(task, method, seed, points / 100, profile="real")
    made["config"]["head"] = head
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    made["cell"]["config_hash"] = hashing.config_hash(hashing.identity(made["config"], *prints))
    write_record(root, made, synthetic_curve(steps=10))
    return Cell(task, method, seed, head=head)


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """FRoD is 1.4 points below the others, under both heads of boolq."""
    cells = []
    for method in METHODS:
        for seed in (0, 1, 2):
            points = 80 + 0.1 * seed * (1 + (method == "frod")) - 1.5 * (method == "frod")
            for task, head in (("eurosat", "classify"), ("rte", "classify"), ("boolq", "rank")):
                cells.append(run(tmp_path, task, method, seed, points, head))
            cells.append(run(tmp_path, "boolq", method, seed, 10.0, "classify"))
    return collect(tmp_path, "real", cells).frame


def claims_of(frame: pd.DataFrame, rules: Any) -> dict[str, Claim]:
    return {one.key: one for one in judge(frame, {}, Beside(), "real", rules).claims}


def test_they_were_dated_and_say_what_they_cannot_show() -> None:
    assert (REAL.dated, REAL.suite, REAL.seeds) == ("2026-11-28", "real10", [0, 1, 2])
    assert max(REAL.seeds) < FIRST_SEED
    assert len(suite_tasks(REAL.suite)) == 10
    assert set(REAL.robustness.area_tasks) <= set(suite_tasks(REAL.suite))
    assert (REAL.accuracy.margin_points, REAL.accuracy.estimand) == (2.0, "these_tasks")
    assert (REAL.convergence.measured_on, REAL.convergence.target_fraction) == ("loss", 0.9)
    assert REAL.limit.count(".") == 1


def test_other_profiles_are_judged_as_before() -> None:
    assert ALL.of_profile("embedded") is ALL
    assert ALL.of_profile("small") is ALL
    assert (ALL.head, ALL.limit, ALL.accuracy.margin_points) == ("classify", "", 1.0)


def test_a_task_counts_under_its_head(frame: pd.DataFrame) -> None:
    assert [head_of(task, "auto") for task in ("rte", "boolq", "gtsrb")] == [
        "classify", "rank", "classify"
    ]  # fmt: skip
    heads = evidence_on(frame, SMALL).frame.groupby("task")["head"].unique()
    assert {task: list(found) for task, found in heads.items()} == {
        "boolq": ["rank"], "eurosat": ["classify"], "rte": ["classify"]
    }  # fmt: skip


def test_the_margin_is_two_points(frame: pd.DataFrame) -> None:
    found = claims_of(frame, SMALL)["accuracy"]
    assert found.verdict == SUPPORTED
    assert found.parts[0].estimate.mean == pytest.approx(-1.4)
    narrow = replace(SMALL, accuracy=replace(SMALL.accuracy, margin_points=1.0))
    assert claims_of(frame, narrow)["accuracy"].verdict != SUPPORTED


def test_parameters_are_counted_on_the_papers_tasks(frame: pd.DataFrame) -> None:
    found = claims_of(frame, SMALL)["parameters"]
    assert found.verdict == CONSISTENT
    assert found.parts[0].estimate.mean == pytest.approx(1.722, abs=1e-3)
    assert found.parts[0].n_expected == 20


def test_there_is_one_arm_and_no_claim_of_expressiveness(frame: pd.DataFrame) -> None:
    found = claims_of(frame, SMALL)
    assert "expressiveness" not in found
    assert "constant" not in found["convergence"].rule
    assert found["robustness"].verdict == UNDECIDED  # no search here


def test_what_these_runs_could_have_found_is_shown(frame: pd.DataFrame) -> None:
    accuracy = claims_of(frame, SMALL)["accuracy"]
    difference, margin = accuracy.parts[-2:]
    assert "smallest true difference whose 90 % interval leaves out 0" in difference.words
    assert "smallest margin within which they are found equivalent" in margin.words
    assert difference.verdict is margin.verdict is None
    assert difference.name.startswith("frod less full, ")
    beyond = SMALL.accuracy.margin_points + difference.estimate.mean
    assert difference.note.endswith(f"if it is {beyond:.1f} or more")
    assert 0 < difference.estimate.low < difference.estimate.mean < margin.estimate.mean


def test_a_missing_run_is_named(frame: pd.DataFrame) -> None:
    is_lost = (frame["task"] == "boolq") & (frame["method"] == "frod") & (frame["seed"] == 2)
    found = claims_of(frame[~is_lost], SMALL)["accuracy"]
    assert found.verdict == UNDECIDED
    assert "BoolQ seed 2 is not in this experiment" in found.holes


def test_a_report_has_its_rules_and_what_was_predicted(tmp_path: Path) -> None:
    tasks = [(task, head_of(task, REAL.head)) for task in ("sst2", "arc_easy")]
    cells = [run(tmp_path, t, m, s, 80, h) for t, h in tasks for m in METHODS for s in (0, 1)]
    written = write_report(tmp_path, "real", cells, "real (real data)", parts=("tables", "html"))
    assert written.judged is not None
    assert written.judged.rules.suite == "real10"
    page = (tmp_path / "real" / "report.html").read_text()
    assert '<a href="#prediction">' in page
    assert "Predicted and found: real (real data)" in page
    tables = tmp_path / "real" / "tables"
    assert REAL.limit in (tables / "claims.md").read_text()
    assert set(pd.read_csv(tables / "predicted.csv")["method"]) == {"lora", "dora", "frod"}


def test_a_pilot_has_a_report_without_verdicts(tmp_path: Path) -> None:
    cells = [run(tmp_path, "sst2", method, 100, 80, "classify") for method in ("full", "frozen")]
    written = write_report(tmp_path, "real", cells, "real (real data)", parts=("tables", "html"))
    assert "#prediction" not in (tmp_path / "real" / "report.html").read_text()
    assert written.judged is not None
    assert {claim.verdict for claim in written.judged.claims} == {UNDECIDED, CONSISTENT}
    tables = tmp_path / "real" / "tables"
    assert set(pd.read_csv(tables / "main.csv")["method"]) == {"full", "frozen"}
    assert not (tables / "predicted.csv").exists()


def test_the_head_of_the_report_says_what_the_budget_cannot_show(frame: pd.DataFrame) -> None:
    table = claims_table(judge(frame, {}, Beside(), "real", SMALL), "real")
    assert table.caption.endswith(REAL.limit)
