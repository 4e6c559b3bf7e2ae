"""Statistics: agreement with SciPy, properties, coverage by simulation, and honest edge cases."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from frod_bench import stats
from frod_bench.stats import estimates

VALUES = st.floats(-100, 100, allow_nan=False, width=32)
SEEDS = st.lists(VALUES, min_size=2, max_size=8)
TABLES = arrays(np.float64, st.tuples(st.integers(2, 14), st.integers(1, 4)), elements=VALUES)
FEW = 199  # resamples, where the number does not matter


def close(a: float, b: float) -> bool:
    return bool(np.isclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True))


@given(SEEDS)
def test_mean_interval_is_scipys(values: list[float]) -> None:
    got = stats.mean_interval(values)
    assume((error := scipy_stats.sem(values)) > 0)  # SciPy gives NaN where all values are equal
    low, high = scipy_stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
    assert close(got.mean, float(np.mean(values)))
    assert close(got.low, low)
    assert close(got.high, high)
    assert got.n == len(values)


@given(SEEDS, VALUES)
def test_mean_interval_moves_with_the_values(values: list[float], shift: float) -> None:
    base, moved = stats.mean_interval(values), stats.mean_interval([v + shift for v in values])
    assert np.allclose(np.subtract(moved[:3], base[:3]), shift, atol=1e-6)


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.7], 1), ([0.7, np.nan], 1)])
def test_interval_is_not_available_below_two_values(values: list[float], n: int) -> None:
    got = stats.mean_interval(values)
    assert np.isnan(got.low)
    assert np.isnan(got.high)
    assert got.n == n
    assert close(got.mean, 0.7 if n else np.nan)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.9], [0.9, np.nan, 0.7]])
def test_seed_range_is_the_mean_with_the_lowest_and_the_highest_value(values: list[float]) -> None:
    known = [value for value in values if not np.isnan(value)]
    got = stats.seed_range(values)
    assert got == (pytest.approx(np.mean(known)), min(known), max(known), len(known))


def test_seed_range_of_no_values_is_nan() -> None:
    assert np.isnan(stats.seed_range([np.nan])[:3]).all()


def test_students_interval_of_three_seeds_covers_95_percent() -> None:
    rng = np.random.default_rng(0)
    inside = [
        low <= 0 <= high for _, low, high, _ in map(stats.mean_interval, rng.normal(size=(2000, 3)))
    ]
    assert abs(np.mean(inside) - 0.95) < 0.02


@given(TABLES)
@example(np.arange(2.0 * (stats.FEW_TASKS - 1)).reshape(-1, 2))
@example(np.arange(2.0 * stats.FEW_TASKS).reshape(-1, 2))
def test_mean_over_tasks_brackets_its_mean(table: np.ndarray) -> None:
    got = stats.mean_over_tasks(table, resamples=FEW)
    assert close(got.mean, float(table.mean(axis=1).mean()))
    assert got.low <= got.mean + 1e-9
    assert got.mean <= got.high + 1e-9
    if len(table) < stats.FEW_TASKS:
        assert got == stats.mean_interval(table.mean(axis=1))
    else:
        assert table.min() - 1e-9 <= got.low <= got.high <= table.max() + 1e-9


@given(TABLES)
def test_mean_over_tasks_ignores_the_position_of_a_missing_value(table: np.ndarray) -> None:
    """Adding a column of missing values changes nothing but the draws."""
    holed = np.hstack([np.full((len(table), 1), np.nan), table])
    got, base = stats.mean_over_tasks(holed, resamples=FEW), stats.mean_over_tasks(table)
    assert close(got.mean, base.mean)
    assert got.n == base.n == len(table)


def test_mean_over_tasks_leaves_out_tasks_without_values_and_counts() -> None:
    got = stats.mean_over_tasks([[1.0, 3.0], [np.nan, np.nan], [4.0, np.nan]])
    assert (got.mean, got.n) == (3.0, 2)
    assert np.isnan(stats.mean_over_tasks([[1.0, 2.0]]).low)
    assert stats.mean_over_tasks([[np.nan]]).n == 0


def test_bootstrap_covers_the_mean_over_tasks() -> None:
    """20 tasks x 3 seeds, both random: the interval covers the mean about as often as it says."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        table = rng.normal(0, 5, (20, 1)) + rng.normal(0, 2, (20, 3))
        estimate = stats.mean_over_tasks(table, resamples=499)
        covered.append(estimate.low <= 0 <= estimate.high)
    assert 0.90 <= np.mean(covered) <= 0.98


def test_bootstrap_without_seed_spread_is_scipys_over_tasks() -> None:
    tasks = np.random.default_rng(2).normal(70, 10, 15)
    got = stats.mean_over_tasks(np.repeat(tasks[:, None], 3, axis=1))
    theirs = scipy_stats.bootstrap((tasks,), np.mean, method="percentile", rng=0)
    assert got.low == pytest.approx(theirs.confidence_interval.low, abs=0.3)
    assert got.high == pytest.approx(theirs.confidence_interval.high, abs=0.3)


def test_bootstrap_draws_what_scipys_does_to_the_last_bit() -> None:
    """Tasks by SciPy, and seeds within them one after the other."""
    tasks, seeds = 12, 5
    table = np.random.default_rng(3).normal(70, 10, (tasks, seeds))
    table[[0, 3], -2:] = np.nan
    counts, within = (~np.isnan(table)).sum(axis=1), np.random.default_rng([0, 1])

    def of_drawn(task: np.ndarray, axis: int) -> np.ndarray:
        seed = np.floor(within.random((*task.shape, seeds)) * counts[task][..., None]).astype(int)
        seed = np.where(np.arange(seeds) < counts[task][..., None], seed, np.arange(seeds))
        return estimates.mean_of_means(table.ravel().take(task[..., None] * seeds + seed))

    theirs = scipy_stats.bootstrap(
        (np.arange(tasks),), of_drawn, batch=estimates.BATCH, method="percentile", rng=0,
        vectorized=True, axis=-1,
    ).bootstrap_distribution  # fmt: skip
    got = stats.mean_over_tasks(table)
    tail = (1 - stats.CONFIDENCE) / 2
    assert [got.low, got.high] == np.quantile(theirs, [tail, 1 - tail]).tolist()


def test_draws_of_a_shape_are_made_once_and_are_the_same_if_none_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = np.random.default_rng(4).normal(70, 10, (2, 13, 7))
    estimates._kept_draws.cache_clear()

    def found() -> list[stats.Estimate]:
        return [
            *map(stats.mean_over_tasks, (ours, theirs)),
            stats.interquartile_mean(ours - theirs),
            stats.probability_of_improvement(ours, theirs),
            stats.speedup_over_tasks(ours, theirs),
        ]

    kept = found()
    assert estimates._kept_draws.cache_info().misses == 1
    monkeypatch.setattr(estimates, "MOST_KEPT_BYTES", 0)
    assert found() == kept
    assert estimates._kept_draws.cache_info().hits == len(kept) - 1


@given(st.lists(VALUES, min_size=1, max_size=20), st.integers(1, 25))
def test_smooth_is_the_trailing_mean(values: list[float], window: int) -> None:
    expected = [np.mean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]
    assert np.allclose(stats.smooth(values, window), expected)


def test_smooth_runs_along_the_last_axis_and_needs_a_window() -> None:
    assert stats.smooth([[0, 2, 4], [1, 1, 1]], 2).tolist() == [[0, 1, 3], [1, 1, 1]]
    assert stats.smooth([], 3).size == 0
    with pytest.raises(ValueError, match="window is 0"):
        stats.smooth([1.0], 0)


def test_smooth_keeps_a_bad_point_within_its_window() -> None:
    assert np.isnan(stats.smooth([1, np.nan, 1, 1, 1], 2)).tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]


@given(st.lists(VALUES, min_size=1, max_size=20), VALUES, st.booleans())
def test_time_to_target_is_the_first_arrival(values: list[float], target: float, up: bool) -> None:
    steps = np.arange(1, len(values) + 1)
    got = stats.time_to_target(steps, values, target, higher_is_better=up)
    arrived = [
        s for s, v in zip(steps, values, strict=True) if (v >= target if up else v <= target)
    ]
    assert got == (arrived[0] if arrived else np.inf)


def test_target_is_between_the_ends_of_the_reference() -> None:
    curves = [[0.4, 0.7, 0.9], [0.6, 0.7, 0.7]]
    assert stats.target_from_reference(curves, 0.9, window=1) == pytest.approx(0.5 + 0.9 * 0.3)
    loss = [[1.0, 0.5, 0.2]]
    assert stats.target_from_reference(loss, 0.9, 1, higher_is_better=False) == pytest.approx(0.28)


@pytest.mark.parametrize("curve", [[0.5, 0.5], [0.6, 0.5], [0.5], []])
def test_reference_that_gains_nothing_sets_no_target(curve: list[float]) -> None:
    target = stats.target_from_reference([curve], 0.9, 1)
    assert np.isnan(target)
    assert np.isnan(stats.time_to_target([1, 2], [0.9, 0.9], target))


def test_speedup_orders_misses() -> None:
    assert stats.speedup(10, 36) == 3.6
    assert stats.speedup(10, np.inf) == np.inf
    assert stats.speedup(np.inf, 10) == 0.0
    assert stats.speedup(0, 0) == 1.0
    assert stats.speedup(0, 5) == np.inf
    assert np.isnan(stats.speedup(np.inf, np.inf))
    assert np.isnan(stats.speedup(np.nan, 10))


def test_median_over_seeds_counts_misses() -> None:
    assert stats.median_over_seeds([10, np.inf, 20]) == 20
    assert stats.median_over_seeds([10, np.inf, np.inf]) == np.inf
    assert stats.median_over_seeds([10, np.inf]) == np.inf
    assert np.isnan(stats.median_over_seeds([np.nan]))


def test_resample_onto_is_nan_before_the_start_and_constant_after_the_end() -> None:
    got = stats.resample_onto([0, 1, 1.5, 2, 9], [1, 2], [10, 20])
    assert np.allclose(got, [np.nan, 10, 15, 20, 20], equal_nan=True)
    assert np.isnan(stats.resample_onto([1, 2], [], [])).all()


def test_spread_interval_is_the_chi_squared_one() -> None:
    """Its ends are 0.688 and 1.826 times the standard deviation of ten values, as tabulated."""
    values = np.arange(10.0)
    spread = values.std(ddof=1)
    got = stats.spread_interval([*values, np.nan])
    assert (got.mean, got.n) == (pytest.approx(spread), 10)
    assert (got.low, got.high) == pytest.approx((0.6878 * spread, 1.8256 * spread), rel=1e-3)
    assert np.isnan(stats.spread_interval([1.0])[:3]).all()


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_reference_that_gains_nothing_has_no_target(higher_is_better: bool) -> None:
    assert np.isnan(stats.target_from_reference([[0.5, 0.5]], 0.9, 1, higher_is_better))
