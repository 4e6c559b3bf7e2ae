"""Time to target: right on curves whose answer is known, and misses stay visible."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.records.lines import NO_LINES, lines_of
from frod_bench.report.asked import Cell
from frod_bench.report.collect import Collected, collect
from frod_bench.report.convergence import arrivals, convergence_table, time_summary
from frod_bench.report.curves import (
    Curve,
    band_over_seeds,
    band_over_tasks,
    evaluated_curves,
    evaluations,
    smoothed_curves,
)
from frod_bench.report.keys import Method, Run, Task
from frod_bench.report.rules import load_rules, rules_of_edition
from tests.report.factory import make_record, write_record

RULE = replace(rules_of_edition("1").convergence, window_evaluations=1, target_fraction=0.5)
LOSS_FREE = {"full": [0.5, 0.7, 0.9, 0.9], "frod": [0.5, 0.6, 0.7, 0.9], "lora": [0.5] * 4}


def collected(root: Path, methods: dict[str, list[float]], **changes: str) -> Collected:
    """One task, one seed; an evaluation each 10 steps and second; set-up takes 0.5 s."""
    for method, values in methods.items():
        curve = [
            {"step": 10 * i, "epoch": i, "seconds": float(i), "train_loss": 1.0, "accuracy": value}
            | {"eval_loss": round(1 - value, 9)}
            for i, value in enumerate(values, start=1)
        ]
        write_record(root, make_record("rte", method, 0, status=changes.get(method, "ok")), curve)
    return collect(root, "embedded", [Cell("rte", method, 0) for method in methods])


def arrived_of(got: Collected) -> pd.DataFrame:
    return arrivals(got.frame, evaluated_curves(got.frame, got.curves), RULE)


def test_arrivals_of_known_curves(tmp_path: Path) -> None:
    """Target 0.5 + 0.5 (0.9 - 0.5) = 0.7: full at step 20, frod at 30, lora never."""
    got = collected(tmp_path, LOSS_FREE)
    arrived = arrived_of(got).set_index("method")
    assert arrived["target"].tolist() == pytest.approx([0.7] * 3)
    assert arrived["steps"].tolist() == [20, 30, np.inf]
    assert arrived["seconds"].tolist() == [2.5, 3.5, np.inf]


def test_what_is_not_known_is_not_a_miss(tmp_path: Path) -> None:
    got = collected(tmp_path, LOSS_FREE, frod="failed", lora="diverged")
    arrived = arrived_of(got).set_index("method")
    assert np.isnan(arrived.loc["frod", "steps"])
    assert np.isinf(arrived.loc["lora", "steps"])


@pytest.mark.parametrize("method", ["full", "frod"])
def test_a_run_without_a_score_at_its_end_has_its_loss(tmp_path: Path, method: str) -> None:
    """A loss can be at its target where the metric of constant predictions is not defined; a score
    that was reached before is no longer there.
    """
    got = collected(tmp_path, LOSS_FREE)
    got.frame.loc[got.frame["method"] == method, "status"] = "undefined"
    rule = replace(load_rules().convergence, window_evaluations=1, target_fraction=0.5)
    measured = evaluated_curves(got.frame, got.curves, rule.column)
    arrived = arrivals(got.frame, measured, rule).set_index("method")
    assert arrived["steps"].tolist() == [20, 30, np.inf]
    assert Run(Task("rte"), Method(method), 0) not in evaluated_curves(got.frame, got.curves)


def test_no_reference_no_target(tmp_path: Path) -> None:
    flat = LOSS_FREE | {"full": [0.5] * 4}
    for name, methods in (("flat", flat), ("none", {"frod": [0.5, 0.9]})):
        got = collected(tmp_path / name, methods)
        assert arrived_of(got)[["target", "steps"]].isna().all(axis=None)


def test_speedups_and_their_table(tmp_path: Path) -> None:
    got = collected(tmp_path, LOSS_FREE)
    times = time_summary(arrived_of(got), RULE)
    ratio = times[times["axis"] == "steps"].set_index("method")["speedup"]
    assert ratio.tolist() == pytest.approx([20 / 30, 1, np.inf])
    table = convergence_table(times, RULE, "embedded")
    rows = {row.label: row.cells for row in table.rows[:3]}
    assert rows["RTE (70.0)"] == ("20", "30", "∞")
    assert rows["time over FRoD's"] == ("0.67 ×", "1", "∞")
    profile = {row.label: row.cells for row in table.rows[3:6]}
    assert profile["fastest"] == ("100 %", "0 %", "0 %")
    assert profile["within 2 × the fastest"] == ("100 %", "100 %", "0 %")


def test_speedups_are_of_the_seeds_that_both_know(tmp_path: Path) -> None:
    """As the claim takes them: seed 0 of frod failed, so seed 0 of full does not count either."""
    arrived = arrived_of(collected(tmp_path, LOSS_FREE))
    seeds = [arrived.assign(seed=seed, steps=arrived["steps"] * 2**seed) for seed in range(3)]
    seeds[0].loc[seeds[0]["method"] == "frod", "steps"] = np.nan
    seeds[2].loc[seeds[2]["method"] == "full", "steps"] = np.nan
    times = time_summary(pd.concat(seeds), RULE)
    steps = times[times["axis"] == "steps"].set_index("method")
    assert steps["median"].tolist() == [40, 120, np.inf]
    assert steps["speedup"].tolist() == pytest.approx([40 / 60, 1, np.inf])


def test_a_moot_target_is_a_dash_with_a_note(tmp_path: Path) -> None:
    times = time_summary(arrived_of(collected(tmp_path, LOSS_FREE)), RULE)
    table = convergence_table(times, RULE, "embedded", constant=[Task("rte")])
    rows = {row.label: row.cells for row in table.rows[:3]}
    assert rows["RTE (–)"] == ("–", "–", "–")
    assert rows["time over FRoD's"] == ("0.67 ×", "1", "∞")
    (note,) = table.notes
    assert note.startswith("RTE has no target: full fine-tuning predicts a single class.")
    assert not convergence_table(times, RULE, "embedded").notes


def test_two_misses_are_undecided(tmp_path: Path) -> None:
    got = collected(tmp_path, LOSS_FREE | {"frod": [0.5] * 4})
    times = time_summary(arrived_of(got), RULE)
    ratio = times[times["axis"] == "steps"].set_index("method")["speedup"]
    assert ratio["full"] == 0
    assert np.isnan(ratio["lora"])
    assert convergence_table(times, RULE, "").rows[2].cells == ("0.00 ×", "1", "undecided")


def test_evaluations_leave_out_lines_without_a_finite_metric() -> None:
    lines = [
        {"step": 1, "seconds": 0.1, "train_loss": 1.0},
        {"step": 2, "seconds": 0.2, "accuracy": 0.5},
        {"step": 3, "seconds": 0.3, "accuracy": None},
        {"step": 4, "seconds": 0.4, "accuracy": float("nan")},
    ]
    curve = evaluations(lines_of(lines), "accuracy", setup_sec=1.0)
    assert (curve.steps.tolist(), curve.seconds.tolist()) == ([2], [1.2])
    assert evaluations(NO_LINES, "accuracy", 0.0).values.size == 0


CURVES = st.lists(
    st.lists(st.floats(0, 1), min_size=4, max_size=4).map(
        lambda v: Curve(np.arange(1.0, 5), np.arange(2.0, 6), np.array(v))
    ),
    min_size=1,
    max_size=4,
)


@given(CURVES)
def test_band_holds_its_median_and_every_seed(curves: list[Curve]) -> None:
    band = band_over_seeds(curves, "steps")
    assert band.seeds == len(curves)
    assert (band.low <= band.median).all()
    assert (band.median <= band.high).all()
    ends = [curve.values[-1] for curve in curves]
    assert (band.low[-1], band.high[-1]) == pytest.approx((min(ends), max(ends)))


def test_band_begins_when_all_have_begun_and_holds_what_has_ended() -> None:
    early = Curve(np.array([1.0, 2]), np.array([1.0, 2]), np.array([0.1, 0.3]))
    late = Curve(np.array([1.0, 2]), np.array([3.0, 5]), np.array([0.5, 0.7]))
    band = band_over_seeds([early, late], "seconds")
    assert band.grid[0] == pytest.approx(3.0, abs=0.05)
    assert band.low[-1] == pytest.approx(0.3)
    mean = band_over_tasks([[early, late]], "seconds")
    assert mean.median[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("window", [1, 3, 9, 20])
def test_curves_smoothed_together_are_those_smoothed_alone(window: int) -> None:
    """To the last bit, whatever their lengths."""
    random = np.random.default_rng(0)
    lengths = [15, 1, 15, 40, 2, 40, 15]
    curves = {
        Run(Task("rte"), Method("frod"), seed): Curve(
            np.arange(n), np.arange(n), random.standard_normal(n)
        )
        for seed, n in enumerate(lengths)
    }
    together = smoothed_curves(curves, window)
    assert together.keys() == curves.keys()
    for run, curve in curves.items():
        alone = curve.smoothed(window)
        assert together[run].values.tobytes() == alone.values.tobytes()
        assert together[run].steps is curve.steps
