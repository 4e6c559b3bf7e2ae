"""What the second edition of the rules decides otherwise: planted answers are found."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from frod_bench import stats
from frod_bench.records import hashing
from frod_bench.records.schema import THEN
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.claims.expressiveness import Updates, learned_updates
from frod_bench.report.claims.judge import Beside, judge
from frod_bench.report.claims.parameters import PAPER_COUNTS, compositions
from frod_bench.report.claims.parts import (
    CONSISTENT,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Judged,
    suite_tasks,
)
from frod_bench.report.collect import collect
from frod_bench.report.convergence import (
    arrivals,
    convergence_table,
    on_several_machines,
    time_summary,
)
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.keys import Task
from frod_bench.report.rules import load_rules
from frod_bench.report.sensitivity import PROCEDURE, Sensitivity, search_areas, searched_sensitivity
from frod_bench.stats import curves
from frod_bench.tuning import evidence
from tests.report.factory import evaluated, make_record, rehash, synthetic_curve, write_record

WHOLE = load_rules()
RULES = replace(WHOLE, suite="smoke")
TASKS = suite_tasks("smoke")
METHODS = ("full", "lora", "dora", "frod")
RATES = {"full": 0.10, "lora": 0.04, "dora": 0.045, "frod": 0.09}
FACTORS = RULES.robustness.learning_rate_factors
Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forced to the disk, and an interval of a median may be of three tasks: few."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(curves, "FEWEST_RATIOS", 3)


def sweep(
    root: Path,
    *,
    rates: Mapping[str, float] = RATES,
    points: Callable[[str, str, int], float] = lambda task, method, seed: 80 + 0.2 * seed,
    curve: Callable[[str, int, list[dict[str, Any]]], list[dict[str, Any]]] = lambda m, s, c: c,
    trainer: Mapping[str, Any] = MappingProxyType({}),
) -> list[Cell]:
    """Five seeds of all methods, with the scores of `points` (in points)."""
    cells = [Cell(t, m, s) for t in TASKS for m in METHODS for s in RULES.seeds]
    for cell in cells:
        score = points(cell.task, cell.method, cell.seed) / 100
        lines = evaluated(rate=rates[cell.method], seed=cell.seed, every=2)
        lines = curve(cell.method, cell.seed, lines)
        made = make_record(cell.task, cell.method, cell.seed, score)
        made["config"]["trainer"] |= trainer
        rehash(made)
        write_record(root, made, lines)
    return cells


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Cell]]:
    """Runs in which all methods score alike."""
    root = tmp_path_factory.mktemp("plain")
    return root, sweep(root)


def judged(root: Path, cells: list[Cell], constant: Path | None = None, **beside: Any) -> Judged:
    def runs(folder: Path) -> tuple[pd.DataFrame, Any]:
        got = collect(folder, "embedded", cells)
        return got.frame, evaluated_curves(got.frame, got.curves, RULES.convergence.column)

    arm = None if constant is None else runs(constant)
    return judge(*runs(root), Beside(constant=arm, **beside), "embedded", RULES)


def claim(found: Judged, key: str) -> Claim:
    (got,) = [one for one in found.claims if one.key == key]
    return got


def test_the_rules_were_dated_before_the_run_and_say_what_they_changed() -> None:
    assert (WHOLE.edition, WHOLE.dated, WHOLE.suite) == (2, "2026-11-28", "paper20")
    assert WHOLE.seeds == [0, 1, 2, 3, 4]
    changed = " ".join(change.what for change in WHOLE.changes)
    for word in ("accuracy", "parameters", "convergence", "robustness", "expressiveness"):
        assert f"{word}:" in changed


@pytest.mark.parametrize(
    ("offsets", "verdict", "note"),
    [
        ((0.0, 0.0, 0.0), SUPPORTED, "above on 0 tasks, below on 0"),
        ((12.0, 0.0, -12.0), SUPPORTED, "above on 1 tasks, below on 1"),
        ((-6.0, -6.0, -6.0), NOT_SUPPORTED, "above on 0 tasks, below on 3"),
        ((-3.0, 0.0, 0.0), UNDECIDED, "above on 0 tasks, below on 1"),
    ],
)
def test_accuracy_is_of_these_tasks(
    tmp_path: Path, offsets: tuple[float, ...], verdict: str, note: str
) -> None:
    """Tasks that differ by +12 and -12 are equal in the mean; tasks drawn at random are not."""

    def points(task: str, method: str, seed: int) -> float:
        own = offsets[TASKS.index(task)] if method == "frod" else 0.0
        return 80 + own + 0.5 * (seed * (2 if method == "frod" else 1) % 5 - 2)

    got = claim(judged(tmp_path, sweep(tmp_path, points=points)), "accuracy")
    assert got.verdict == verdict
    assert note in got.parts[0].note
    assert got.parts[0].estimate.mean == pytest.approx(np.mean(offsets))
    drawn = got.parts[1]
    assert drawn.title == "the same, of tasks drawn at random"
    assert drawn.verdict is None
    if len(set(offsets)) > 1:
        assert drawn.estimate.high - drawn.estimate.low > 2 * (
            got.parts[0].estimate.high - got.parts[0].estimate.low
        )


def test_parameters_are_consistent_and_not_tested(plain: tuple[Path, list[Cell]]) -> None:
    rules = replace(RULES, suite="paper20")
    got = collect(plain[0], "embedded", plain[1])
    found = claim(judge(got.frame, {}, Beside(), "embedded", rules), "parameters")
    assert found.verdict == CONSISTENT
    assert found.parts[0].estimate.mean == pytest.approx(1.722, abs=1e-3)
    over = found.parts[1]
    assert "15 compositions of 20 of 24 tasks" in over.title
    assert (over.estimate.low, over.verdict) == (pytest.approx(found.parts[0].estimate.mean), None)


def test_compositions_take_every_family_and_all_sum_up() -> None:
    found = list(compositions(pd.read_csv(PAPER_COUNTS), 20))
    assert all(sum(taken.values()) == 20 and min(taken.values()) >= 1 for taken, _ in found)
    shares = {tuple(taken.values()): share for taken, share in found}
    assert shares[8, 8, 4] == min(shares.values())
    assert shares[7, 8, 5] == pytest.approx(1.784, abs=1e-3)  # the list of the first edition


@pytest.mark.parametrize(
    ("constant", "verdict"),
    [
        ({}, SUPPORTED),
        ({"frod": 0.01}, NOT_SUPPORTED),  # faster under the decay alone is not enough
        (None, UNDECIDED),
    ],
)
def test_convergence_must_hold_at_a_constant_rate_too(
    tmp_path: Path, constant: dict[str, float] | None, verdict: str
) -> None:
    root, arm = tmp_path / "main", tmp_path / "constant"
    cells = sweep(root)
    if constant is not None:
        sweep(arm, rates=RATES | constant)
    got = claim(judged(root, cells, arm if constant is not None else None), "convergence")
    assert got.verdict == verdict
    assert ("at a constant learning rate" in got.holes) == (constant is None)
    named = [part.title for part in got.parts if "at a constant learning rate" in part.title]
    assert len(named) == len(got.parts) / 2


def test_the_target_is_of_the_loss_of_the_references_run_with_the_same_seed(tmp_path: Path) -> None:
    """Full fine-tuning's loss rises again from its lowest; seed 1 falls half as far."""

    def shape(method: str, seed: int, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        depth = 0.4 if seed == 1 else 0.8
        for line in lines:
            if "eval_loss" in line:
                done = line["step"] / 100
                line["eval_loss"] = 1 - depth * min(done, 0.5) / 0.5
                if method == "full" and done > 0.5:
                    line["eval_loss"] += 2 * (done - 0.5)
        return lines

    cells = sweep(tmp_path, curve=shape)
    got = collect(tmp_path, "embedded", cells)
    rule = replace(RULES.convergence, window_evaluations=1)
    measured = evaluated_curves(got.frame, got.curves, rule.column)
    arrived = arrivals(got.frame, measured, rule)
    of_seed = arrived[arrived["task"] == TASKS[0]].groupby("seed")["target"].unique().str[0]
    start = 1 - 0.8 * 2 / 50  # the first evaluation is at step 2
    assert of_seed[0] == pytest.approx(start - 0.9 * (start - 0.2))
    assert of_seed[1] > 0.6
    assert (arrived["steps"] <= 50).all()  # every run is at its own seed's target by then
    table = convergence_table(time_summary(arrived, rule), rule, "embedded")
    assert f"({of_seed[0]:.3f})" in table.rows[1].label  # the median over seeds, as a loss
    assert "lowest value of full fine-tuning's curve with the same seed" in table.caption


def test_an_arm_takes_runs_of_its_own_schedule_alone(tmp_path: Path) -> None:
    root, arm = tmp_path / "main", tmp_path / "arm"
    cells = sweep(root, trainer={"schedule": "cosine"})
    sweep(arm, trainer={"schedule": "constant"})
    assert claim(judged(root, cells, arm), "convergence").verdict == SUPPORTED
    odd = claim(judged(root, cells, root), "convergence")
    assert odd.verdict == UNDECIDED
    assert "60 runs are under a decay, and left out" in odd.holes
    other = judged(arm, cells, arm)
    assert claim(other, "accuracy").verdict == UNDECIDED
    assert "at a constant learning rate, and left out" in claim(other, "accuracy").holes


@pytest.mark.parametrize(
    ("trainer", "holes"),
    [
        ({"max_steps": 1000}, "settings other than the method's differ between runs of RTE"),
        ({"batch_rows": 32}, "settings other than the method's differ between runs of RTE"),
        ({"batch_rows": 8, "accumulation_steps": 2}, ""),  # the same rows in a step
    ],
)
def test_runs_at_other_settings_are_a_hole(
    tmp_path: Path, trainer: dict[str, int], holes: str
) -> None:
    cells = sweep(tmp_path, trainer={"batch_rows": 16, "accumulation_steps": 1, "max_steps": 100})
    found = collect(tmp_path, "embedded", cells)
    for row in found.frame.query("task == 'rte' and method == 'frod'").itertuples():
        record = json.loads(Path(row.path).read_text())
        record["config"]["trainer"] |= trainer
        Path(row.path).unlink()
        prints = [record["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
        identity = hashing.identity(record["config"], *prints)
        record["cell"]["config_hash"] = hashing.config_hash(identity)
        curve = evaluated(rate=RATES["frod"], seed=row.seed, every=2)
        write_record(tmp_path, record, curve)
    got = judged(tmp_path, cells, tmp_path)
    for key in ("accuracy", "convergence"):
        assert holes in claim(got, key).holes
        assert ("settings" in claim(got, key).holes) == bool(holes)
        assert claim(got, key).verdict == UNDECIDED or not holes


def test_curves_of_some_rows_do_not_count(tmp_path: Path) -> None:
    cells = sweep(tmp_path, trainer={"curve_rows": 64})
    got = claim(judged(tmp_path, cells, tmp_path), "convergence")
    assert got.verdict == UNDECIDED
    assert "trainer.curve_rows=null" in got.holes
    free = replace(RULES, convergence=replace(RULES.convergence, whole_split=[]))
    found = collect(tmp_path, "embedded", cells)
    runs = found.frame, evaluated_curves(found.frame, found.curves, "eval_loss")
    judgement = judge(*runs, Beside(constant=runs), "embedded", free)
    assert claim(judgement, "convergence").verdict == SUPPORTED


@pytest.mark.parametrize(
    ("lora", "n_tasks"), [("Intel", 3), ("AMD", 2), (f"Intel{THEN}AMD", 2), (None, 3)]
)
def test_in_seconds_a_task_counts_if_its_runs_were_made_on_one_processor(
    tmp_path: Path, lora: str | None, n_tasks: int
) -> None:
    """One run of LoRA, of five, on one task of the arm at a constant learning rate."""
    cells = sweep(tmp_path)
    frame = collect(tmp_path, "embedded", cells).frame.assign(processor="Intel")
    curves = evaluated_curves(frame, collect(tmp_path, "embedded", cells).curves, "eval_loss")
    is_it = (frame["task"] == TASKS[0]) & (frame["method"] == "lora") & (frame["seed"] == 2)
    mixed = frame.assign(processor=frame["processor"].mask(is_it, lora))
    judgement = judge(frame, curves, Beside(constant=(mixed, curves)), "embedded", RULES)
    parts = {part.name: part for part in claim(judgement, "convergence").parts}
    for name, part in parts.items():
        is_lost = name == "seconds to target at a constant learning rate, lora over frod"
        assert part.estimate.n == (n_tasks if is_lost else 3)
        words = "without tasks that several kinds of machine ran: "
        assert (words in part.note) == (is_lost and n_tasks == 2)
        if part.verdict is not None:
            assert part.verdict == (UNDECIDED if is_lost and n_tasks == 2 else SUPPORTED)
    free = replace(RULES, convergence=replace(RULES.convergence, one_machine=False))
    apart = judge(frame, curves, Beside(constant=(mixed, curves)), "embedded", free)
    assert {part.estimate.n for part in claim(apart, "convergence").parts} == {3}
    arrived = arrivals(mixed, curves, RULES.convergence)
    of_task = time_summary(arrived, RULES.convergence).set_index(["axis", "method", "task"])
    unknown = of_task["speedup"].isna()
    lost = {("seconds", "lora", TASKS[0])} if n_tasks == 2 else set()
    assert set(unknown.index[unknown]) == lost
    apart_tasks = on_several_machines(arrived)
    assert apart_tasks == ({Task(TASKS[0])} if n_tasks == 2 else set())
    table = convergence_table(
        time_summary(arrived, RULES.convergence), RULES.convergence, "", mixed=apart_tasks
    )
    assert len(table.notes) == len(apart_tasks)


def test_seconds_of_an_accelerator_do_not_compare_with_those_of_an_unnamed_processor(
    tmp_path: Path,
) -> None:
    """Older records do not name their processor, and newer ones may be of a GPU."""
    cells = sweep(tmp_path)
    found = collect(tmp_path, "embedded", cells)
    assert found.frame["processor"].isna().all()
    curves = evaluated_curves(found.frame, found.curves, "eval_loss")
    is_it = (found.frame["task"] == TASKS[0]) & (found.frame["method"] == "lora")
    for devices, mixed in ((("cuda:0", "cpu"), True), (("cuda:0", "cuda:1"), False)):
        device = found.frame["device"].where(is_it, devices[1]).mask(is_it, devices[0])
        arrived = arrivals(found.frame.assign(device=device), curves, RULES.convergence)
        assert on_several_machines(arrived) == ({Task(TASKS[0])} if mixed else set())


@pytest.mark.parametrize(("models", "mixed"), [(("H100", "H100"), False), (("H100", "A100"), True)])
def test_seconds_of_two_models_of_a_gpu_do_not_compare(
    tmp_path: Path, models: tuple[str, str], mixed: bool
) -> None:
    cells = sweep(tmp_path)
    found = collect(tmp_path, "embedded", cells)
    curves = evaluated_curves(found.frame, found.curves, "eval_loss")
    is_it = (found.frame["task"] == TASKS[0]) & (found.frame["method"] == "lora")
    processor = pd.Series(models[1], found.frame.index).mask(is_it, models[0])
    frame = found.frame.assign(device="cuda:0", processor=processor)
    arrived = arrivals(frame, curves, RULES.convergence)
    assert on_several_machines(arrived) == ({Task(TASKS[0])} if mixed else set())


@pytest.mark.parametrize(("improving", "n_tasks"), [(2, 0), (3, 3)])
def test_a_task_needs_targets_of_more_than_half_of_the_seeds(
    tmp_path: Path, improving: int, n_tasks: int
) -> None:
    def some(method: str, seed: int, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for line in lines:
            if method == "full" and seed >= improving and "eval_loss" in line:
                line["eval_loss"] = 1 + line["step"]
        return lines

    cells = sweep(tmp_path, curve=some)
    got = claim(judged(tmp_path, cells, tmp_path), "convergence")
    assert got.parts[0].estimate.n == n_tasks
    assert got.holes == ""


def test_a_reference_that_diverged_sets_no_target_and_is_no_hole(tmp_path: Path) -> None:
    cells = sweep(tmp_path)
    made = make_record(TASKS[0], "full", 0, None, "diverged")
    write_record(tmp_path, made, synthetic_curve())
    got = claim(judged(tmp_path, cells, tmp_path), "convergence")
    assert (got.verdict, got.holes) == (SUPPORTED, "")


def test_a_median_of_few_tasks_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three tasks on which two methods are equal all three have one ahead in a quarter."""
    monkeypatch.undo()
    got = claim(judged(tmp_path, sweep(tmp_path), tmp_path), "convergence")
    assert (got.verdict, got.holes) == (UNDECIDED, "")
    assert got.parts[0].estimate.mean > 1.5
    assert np.isnan([got.parts[0].estimate.low, got.parts[0].estimate.high]).all()


def test_a_missing_arm_leaves_the_claim_undecided_whatever_the_other_says(tmp_path: Path) -> None:
    cells = sweep(tmp_path, rates=RATES | {"frod": 0.01})
    assert claim(judged(tmp_path, cells, tmp_path), "convergence").verdict == NOT_SUPPORTED
    assert claim(judged(tmp_path, cells), "convergence").verdict == UNDECIDED


def test_a_reference_that_never_improves_sets_no_target(tmp_path: Path) -> None:
    def rising(method: str, seed: int, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for line in lines:
            if method == "full" and "eval_loss" in line:
                line["eval_loss"] = 1 + line["step"]
        return lines

    cells = sweep(tmp_path, curve=rising)
    got = claim(judged(tmp_path, cells, tmp_path), "convergence")
    assert got.verdict == UNDECIDED
    assert got.holes == ""
    assert got.parts[0].estimate.n == 0
    assert np.isnan(stats.target_from_lowest([1.0, 2.0], 0.9, 1))
    assert np.isnan(stats.target_from_lowest([], 0.9, 1))


def search_table(falls: Mapping[str, float], tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    """A search: five steps a method with the best in the middle, 80 points less `falls` a step;
    FRoD's other ratio, and a head at one rate alone, are better and no part of the grid.
    """
    rows = [
        (family, method, step, -8, "tied" if method == "frod" else None, task, seed, score, "ok")
        for method, fall in falls.items()
        for family, task in zip(("vision", "reasoning", "nlu"), tasks, strict=True)
        for step in range(-12, -7)
        for seed in (100, 101)
        for score in [80 - fall * abs(step + 10) + seed - 100]
    ]
    rows += [("nlu", "frod", -10, -8, "1", "rte", seed, 99.0, "ok") for seed in (100, 101)]
    rows += [("nlu", "lora", -10, -4, None, "rte", seed, 99.0, "ok") for seed in (100, 101)]
    columns = ["family", "method", *evidence.POINT, "task", "seed", "points", "status"]
    return pd.DataFrame(rows, columns=columns).assign(procedure=PROCEDURE)


def test_areas_of_the_search_are_around_the_methods_best_rate() -> None:
    found = search_areas(search_table({"frod": 1.0, "lora": 5.0}), FACTORS, METHODS)
    assert found["frod"].tolist() == pytest.approx([-6 / 5] * 3)
    assert found["lora"].tolist() == pytest.approx([-6.0] * 3)
    assert found.index.get_level_values("head").unique().tolist() == ["classify"]
    narrow = search_areas(search_table({"frod": 1.0}).query("rate_step < -8"), FACTORS, METHODS)
    assert narrow["frod"].isna().all()
    coarse = search_areas(search_table({"frod": 1.0}).query("rate_step % 2 == 0"), FACTORS, METHODS)
    assert coarse["frod"].tolist() == pytest.approx([-4 / 3] * 3)  # half-decade steps


def test_areas_are_with_the_head_at_frozens_best_however_many_rates_another_head_has() -> None:
    table = search_table({"frod": 1.0, "lora": 2.0})
    lora = table["method"] == "lora"
    more = table[lora & (table["head_step"] == -8)]
    wide = pd.concat([more, more.assign(rate_step=more["rate_step"] - 5)])
    elsewhere = wide.assign(head_step=-4, points=20.0)  # ten rates, where the first grid has five
    frozen = table[lora].assign(method="frozen", rate_step=np.nan)
    frozen = frozen[frozen["head_step"] == -8]
    heads = [frozen.assign(head_step=step, points=50.0 - abs(step + 8)) for step in (-12, -8, -4)]
    found = search_areas(pd.concat([table, elsewhere, *heads]), FACTORS, METHODS)
    pd.testing.assert_frame_equal(found, search_areas(table, FACTORS, METHODS))


def test_areas_compare_methods_at_the_same_steps_and_seeds() -> None:
    """A hole at one method's inner rate leaves that step out for all; a method that lacks a seed
    has no area; ranked families are others.
    """
    table = search_table({"frod": 2.0, "lora": 2.0})
    hole = (table["method"] == "lora") & (table["rate_step"] == -11) & (table["task"] == "rte")
    found = search_areas(table[~hole], FACTORS, METHODS)
    assert found.loc[("rte", "classify")].tolist() == pytest.approx([-10 / 4] * 2)
    assert found.loc[("boolq", "classify")].tolist() == pytest.approx([-12 / 5] * 2)
    lost = search_areas(
        table[(table["method"] == "frod") | (table["seed"] == 100)], FACTORS, METHODS
    )
    assert lost["lora"].isna().all()
    assert lost["frod"].notna().all()
    ranked = search_areas(pd.concat([table, table.assign(family="nlu_rank")]), FACTORS, METHODS)
    assert ranked.xs("rank", level="head").equals(ranked.xs("classify", level="head"))
    assert ranked.xs("classify", level="head", drop_level=False).equals(
        search_areas(table, FACTORS, METHODS)
    )


def test_equal_rates_have_their_best_in_the_middle_and_a_run_without_a_score_is_the_lowest() -> (
    None
):
    table = search_table({"frod": 0.0, "lora": 1.0})
    assert search_areas(table, FACTORS, METHODS)["frod"].tolist() == pytest.approx([0.0] * 3)
    diverged = (table["method"] == "frod") & (table["rate_step"] == -12)
    table.loc[diverged, ["points", "status"]] = [0.0, "diverged"]
    found = search_areas(table, FACTORS, METHODS)["frod"]
    assert found.tolist() == pytest.approx([(78.0 - 80.5) / 5] * 3)  # lora's lowest, and not 0


@pytest.mark.parametrize(
    ("falls", "verdict"),
    [
        ({}, SUPPORTED),
        ({"frod": 20.0}, NOT_SUPPORTED),
    ],
)
def test_robustness_takes_the_areas_of_the_search(
    tmp_path: Path, plain: tuple[Path, list[Cell]], falls: dict[str, float], verdict: str
) -> None:
    table = search_table(dict.fromkeys(METHODS, 2.0) | falls)
    (tmp_path / "embedded" / "tables").mkdir(parents=True)
    table.to_csv(tmp_path / "embedded" / "tables" / "search.csv", index=False)
    heads = dict.fromkeys(TASKS, "classify")
    asked = tmp_path / "embedded", "embedded", FACTORS, METHODS, heads
    areas = searched_sensitivity(*asked)
    assert areas is not None
    mine = search_table({"mine": 9.0}).assign(seed=102).query("rate_step % 2 == 0")
    more = pd.concat([table, mine])  # another method, at other steps and another seed
    more.to_csv(tmp_path / "embedded" / "tables" / "search.csv", index=False)
    again = searched_sensitivity(*asked)
    assert again is not None
    pd.testing.assert_frame_equal(again.table, areas.table)
    assert areas.over == "search"
    got = claim(judged(*plain, sensitivity=areas), "robustness")
    assert got.verdict == verdict
    few = Sensitivity(areas.table.drop(index="rte", level="task"), "search")
    lost = claim(judged(*plain, sensitivity=few), "robustness")
    assert lost.verdict == UNDECIDED
    assert lost.holes == "search missing for RTE"
    none = claim(judged(*plain), "robustness")
    assert none.verdict == UNDECIDED
    assert "frod-bench tune" in none.holes


def test_a_spread_that_is_too_large_refutes_nothing_while_areas_are_missing(
    tmp_path: Path,
) -> None:
    def points(task: str, method: str, seed: int) -> float:
        width = 8 if method == "frod" else 0.2 + 0.01 * TASKS.index(task)
        return 80 + width * (seed * 2 % 5 - 2)

    got = claim(judged(tmp_path, sweep(tmp_path, points=points)), "robustness")
    assert got.parts[1].estimate.low > RULES.robustness.spread_margin_points
    assert got.verdict == UNDECIDED


def updates(ranks: Mapping[str, float], error: float) -> Updates:
    """Tables of both analyses on three tasks: `ranks` by method, and FRoD's error beside 50 %."""
    noise = {"eurosat": 0.98, "boolq": 1.0, "rte": 1.02}
    spectrum = [
        (task, method, seed, rank * factor)
        for task, factor in noise.items()
        for method, rank in ranks.items()
        for seed in (0, 1)
    ]
    errors = [
        (task, "full", seed, parametrisation, "rank 8", value * factor)
        for task, factor in noise.items()
        for seed in (0, 1)
        for parametrisation, value in (("on axis + sparse", error), ("low rank", 0.5))
    ]
    return Updates(
        pd.DataFrame(spectrum, columns=["task", "method", "seed", "effective_rank"]),
        pd.DataFrame(
            errors, columns=["task", "method", "seed", "parametrisation", "budget", "error"]
        ),
    )


@pytest.mark.parametrize(
    ("frod_rank", "error", "verdict"),
    [
        (60.0, 0.4, SUPPORTED),
        (60.0, 0.9, NOT_SUPPORTED),  # a high rank that expresses less
        (5.0, 0.4, NOT_SUPPORTED),
    ],
)
def test_expressiveness(
    plain: tuple[Path, list[Cell]], frod_rank: float, error: float, verdict: str
) -> None:
    found = updates({"frod": frod_rank, "lora": 6.0, "dora": 34.0, "full": 50.0}, error)
    got = claim(judged(*plain, updates=found), "expressiveness")
    assert got.verdict == verdict
    rank, _, least = got.parts
    assert rank.estimate.mean == pytest.approx(frod_rank / 6.0)
    assert least.estimate.mean == pytest.approx(100 * (error - 0.5), abs=0.1)


def test_without_the_analyses_expressiveness_is_undecided(
    tmp_path: Path, plain: tuple[Path, list[Cell]]
) -> None:
    got = claim(judged(*plain), "expressiveness")
    assert got.verdict == UNDECIDED
    assert "frod-bench analyze spectrum" in got.holes
    published = learned_updates(tmp_path, "embedded")
    assert published.is_published == (True, True)
    shown = claim(judged(*plain, updates=published), "expressiveness")
    assert shown.verdict == UNDECIDED
    assert shown.parts[0].estimate.n == 3
    assert "the published one is shown" in shown.holes
    found = updates({"frod": 60.0, "lora": 6.0, "dora": 34.0}, 0.4)
    assert found.spectrum is not None
    few = replace(found, spectrum=found.spectrum.query("task != 'rte' or method != 'frod'"))
    lost = claim(judged(*plain, updates=few), "expressiveness")
    assert lost.verdict == UNDECIDED
    assert lost.holes.startswith("2 of 18 runs are not in table update_spectrum")
    assert found.errors is not None
    unknown = found.spectrum["effective_rank"].where(found.spectrum["task"] != "rte")
    errors = found.errors["error"].where(found.errors["task"] != "rte")
    tables = found.spectrum.assign(effective_rank=unknown), found.errors.assign(error=errors)
    empty = claim(judged(*plain, updates=Updates(*tables)), "expressiveness")
    assert empty.verdict == UNDECIDED
    assert "6 of 18 runs are not in table update_spectrum" in empty.holes
    assert "4 of 12 runs are not in table expressible" in empty.holes
    assert learned_updates(tmp_path, "paper").spectrum is None


def test_a_report_judges_by_the_second_edition(tmp_path: Path) -> None:
    """Three seeds are no whole evidence, and the report says which are missing."""
    cells = [replace(c, protocol="fair") for c in sweep(tmp_path) if c.seed < 3]
    report = write_report(tmp_path, "embedded", cells, "synthetic", parts=["tables"], rules=RULES)
    assert report.judged is not None
    assert claim(report.judged, "accuracy").verdict == UNDECIDED
    text = (tmp_path / "embedded" / "tables" / "claims.md").read_text()
    assert "by the rules of conf/claims.yaml, fixed on 2026-11-28" in text
    assert "FRoD: all runs with seeds 3, 4 are not in this experiment" in text


def test_what_is_wrong_with_the_runs_at_a_constant_rate_is_told(tmp_path: Path) -> None:
    """A run at two settings, of which the newest is taken, and a file that is no record."""
    cells = [replace(c, protocol="fair") for c in sweep(tmp_path)]
    other = tmp_path / "constant_rate"
    sweep(other)
    made = make_record(TASKS[0], "frod", 0)
    made["config"]["method"]["sparse_rate"] = 0.3
    rehash(made)
    path = write_record(other, made, synthetic_curve())
    path.with_name("4-0123456789abcdef.json").write_text("{}")
    report = write_report(tmp_path, "embedded", cells, "synthetic", parts=["tables"], rules=RULES)
    told = [line for line in report.collected.warnings if line.startswith("At a constant learning")]
    assert any("2 records with different settings exist" in line for line in told)
    assert any("4-0123456789abcdef.json is not a usable record" in line for line in told)
    assert len(told) == 2  # and no caution about code or machines


def test_models_of_other_settings_are_left_out() -> None:
    """A table that was made at another share of entries, beside a main table at the usual one."""
    found = updates({"frod": 60.0, "lora": 6.0}, 0.4)
    assert found.spectrum is not None
    assert found.errors is not None
    frame = pd.DataFrame(
        [("rte", "frod", "a"), ("rte", "full", "b"), ("boolq", "frod", None)],
        columns=["task", "method", "training_hash"],
    )
    older = found.of_runs(frame)  # it does not say at which settings
    assert older.spectrum is found.spectrum
    tables = found.spectrum.assign(training_hash="a"), found.errors.assign(training_hash="a")
    kept = Updates(*tables).of_runs(frame)
    assert kept.spectrum is not None
    assert kept.errors is not None
    assert len(kept.spectrum) == len(found.spectrum)  # those of runs that are not there, too
    assert set(kept.errors["task"]) == {"eurosat", "boolq"}
    assert kept.has_others == (False, True)
    assert Updates(*tables, (True, True)).of_runs(frame).errors is tables[1]


def test_a_claim_says_that_models_of_other_settings_are_left_out(
    plain: tuple[Path, list[Cell]],
) -> None:
    found = updates({"frod": 60.0, "lora": 6.0, "dora": 34.0}, 0.4)
    assert found.spectrum is not None
    other = replace(found, spectrum=found.spectrum.assign(training_hash="of other settings"))
    got = claim(judged(*plain, updates=other), "expressiveness")
    assert got.verdict == UNDECIDED
    assert "models of other settings are left out: use the words of this report" in got.holes
