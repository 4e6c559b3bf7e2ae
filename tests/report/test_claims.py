"""The claims: planted answers are found, holes make no verdict, and the table says all of it."""

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from frod_bench.common.errors import InputError
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.claims.judge import Beside, judge
from frod_bench.report.claims.parts import (
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Judged,
    combine,
    suite_tasks,
)
from frod_bench.report.claims_table import claims_rows, format_part, show_claims
from frod_bench.report.collect import collect
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.keys import Task
from frod_bench.report.names import label
from frod_bench.report.picks import searched
from frod_bench.report.rules import Rules, rules_of_edition
from frod_bench.report.sensitivity import (
    Sensitivity,
    areas,
    factor_scores,
    published_trials,
    sensitivity_of,
)
from frod_bench.stats import curves
from tests.report.factory import (
    evaluated,
    make_record,
    rehash,
    synthetic_curve,
    write_record,
)

RULES = replace(rules_of_edition("1"), suite="smoke")
TASKS = suite_tasks("smoke")
METHODS = ("full", "lora", "dora", "frod")
# Rates of approach of the synthetic curves: frod about twice as fast as the low-rank methods.
RATES = {"full": 0.10, "lora": 0.04, "dora": 0.045, "frod": 0.09}
Change = Callable[[dict[str, Any]], dict[str, Any] | None]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forced to the disk, and an interval of a median may be of three tasks: few."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(curves, "FEWEST_RATIOS", 3)


def sweep(
    root: Path,
    offset: Mapping[str, float] | None = None,
    spread: Mapping[str, float] | None = None,
    rates: Mapping[str, float] = RATES,
    profile: str = "embedded",
    change: Change = lambda made: made,
) -> list[Cell]:
    """Records of all methods: 80 points plus an offset, three seeds `spread` points apart.

    `change` may edit a record, or return None for one that is not there.
    """
    cells = [Cell(t, m, s) for t in TASKS for m in METHODS for s in RULES.seeds]
    for cell in cells:
        points = 80 + (offset or {}).get(cell.method, 0.0)
        points += (cell.seed - 1) * (spread or {}).get(cell.method, 0.2)
        made = make_record(cell.task, cell.method, cell.seed, points / 100, profile=profile)
        curve = evaluated(rate=rates[cell.method], seed=cell.seed, every=2)
        if (kept := change(made)) is not None:
            write_record(root, kept, curve)
    return cells


def trials(**worst: float) -> pd.DataFrame:
    """Three trials a method on two tasks: the best is 80 points, the others fall by `worst`."""
    rows = [
        ("nlu", method, trial, task, 0.8 - fall * worst.get(method, 10.0) / 100)
        for method in METHODS
        for task in ("rte", "boolq")
        for trial, fall in enumerate((0.0, 0.5, 1.0))
    ]
    columns = ["family", "method", "trial", "task", "score"]
    return pd.DataFrame(rows, columns=columns).assign(head="classify")


def judged(
    root: Path,
    cells: list[Cell],
    table: pd.DataFrame | None = None,
    profile: str = "embedded",
    rules: Rules = RULES,
) -> Judged:
    got = collect(root, profile, cells)
    found = None if table is None else Sensitivity(areas(table), "trials")
    measured = evaluated_curves(got.frame, got.curves)
    return judge(got.frame, measured, Beside(found), profile, rules)


def claim(found: Judged, key: str) -> Claim:
    (got,) = [one for one in found.claims if one.key == key]
    return got


@pytest.mark.parametrize(
    ("points", "verdict"),
    [(0.0, SUPPORTED), (3.0, SUPPORTED), (-4.0, NOT_SUPPORTED), (-0.9, UNDECIDED)],
)
def test_accuracy(tmp_path: Path, points: float, verdict: str) -> None:
    """frod's gain is half a point apart from task to task, so one near the margin straddles it."""

    def vary(made: dict[str, Any]) -> dict[str, Any]:
        if made["cell"]["method"] == "frod":
            place = TASKS.index(made["cell"]["task"])
            made["metrics"][made["primary_metric"]]["value"] += 0.005 * (place - 1)
        return made

    cells = sweep(tmp_path, {"frod": points}, change=vary)
    got = claim(judged(tmp_path, cells), "accuracy")
    assert got.verdict == verdict
    assert got.parts[0].estimate.mean == pytest.approx(points)
    assert got.parts[0].confidence == pytest.approx(0.90)


def test_a_reference_that_gained_nothing_is_named_next_to_the_verdict(tmp_path: Path) -> None:
    """To match it there is little, which the verdict by itself does not say."""
    cells = sweep(tmp_path, {"full": 0.0})
    for place, task in enumerate(TASKS):
        for seed in RULES.seeds:  # 85 points on the first task, 75 on the others
            frozen = make_record(task, "frozen", seed, 0.75 if place else 0.85)
            write_record(tmp_path, frozen, synthetic_curve())
            cells.append(Cell(task, "frozen", seed))
    got = claim(judged(tmp_path, cells), "accuracy")
    assert got.verdict == SUPPORTED
    words = "full fine-tuning is below the frozen backbone on "
    of = f"{label(Task(TASKS[0]))} (80.0 against 85.0, {len(RULES.seeds)} seeds)"
    assert got.parts[0].note.split("; ")[-1] == words + of
    without = claim(judged(tmp_path, [c for c in cells if c.method != "frozen"]), "accuracy")
    assert words not in without.parts[0].note


@pytest.mark.parametrize(
    ("percent", "tolerance", "verdict"),
    [(1.72, 0.1, SUPPORTED), (1.72, 0.05, NOT_SUPPORTED), (1.60, 0.1, NOT_SUPPORTED)],
)
def test_parameters_are_counted_on_the_papers_backbones(
    tmp_path: Path, percent: float, tolerance: float, verdict: str
) -> None:
    """1.784 %, whatever was trained here; that is shown beside it."""

    def train(made: dict[str, Any]) -> dict[str, Any]:
        if made["cell"]["method"] == "frod":
            made["params"] |= {"trainable": 30_258, "trainable_percent": 3.0}
        return made

    rule = replace(RULES.parameters, paper_percent=percent, tolerance_points=tolerance)
    cells = sweep(tmp_path, change=train)
    got = claim(
        judged(tmp_path, cells, rules=replace(RULES, parameters=rule, suite="paper20_v1")),
        "parameters",
    )
    assert (got.verdict, got.holes) == (verdict, "")
    there, _, without, with_head, count, _ = got.parts
    assert there.verdict == verdict
    assert there.estimate.mean == pytest.approx(1.784, abs=5e-4)
    assert there.estimate.n == 20
    assert without.estimate.mean == pytest.approx(3.0)
    assert with_head.estimate.mean == pytest.approx(3.0258)
    assert count.estimate.mean == 30_000


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ({}, SUPPORTED),
        ({"frod": 0.02}, NOT_SUPPORTED),
        ({"dora": 0.2}, NOT_SUPPORTED),  # faster than lora alone is not enough
        ({"frod": 0.002, "lora": 0.002, "dora": 0.002}, UNDECIDED),  # nobody arrives
    ],
)
def test_convergence(tmp_path: Path, rates: dict[str, float], verdict: str) -> None:
    cells = sweep(tmp_path, rates=RATES | rates)
    got = claim(judged(tmp_path, cells), "convergence")
    assert got.verdict == verdict
    shown = [part for part in got.parts if part.name.endswith("full over frod")]
    assert [part.verdict for part in shown] == [None, None]
    assert [part.published for part in got.parts] == [3.6, None, 0.59, None, None, None]


def test_convergence_tells_steps_from_seconds(tmp_path: Path) -> None:
    """Half an hour of set-up takes back what fewer steps gave."""

    def slow(made: dict[str, Any]) -> dict[str, Any]:
        if made["cell"]["method"] == "frod":
            made["time"]["setup_sec"] = 1800.0
        return made

    cells = sweep(tmp_path, change=slow)
    got = claim(judged(tmp_path, cells), "convergence")
    assert got.verdict == "supported in steps, not supported in seconds"


def test_a_reference_without_a_curve_is_a_hole_and_no_missing_gain(tmp_path: Path) -> None:
    got = collect(tmp_path, "embedded", sweep(tmp_path))
    without = {
        key: curve
        for key, curve in got.curves.items()
        if (key.task.task, key.method.method) != ("rte", "full")
    }
    found = claim(
        judge(got.frame, evaluated_curves(got.frame, without), Beside(), "embedded", RULES),
        "convergence",
    )
    assert found.verdict == UNDECIDED
    assert "full fine-tuning: RTE seed 0, RTE seed 1, RTE seed 2 are without" in found.holes


def test_where_nobody_arrives_the_misses_are_told(tmp_path: Path) -> None:
    cells = sweep(tmp_path, rates=RATES | {"frod": 0.002, "lora": 0.002})
    part = claim(judged(tmp_path, cells), "convergence").parts[0]
    assert np.isnan(part.estimate.mean)
    assert format_part(part).startswith("no number; missed by FRoD in 9 of 9 runs, LoRA in 9")


def test_convergence_counts_misses_and_divergence(tmp_path: Path) -> None:
    def diverge(made: dict[str, Any]) -> dict[str, Any]:
        if made["cell"]["method"] == "lora":
            failed = make_record(
                made["cell"]["task"], "lora", made["cell"]["seed"], None, "diverged"
            )
            return made | {"status": "diverged", "error": failed["error"], "metrics": {}}
        return made

    got = claim(judged(tmp_path, sweep(tmp_path, change=diverge)), "convergence")
    assert got.verdict == SUPPORTED
    assert got.parts[0].estimate.mean == np.inf
    assert got.parts[0].note == "missed by FRoD in 0 of 9 runs, LoRA in 9 of 9 runs"


@pytest.mark.parametrize(
    ("spread", "falls", "verdict"),
    [
        ({}, {}, SUPPORTED),
        ({"frod": 3.0}, {}, NOT_SUPPORTED),
        ({}, {"frod": 40.0}, NOT_SUPPORTED),
        ({}, None, UNDECIDED),
    ],
)
def test_robustness(
    tmp_path: Path, spread: dict[str, float], falls: dict[str, float] | None, verdict: str
) -> None:
    cells = sweep(tmp_path, spread=spread)
    table = None if falls is None else trials(**falls)
    got = claim(judged(tmp_path, cells, table), "robustness")
    assert got.verdict == verdict
    assert ("no records over" in got.holes) == (falls is None)


@pytest.mark.parametrize("margins", [8.0, 1.5])  # the mean is beyond the margin, and within
def test_robustness_straddles(tmp_path: Path, margins: float) -> None:
    """The seeds of frod differ on one task of three, by 8 or 1.5 margins."""
    points = margins * RULES.robustness.spread_margin_points

    def spread(made: dict[str, Any]) -> dict[str, Any]:
        cell = made["cell"]
        if (cell["task"], cell["method"]) == ("rte", "frod"):
            made["metrics"][made["primary_metric"]]["value"] = 0.8 + points / 100 * (
                cell["seed"] - 1
            )
        return made

    cells = sweep(tmp_path, change=spread)
    assert claim(judged(tmp_path, cells, trials()), "robustness").verdict == UNDECIDED


def test_area_of_a_trial_that_diverged_is_the_lowest_score() -> None:
    table = trials(lora=40.0)
    table.loc[(table["method"] == "frod") & (table["trial"] == 2), "score"] = -np.inf
    found = areas(table)
    assert found["lora"].tolist() == pytest.approx([-20.0, -20.0])
    assert found["frod"].tolist() == pytest.approx([-15.0, -15.0])  # 80, 75, and lora's 40
    fewer = areas(table.drop(table[(table["method"] == "dora") & (table["trial"] == 0)].index))
    assert fewer["dora"].isna().all()


def test_published_trials_of_a_task_under_both_heads_are_of_two_tasks(tmp_path: Path) -> None:
    listed = trials(frod=20.0).assign(family="reasoning")
    both = pd.concat([listed, trials().assign(family="reasoning_rank")]).drop(columns="head")
    (tmp_path / "tables").mkdir()
    both.replace({"score": {0.8: "none"}}).to_csv(tmp_path / "tables/tuning.csv")
    found = published_trials(tmp_path)
    assert found is not None
    assert np.isinf(found["score"]).sum() == 2 * 2 * len(METHODS)
    both.to_csv(tmp_path / "tables/tuning.csv")
    found = published_trials(tmp_path)
    assert found is not None
    assert areas(found)["frod"].to_dict() == pytest.approx(
        {
            ("rte", "classify"): -10.0,
            ("boolq", "classify"): -10.0,
            ("rte", "rank"): -5.0,
            ("boolq", "rank"): -5.0,
        }
    )


FACTORS = RULES.robustness.learning_rate_factors


def of_rates(
    root: Path, method: str, points: float, *, factor: float = 1.0, trial: int = 0, **more: Any
) -> None:
    """A record at a factor on its learning rates or, with `protocol=tune`, of a trial."""
    task, seed, status = (
        more.get(*pair) for pair in (("task", "rte"), ("seed", 0), ("status", "ok"))
    )
    made = make_record(task, method, seed, points / 100, status)
    config, protocol = made["config"], more.get("protocol", "fair")
    config |= {"rate_factors": {"all": factor}, "trial": trial}
    config["protocol"]["name"] = made["cell"]["protocol"] = protocol
    rate = 10.0**-trial if protocol == "tune" else 5e-4 * factor
    config["method"]["learning_rates"] = {"lambda": rate}
    config["trainer"]["max_steps"] = more.get("steps", 100)
    made["provenance"]["started_at"] = more.get("started_at", "2026-11-24T12:00:00+00:00")
    rehash(made)
    write_record(root, made, synthetic_curve(steps=5))


def test_sensitivity_is_of_the_records_of_a_grid_and_before_it_of_trials(tmp_path: Path) -> None:
    root = tmp_path
    assert judged(root, sweep(root)).claims[3].holes.startswith("no records over learning rates")
    for method in METHODS:
        for trial, points in enumerate((80, 70, 60)):
            of_rates(root, method, points, trial=trial, protocol="tune")
    records = collect(root, "embedded", []).records
    found = sensitivity_of(records, "none", FACTORS, METHODS)
    assert found is not None
    assert found.over == "trials"
    assert found.table.loc[("rte", "classify"), "frod"] == pytest.approx(-10)
    for method in METHODS:
        for factor in FACTORS:
            for seed in (0, 1):
                of_rates(root, method, 70 + 10 * (factor == 1) + seed, factor=factor, seed=seed)
    records = collect(root, "embedded", []).records
    found = sensitivity_of(records, "none", FACTORS, METHODS)
    assert found is not None
    assert found.over == "factors"
    assert found.table["frod"].tolist() == pytest.approx([-8.0])  # seed 2 has no grid
    other = sensitivity_of(records, "none", FACTORS[1:], METHODS)
    assert other is not None  # a part of the grid is a grid
    assert other.table["frod"].tolist() == pytest.approx([-7.5])
    lacking = sensitivity_of(records, "none", FACTORS, [*METHODS, "vera"])
    assert lacking is not None
    assert lacking.missing([*METHODS, "vera"]) == "factors missing for VeRA"
    assert sensitivity_of([], "none", FACTORS, METHODS) is None


def test_runs_of_the_search_are_no_trials_and_make_their_methods_tuned(tmp_path: Path) -> None:
    """They have no number: as one trial each, every area would be 0."""
    for method in METHODS:
        for seed in (100, 101):
            of_rates(tmp_path, method, 70 - seed, seed=seed, trial=seed - 100, protocol="tune")
    for path in (tmp_path / "embedded" / "records").rglob("*.json"):
        made = json.loads(path.read_text())
        del made["config"]["trial"]
        path.write_text(json.dumps(made))
    records = collect(tmp_path, "embedded", []).records
    assert len(records) == 2 * len(METHODS)
    assert sensitivity_of(records, "none", FACTORS, METHODS) is None
    found = searched(records, None)
    assert set(found["method"]) == set(METHODS)
    assert set(found["family"]) == {"nlu"}


def test_a_partial_grid_of_factors_is_named(tmp_path: Path) -> None:
    """Of the tasks of the published grid, or of the methods that the claim is about."""
    for factor in FACTORS:
        for method in METHODS[:2]:
            of_rates(tmp_path, method, 70, factor=factor, task="sst2")
    records = collect(tmp_path, "embedded", []).records
    few_tasks = sensitivity_of(records, "embedded", FACTORS, METHODS[:2])
    assert few_tasks is not None
    assert few_tasks.over.startswith("factors; partial grid, without arc_easy, gtsrb, hellaswag")
    few_methods = sensitivity_of(records, "embedded", FACTORS, METHODS)
    assert few_methods is not None
    assert few_methods.over == (
        "factors of the published run; the grid of factors here is partial, without dora, frod"
    )
    frame = collect(tmp_path, "embedded", sweep(tmp_path)).frame
    found = judge(frame, {}, Beside(few_methods), "embedded", RULES)
    assert "partial, without dora, frod" in claim(found, "robustness").parts[-1].title


def test_grids_of_other_settings_are_not_mixed_and_a_hole_is_no_area(tmp_path: Path) -> None:
    for factor in FACTORS:
        of_rates(tmp_path, "lora", 80 if factor == 1 else 70, factor=factor)
        old = "2026-11-01T12:00:00+00:00"
        of_rates(tmp_path, "frod", 10, factor=factor, steps=5, started_at=old)
        of_rates(tmp_path, "full", 80, factor=factor, status="ok" if factor == 1 else "failed")
        status = "diverged" if factor == FACTORS[0] else "ok"
        of_rates(tmp_path, "frod", 80 if factor == 1 else 75, factor=factor, status=status)
    of_rates(tmp_path, "dora", 80)  # a run at the tuned learning rates alone is no grid
    records = collect(tmp_path, "embedded", []).records
    found = areas(factor_scores(records, FACTORS)).loc[("rte", "classify")]
    assert found["lora"] == pytest.approx(-8.0)
    assert found["frod"] == pytest.approx((70 + 75 + 80 + 75 + 75) / 5 - 80)  # not the old one
    assert np.isnan(found["full"])
    assert "dora" not in found


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("failed", "FRoD: RTE seed 1 failed"),
        (None, "FRoD: RTE seed 1 is missing"),
        ("undefined", "FRoD: RTE seed 1 is undefined"),
    ],
)
def test_a_hole_makes_no_verdict_and_is_named(tmp_path: Path, loss: str | None, words: str) -> None:
    def lose(made: dict[str, Any]) -> dict[str, Any] | None:
        cell = made["cell"]
        if (cell["task"], cell["method"], cell["seed"]) != ("rte", "frod", 1):
            return made
        if loss == "undefined":
            made["metrics"][made["primary_metric"]]["value"] = None
            return made
        return None if loss is None else make_record("rte", "frod", 1, None, loss)

    found = judged(tmp_path, sweep(tmp_path, change=lose), trials())
    for key in ("accuracy", "robustness"):
        got = claim(found, key)
        assert (got.verdict, got.holes) == (UNDECIDED, words)
        assert np.isfinite(got.parts[0].estimate.mean)
    # A run that has no score at its end never arrived; one that failed might have.
    assert (claim(found, "convergence").verdict == SUPPORTED) == (loss == "undefined")


def test_what_was_not_run_is_no_evidence(tmp_path: Path) -> None:
    cells = [cell for cell in sweep(tmp_path) if cell.method != "dora"]
    found = judged(tmp_path, cells, trials())
    assert claim(found, "accuracy").verdict == SUPPORTED
    got = claim(found, "convergence")
    assert got.verdict == UNDECIDED
    assert got.holes == "DoRA: 9 runs are not in this experiment"
    assert "against each of LoRA, DoRA; a miss" in got.rule
    whole = replace(RULES, suite="paper20_v1")
    assert claim(judged(tmp_path, cells, rules=whole), "accuracy").verdict == UNDECIDED


def test_more_than_the_rules_name_is_left_out(tmp_path: Path) -> None:
    cells = sweep(tmp_path)
    for task, seed in (("rte", 7), ("cola", 0)):
        write_record(tmp_path, make_record(task, "frod", seed, 0.1), synthetic_curve())
        cells.append(Cell(task, "frod", seed))
    assert claim(judged(tmp_path, cells), "accuracy").verdict == SUPPORTED


def test_several_protocols_are_no_whole_evidence(tmp_path: Path) -> None:
    got = collect(tmp_path, "embedded", sweep(tmp_path))
    got.frame.loc[0, "protocol"] = "paper"
    found = judge(got.frame, evaluated_curves(got.frame, got.curves), Beside(), "embedded", RULES)
    assert claim(found, "accuracy").holes.startswith("records of several protocols: fair, paper")


def test_one_seed_has_no_spread_and_no_verdict(tmp_path: Path) -> None:
    cells = [cell for cell in sweep(tmp_path) if cell.seed == 0]
    got = claim(judged(tmp_path, cells, trials()), "robustness")
    assert got.verdict == UNDECIDED
    assert np.isnan(got.parts[0].estimate.mean)


def test_verdicts_combine() -> None:
    assert combine([SUPPORTED, None, SUPPORTED]) == SUPPORTED
    assert combine([SUPPORTED, UNDECIDED]) == UNDECIDED
    assert combine([UNDECIDED, NOT_SUPPORTED, SUPPORTED]) == NOT_SUPPORTED
    assert combine([None]) == UNDECIDED


def test_a_suite_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="suite=paper21"):
        suite_tasks("paper21")


def test_report_writes_the_claims_first_and_says_them(tmp_path: Path) -> None:
    cells = [replace(cell, protocol="fair") for cell in sweep(tmp_path)]
    tables = tmp_path / "embedded" / "tables"
    for method in METHODS:
        for trial, points in enumerate((80, 75, 70)):
            for task in ("rte", "boolq"):
                of_rates(tmp_path, method, points, trial=trial, protocol="tune", task=task)
    report = write_report(tmp_path, "embedded", cells, "stand-ins", parts=["tables"], rules=RULES)
    assert [path.name for path in report.paths[:3]] == ["claims.md", "claims.tex", "claims.csv"]
    text = (tables / "claims.md").read_text()
    assert text.startswith("# Claims: stand-ins\n")
    strong = [line for line in text.splitlines() if line.startswith("| **")]
    assert len(strong) == 4
    assert all("embedded, fair |" in line for line in strong)
    assert all(SUPPORTED in line for line in strong)
    assert "released loss curves, one task: 3.6 ×" in text
    tex = (tables / "claims.tex").read_text()
    assert tex.count("{") == tex.count("}")
    long = pd.read_csv(io.StringIO((tables / "claims.csv").read_text()))
    own = long[long["part"].isna()].set_index("claim")["verdict"]
    assert own.to_dict() == {
        "accuracy": SUPPORTED,
        "parameters": NOT_SUPPORTED,  # three tasks of other shares
        "convergence": SUPPORTED,
        "robustness": SUPPORTED,
    }
    assert report.judged is not None
    console = Console(file=io.StringIO(), width=160)
    show_claims(report.judged, "stand-ins", console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert shown.count("supported") == 4
    assert "LoRA over FRoD" in shown
    columns, rows = claims_rows(report.judged)
    table = pd.DataFrame(rows, columns=columns)
    own = table[table["part"] == ""]
    assert own["verdict"].tolist() == [SUPPORTED, NOT_SUPPORTED, SUPPORTED, SUPPORTED]
    assert own["mean"].isna().all()
    parts = table[table["part"] != ""]
    means = [part.estimate.mean for one in report.judged.claims for part in one.parts]
    assert parts["mean"].tolist() == pytest.approx(means, nan_ok=True)
    assert (table["profile"] == "embedded").all()
    assert parts["measured"].str.len().gt(0).all()
