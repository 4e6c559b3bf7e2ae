"""Coverage, power and false alarms over simulated sweeps (docs/explanation/statistics.md)."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frod_bench.stats import mean_of_these_tasks, mean_over_tasks, simulate, simulated

SWEEPS, RESAMPLES = 200, 399


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_students_interval_covers(seeds: int, rng: np.random.Generator) -> None:
    assert simulated.seed_coverage(seeds, 1000, rng) == pytest.approx(0.95, abs=0.02)


def test_bootstrap_of_three_seeds_does_not_cover(rng: np.random.Generator) -> None:
    """This is the reason for Student's t."""
    bootstrap = partial(simulated.bootstrap, resamples=RESAMPLES)
    assert simulated.seed_coverage(3, SWEEPS, rng, bootstrap) < 0.85


@pytest.mark.parametrize("seed_sd", [simulated.SEED_SD, simulated.TASK_SD])
def test_nested_bootstrap_covers(seed_sd: float, rng: np.random.Generator) -> None:
    assert simulated.mean_coverage(SWEEPS, RESAMPLES, rng, seed_sd=seed_sd) >= 0.90


def rate(verdict: Any, difference: float, rng: np.random.Generator, *, these: bool) -> float:
    sweeps = (verdict, difference, SWEEPS, RESAMPLES, rng)
    return simulated.verdict_rate(*sweeps, these_tasks=these)


@pytest.mark.parametrize("unequal", [0.0, simulated.UNEQUAL])
def test_the_interval_of_these_tasks_covers(unequal: float, rng: np.random.Generator) -> None:
    covered = simulated.these_tasks_coverage(2000, rng, unequal=unequal)
    assert covered == pytest.approx(0.95, abs=0.015)


def test_pooled_freedom_covers_less_where_spreads_differ(rng: np.random.Generator) -> None:
    """This is the reason for Welch and Satterthwaite's degrees of freedom."""
    used, unused = (
        simulated.these_tasks_coverage(2000, np.random.default_rng(0), unequal=1.2, estimate=one)
        for one in (mean_of_these_tasks, simulated.pooled_freedom)
    )
    assert unused < used - 0.01


def test_a_bootstrap_of_five_seeds_covers_less(rng: np.random.Generator) -> None:
    """This is the reason for Student's t of these tasks."""
    estimate = partial(simulated.bootstrap_of_seeds, rng=rng)
    covered = simulated.these_tasks_coverage(2000, np.random.default_rng(0), estimate=estimate)
    assert 0.88 < covered < 0.935


def test_equivalence_is_found_within_the_margin_only(rng: np.random.Generator) -> None:
    assert rate("equivalent", 0.0, rng, these=True) > 0.75
    assert rate("equivalent", -simulated.MARGIN, rng, these=True) < 0.10
    assert rate("equivalent", -2.0, rng, these=True) == 0
    assert rate("equivalent", 0.0, rng, these=False) < 0.2  # tasks differ by too much


def test_inferiority_is_found_beyond_the_margin_only(rng: np.random.Generator) -> None:
    assert rate("worse", -2.0, rng, these=True) > 0.75
    assert rate("worse", -simulated.MARGIN, rng, these=True) < 0.10
    assert rate("worse", -simulated.MARGIN, rng, these=False) < 0.10


def test_the_budget_on_real_data_decides_two_points_and_not_one(rng: np.random.Generator) -> None:
    assert simulated.real_rate("equivalent", 0.0, SWEEPS, rng) > 0.75
    assert simulated.real_rate("equivalent", 0.0, SWEEPS, rng, simulated.MARGIN) < 0.3
    assert simulated.real_rate("equivalent", -simulated.REAL_MARGIN, SWEEPS, rng) < 0.10
    assert simulated.real_rate("worse", -4.0, SWEEPS, rng) > 0.8


@pytest.mark.parametrize("miss_share", [0.0, 0.1])
def test_a_speedup_is_found_if_there_is_one(miss_share: float, rng: np.random.Generator) -> None:
    assert simulated.faster_rate(2.0, miss_share, SWEEPS, RESAMPLES, rng) > 0.9
    assert simulated.faster_rate(1.0, miss_share, SWEEPS, RESAMPLES, rng) < 0.06


def test_many_misses_and_coarse_times_raise_no_false_alarm(rng: np.random.Generator) -> None:
    assert simulated.faster_in_steps_rate(1.0, SWEEPS, RESAMPLES, rng) < 0.06
    assert simulated.faster_in_steps_rate(2.0, SWEEPS, RESAMPLES, rng) > 0.75


def test_all_parts_of_the_claim_are_found_more_seldom_than_one(rng: np.random.Generator) -> None:
    one = simulated.faster_in_steps_rate(1.4, SWEEPS, RESAMPLES, rng)
    all_four = simulated.faster_in_steps_rate(1.4, SWEEPS, RESAMPLES, rng, arms=2, others=2)
    assert all_four < one - 0.1
    assert simulated.faster_in_steps_rate(2.0, SWEEPS, RESAMPLES, rng, arms=2, others=2) > 0.6


def test_a_larger_spread_is_found_if_there_is_one(rng: np.random.Generator) -> None:
    steady, unsteady = simulated.steady_rate(simulated.SEED_SD, SWEEPS, RESAMPLES, rng)
    assert steady > 0.5
    assert unsteady == 0
    steady, unsteady = simulated.steady_rate(3 * simulated.SEED_SD, SWEEPS, RESAMPLES, rng)
    assert steady == 0
    assert unsteady > 0.9


def test_the_budget_on_real_data_has_little_power_for_robustness() -> None:
    """Equal methods are seldom found equal, and seldom told apart; a harsh one is found."""
    rng = np.random.default_rng
    steady, unsteady = simulated.steady_among_rate(SWEEPS, RESAMPLES, rng(0))
    assert steady < 0.5
    assert unsteady < 0.1
    forgiving, harsh = simulated.forgiving_rate(1.5, 0.0, SWEEPS, RESAMPLES, rng(0))
    assert forgiving < 0.3
    assert harsh < 0.1
    sure, _ = simulated.forgiving_rate(0.3, 0.0, SWEEPS, RESAMPLES, rng(0))
    assert sure > 0.8
    _, found = simulated.forgiving_rate(1.0, 4.0, SWEEPS, RESAMPLES, rng(0))
    assert found > 0.5


def test_the_table_is_written_between_its_markers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{simulate.BEGIN}\nold\n{simulate.END}\nafter\n")
    monkeypatch.setattr(simulate, "FULL", (5, 5, 19))
    monkeypatch.setattr("sys.argv", ["simulate", str(page)])
    simulate.main()
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert text.count("\n| found equivalent") == 19


def test_help_answers_without_simulating(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["simulate", "--help"])
    monkeypatch.setattr(simulate, "findings", None)
    with pytest.raises(SystemExit) as exit_info:
        simulate.main()
    assert exit_info.value.code == 0
    assert "docs/explanation/statistics.md" in capsys.readouterr().out


@pytest.mark.parametrize(("tasks", "most"), [(2, 0.65), (5, 0.91)])
def test_few_tasks_are_covered_by_students_interval_and_not_by_a_bootstrap(
    tasks: int, most: float
) -> None:
    used, unused = (
        simulated.mean_coverage(300, 999, np.random.default_rng(0), estimate, tasks=tasks)
        for estimate in (mean_over_tasks, simulated.bootstrap)
    )
    assert 0.91 < used < 0.985
    assert 0.3 < unused < most
