"""Comparisons of methods: agreement with SciPy, with worked examples, and properties."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from frod_bench import stats
from frod_bench.stats.estimates import (
    FEWEST_TASKS,
    estimate_over_tasks,
    mean_of_means,
    stack_tables,
)

FEW = 199  # resamples, where the number does not matter
VALUES = st.floats(-100, 100, allow_nan=False, width=16)
SHAPES = st.tuples(st.integers(2, 5), st.integers(1, 4))
PAIRS = SHAPES.flatmap(
    lambda shape: st.tuples(*(arrays(np.float64, shape, elements=VALUES) for _ in "ab"))
)
TIMES = st.one_of(st.integers(1, 50).map(float), st.just(np.inf))
HITS = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40)


def test_paired_tables_share_their_missing_values_and_their_shape() -> None:
    stack = stack_tables([[[1, np.nan, 3], [np.nan, 5, 6]], [[7, 8, 9], [1, np.nan, np.nan]]])
    assert stack[:, 0].tolist()[0][:2] == [1, 3]
    assert stack[:, 0].tolist()[1][:2] == [7, 9]
    assert np.isnan(stack[:, :, 2:]).all()
    assert stack.shape == (2, 1, 3)  # the second task has no whole pair
    with pytest.raises(ValueError, match="one shape"):
        stack_tables([[[1, 2]], [[1]]])


def test_a_task_decides_whose_removal_moves_0_into_the_interval_or_out_of_it() -> None:
    spread = np.array([-0.5, 0.0, 0.5])
    one_task = np.array([[0.1], [-0.1], [9.0]]) + spread
    assert stats.decisive_tasks(one_task).tolist() == [False, False, True]
    cancel = np.array([[3.0], [-3.0], [0.0]]) + spread
    assert stats.decisive_tasks(cancel).tolist() == [True, True, False]
    assert stats.decisive_tasks(np.full((3, 1), 4.0) + spread).tolist() == [False] * 3


def test_missing_runs_count_as_in_the_mean_of_these_tasks() -> None:
    spread = np.array([-0.5, 0.0, 0.5])
    table = np.array([[0.1], [-0.1], [9.0], [5.0]]) + spread
    table[3], table[0, 0] = np.nan, np.nan
    assert stats.decisive_tasks(table).tolist() == [False, False, True, False]


def test_without_an_interval_no_task_decides_and_a_task_that_makes_it_does() -> None:
    assert stats.decisive_tasks([[1.0, 1.0], [2.0, 2.0]]) is None
    assert stats.decisive_tasks([[1.0], [2.0]]) is None
    assert stats.decisive_tasks(np.empty((0, 3))) is None
    # Alone, and the only one that spreads: without it there is no interval.
    assert stats.decisive_tasks([[1.0, 1.01]]).tolist() == [True]
    assert stats.decisive_tasks([[1.0, 1.01], [2.0, 2.0]]).tolist() == [True, False]


@given(arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(2, 4)), elements=VALUES))
@settings(max_examples=50)
def test_which_tasks_decide_does_not_depend_on_the_sign_or_the_order(table: np.ndarray) -> None:
    found = stats.decisive_tasks(table)
    if found is None:
        assert stats.decisive_tasks(-table) is None
        return
    assert stats.decisive_tasks(-table).tolist() == found.tolist()
    assert stats.decisive_tasks(table[::-1, ::-1]).tolist() == found[::-1].tolist()


@settings(max_examples=30)
@given(PAIRS)
def test_bootstrap_draws_a_pair_together(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """A method against itself plus a constant: the difference has no spread."""
    table, _ = pair
    got = stats.paired_difference(table + 2.0, table, resamples=FEW)
    assert (got.mean, got.low, got.high) == pytest.approx((2.0, 2.0, 2.0))


def test_seeds_are_redrawn_within_their_tasks() -> None:
    got = estimate_over_tasks([np.tile([0.0, 10.0], (12, 1))], mean_of_means, resamples=FEW)
    assert got.low < got.mean == 5 < got.high
    single = stats.difference_over_tasks(np.full(12, 5.0), np.zeros(12), resamples=FEW)
    assert (single.low, single.high) == (5, 5)  # one number per task: only tasks are redrawn


def test_a_task_keeps_its_number_of_seeds_when_these_are_redrawn() -> None:
    table = np.array([[1, 2, np.nan, np.nan]] * 3)

    def count(table: np.ndarray) -> np.ndarray:
        return (~np.isnan(table)).sum(axis=(-2, -1)).astype(float)

    assert estimate_over_tasks([table], count, resamples=FEW) == (3 * 2, 3 * 2, 3 * 2, 3)


@settings(max_examples=30)
@given(PAIRS)
def test_paired_difference_changes_sign_with_the_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    got, back = stats.paired_difference(a, b, resamples=FEW), stats.paired_difference(b, a)
    assert got.mean == pytest.approx(-back.mean, abs=1e-9)
    assert got.low - 1e-9 <= got.mean <= got.high + 1e-9


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.0, (True, False, False)), (-3.0, (False, False, True)), (3.0, (False, True, False))],
)
def test_equivalence_of_planted_differences(shift: float, verdict: tuple[bool, bool, bool]) -> None:
    rng = np.random.default_rng(0)
    theirs = rng.normal(70, 10, (20, 3))
    ours = theirs + shift + rng.normal(0, 0.5, (20, 3))
    assert stats.equivalence(ours, theirs, margin=1.0, resamples=FEW)[1:] == verdict


def test_equivalence_needs_an_interval_and_a_margin() -> None:
    assert stats.equivalence([[1.0, 1.0]], [[1.0, 1.0]], 1.0)[1:] == (False, False, False)
    with pytest.raises(ValueError, match="margin is 0"):
        stats.equivalence([[1.0]], [[1.0]], 0)


def test_resolution_of_an_example_worked_by_hand() -> None:
    """Ten tasks with a spread of 2 points over three seeds: 20 degrees of freedom, and a standard
    error of 2 / sqrt(30). By a t table t(0.95) = 1.7247, t(0.8) = 0.8600 and t(0.9) = 1.3253; by
    one of chi-squared the limits of a spread are sqrt(20 / 34.170) and sqrt(20 / 9.5908) times it.
    """
    ours = np.tile([68.0, 70.0, 72.0], (10, 1))
    found = stats.resolution(ours, np.full_like(ours, 50.0), 0.05, 0.8)
    error = 2 / math.sqrt(30)
    for estimate, quantiles in ((found.difference, 2.5847), (found.margin, 3.0500)):
        ends = (1, math.sqrt(20 / 34.170), math.sqrt(20 / 9.5908))
        expected = [quantiles * error * end for end in ends]
        assert estimate[:3] == pytest.approx(expected, abs=1e-4)
        assert estimate.n == 10


def test_what_resolution_promises_is_found_as_often() -> None:
    """At the difference and at the margin that it names, for a spread that is known."""
    rng = np.random.default_rng(0)
    spreads = np.geomspace(0.5, 4, 10)[:, None]  # unequal from task to task
    finds = stats.resolution(spreads * [-1.0, 0.0, 1.0], np.zeros((10, 3)), 0.05, 0.8)
    difference, margin = finds.difference.mean, finds.margin.mean
    worse = equal = 0
    for _ in range(sweeps := 2000):
        noise = spreads * rng.normal(size=(10, 3))
        worse += stats.mean_of_these_tasks(noise - difference, 0.9).high < 0
        equal += stats.equivalence(noise, 0 * noise, margin, these_tasks=True).equivalent
    # What the docstring says, give or take three standard errors: by other shapes than this one,
    # 0.778 to 0.791, and 0.764 to 0.783.
    assert worse / sweeps == pytest.approx(0.78, abs=0.03)
    assert equal / sweeps == pytest.approx(0.77, abs=0.03)


@pytest.mark.parametrize("ours", [[[1.0], [2.0]], [[1.0, 1.0]], [[np.nan, np.nan]]])
def test_resolution_needs_a_spread_over_seeds(ours: list[list[float]]) -> None:
    for estimate in stats.resolution(ours, np.zeros_like(ours), 0.05, 0.8):
        assert np.isnan(estimate[:3]).all()


def test_tost_of_an_example_worked_by_hand() -> None:
    """Mean 0.25, standard error 0.25: t = 5 and -3 on 3 degrees; P(T < -3) = 0.02883 (t table)."""
    values = 0.25 + np.array([-1, -1, 1, 1]) * np.sqrt(3 / 16)
    assert stats.tost(values, margin=1.0) == pytest.approx(0.02883, abs=5e-6)
    assert np.isnan(stats.tost([0.1], 1.0))
    assert np.isnan(stats.tost([0.1, 0.1], 1.0))  # no spread is no certainty
    one_row = 100 * (np.array([301, 305, 310, 317, 333]) / 389) - 100 * (
        np.array([300, 304, 309, 316, 332]) / 389
    )
    assert one_row.std() > 0  # by rounding alone
    assert np.isnan(stats.tost(one_row, 1.0))


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=9), st.floats(0.1, 5))
def test_tost_rejects_where_students_90_percent_interval_is_within(
    values: list[float], margin: float
) -> None:
    got = stats.mean_interval(values, 0.90)
    assume(min(abs(got.low + margin), abs(got.high - margin)) >= 1e-6)
    assume(np.std(values) >= 1e-6)
    assert (stats.tost(values, margin) < 0.05) == (-margin < got.low and got.high < margin)


def test_mcnemar_of_a_published_example() -> None:
    """Approval ratings of Agresti (1990, p. 350), as in R's `mcnemar.test`: 150 and 86 differ.

    The exact p-value by whole numbers: twice the binomial tail of 86 of 236 tosses of a coin.
    """
    ours = np.repeat([True, True, False, False], [794, 150, 86, 570])
    theirs = np.repeat([True, False, True, False], [794, 150, 86, 570])
    got = stats.mcnemar(ours, theirs)
    assert (got.only_ours, got.only_theirs) == (150, 86)
    tail = sum(math.comb(236, k) for k in range(87))
    assert got.p_value == pytest.approx(2 * tail / 2**236, rel=1e-9)


@given(HITS)
def test_mcnemar_is_symmetric_and_ignores_agreement(hits: list[tuple[bool, bool]]) -> None:
    ours, theirs = [a for a, _ in hits], [b for _, b in hits]
    got, back = stats.mcnemar(ours, theirs), stats.mcnemar(theirs, ours)
    assert (got.only_ours, got.only_theirs) == (back.only_theirs, back.only_ours)
    assert got.p_value == pytest.approx(back.p_value)
    assert stats.mcnemar([*ours, True, False], [*theirs, True, False]).p_value == got.p_value
    assert stats.mcnemar(ours, ours).p_value == 1.0


def test_mcnemar_has_the_p_value_of_scipys_binomial_test_to_the_last_bit() -> None:
    few = [(heads, tosses) for tosses in range(1, 20) for heads in range(tosses + 1)]
    for heads, tosses in [*few, (150, 236), (86, 236), (1000, 2100), (1249, 2500), (0, 5000)]:
        ours = np.arange(tosses) < heads
        expected = scipy_stats.binomtest(heads, tosses).pvalue
        assert stats.mcnemar(ours, ~ours).p_value == expected, (heads, tosses)


def test_mcnemar_refuses_other_examples() -> None:
    with pytest.raises(ValueError, match="the same examples"):
        stats.mcnemar([True], [True, False])


def test_holm_of_an_example_worked_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06 again, and 0.04 x 1 is not below its predecessor."""
    got = stats.holm([0.04, 0.01, np.nan, 0.03, 0.02])
    assert got[[1, 4, 3, 0]] == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert np.isnan(got[2])
    assert stats.holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert stats.holm([]).size == 0


def test_merged_p_values_keep_their_level_for_dependent_and_independent_seeds() -> None:
    rng = np.random.default_rng(0)
    alone = rng.random((4000, 3))
    together = np.repeat(rng.random((4000, 1)), 3, axis=1)
    for drawn in (alone, together):
        assert np.mean([stats.merge_p_values(p) < 0.05 for p in drawn]) < 0.05
    assert stats.merge_p_values([0.01, 0.02, 0.9]) == 0.04
    assert stats.merge_p_values([0.03]) == 0.03
    assert stats.merge_p_values([0.9, 0.8]) == 1.0
    assert np.isnan(stats.merge_p_values([]))


@given(arrays(np.float64, SHAPES, elements=VALUES))
@example(np.arange(4.0).reshape(FEWEST_TASKS - 1, 2))
@example(np.arange(6.0).reshape(FEWEST_TASKS, 2))
def test_interquartile_mean_is_scipys_trimmed_mean(table: np.ndarray) -> None:
    got = stats.interquartile_mean(table, resamples=FEW)
    assert got.mean == pytest.approx(scipy_stats.trim_mean(table, 0.25, axis=None), abs=1e-9)
    if len(table) < FEWEST_TASKS:
        assert np.isnan([got.low, got.high]).all()
    else:
        assert table.min() - 1e-9 <= got.low <= got.high <= table.max() + 1e-9


def test_interquartile_mean_leaves_out_missing_values() -> None:
    table = [[1.0, 2.0, np.nan], [3.0, 100.0, np.nan]]
    assert stats.interquartile_mean(table, resamples=FEW).mean == 2.5
    assert stats.interquartile_mean([[np.nan]]).n == 0


@given(PAIRS)
def test_probability_of_improvement_is_mann_and_whitneys(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    a, b = pair
    u = [scipy_stats.mannwhitneyu(x, y).statistic for x, y in zip(a, b, strict=True)]
    got = stats.probability_of_improvement(a, b, resamples=FEW)
    assert got.mean == pytest.approx(np.mean(u) / a.shape[1] ** 2)
    assert np.isnan(got.low) == np.isnan(got.high) == (len(a) < FEWEST_TASKS)
    assert np.isnan(got.low) or 0 <= got.low <= got.high <= 1
    assert stats.probability_of_improvement(b, a, resamples=FEW).mean == pytest.approx(1 - got.mean)


def test_the_two_methods_runs_are_redrawn_independently() -> None:
    """Ours wins each pair of one seed; drawn together, these would lift the interval by 0.08."""
    theirs = np.tile(np.arange(5.0), (20, 1))
    got = stats.probability_of_improvement(theirs + 0.5, theirs)
    assert got.mean == pytest.approx(0.6)
    assert (got.low + got.high) / 2 == pytest.approx(0.6, abs=0.01)


def test_spread_is_over_the_existing_seeds() -> None:
    got = stats.spread_over_seeds([[1, 3, np.nan], [1, np.nan, np.nan], [2, 2, 2]])
    assert got[0] == pytest.approx(np.sqrt(2))
    assert np.isnan(got[1])
    assert got[2] == 0
    difference = stats.difference_over_tasks(got, [0.0, 1.0, 1.0], resamples=FEW)
    assert (difference.mean, difference.n) == (pytest.approx((np.sqrt(2) - 1) / 2), 2)


@given(st.lists(TIMES, min_size=1, max_size=9))
def test_median_ratio_inverts_with_the_order(ratios: list[float]) -> None:
    turned = [0.0 if np.isinf(r) else 1 / r for r in ratios]
    got, back = stats.median_ratio(ratios), stats.median_ratio(turned)
    assert back == pytest.approx(0.0 if np.isinf(got) else 1 / got)


def test_median_ratio_with_misses_and_undecided_tasks() -> None:
    assert stats.median_ratio([2.0, np.nan, 8.0]) == pytest.approx(4.0)
    assert stats.median_ratio([3.6]) == 3.6
    assert stats.median_ratio([0.0, np.inf]) == 1.0
    assert stats.median_ratio([2.0, np.inf, np.inf]) == np.inf
    assert np.isnan(stats.median_ratio([np.nan]))


@settings(max_examples=40)
@given(SHAPES.flatmap(lambda s: st.tuples(*(arrays(np.float64, s, elements=TIMES) for _ in "ab"))))
def test_speedup_over_tasks_is_the_median_of_the_tasks(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    ours, theirs = pair
    ratios = [
        stats.speedup(stats.median_over_seeds(a), stats.median_over_seeds(b))
        for a, b in zip(ours, theirs, strict=True)
    ]
    got = stats.speedup_over_tasks(ours, theirs, resamples=FEW)
    assert got.mean == pytest.approx(stats.median_ratio(ratios), nan_ok=True)
    assert got.n == np.isfinite(np.array(ratios)).sum() + np.isinf(ratios).sum()
    assert np.isnan(got.low) or 0 <= got.low <= got.high


def test_speedup_over_tasks_if_all_of_theirs_miss() -> None:
    got = stats.speedup_over_tasks(np.full((6, 3), 10.0), np.full((6, 3), np.inf), resamples=FEW)
    assert got[:3] == (np.inf, np.inf, np.inf)
    both = stats.speedup_over_tasks(np.full((4, 3), np.inf), np.full((4, 3), np.inf))
    assert both.n == 0
    assert np.isnan(both.low)


def test_the_median_of_few_tasks_has_no_interval() -> None:
    """Of independent values all n are on one side of their median in 2 of 2^n cases."""
    fewest = stats.curves.FEWEST_RATIOS
    assert 2 / 2**fewest < 1 - stats.CONFIDENCE < 2 / 2 ** (fewest - 1)
    times = np.full((fewest, 3), 10.0)
    assert stats.speedup_over_tasks(times, 2 * times, resamples=FEW)[:3] == pytest.approx((2, 2, 2))
    missed = np.where(np.arange(fewest)[:, None] == 0, np.inf, times)  # by both: no ratio
    got = stats.speedup_over_tasks(missed, 2 * missed, resamples=FEW)
    assert (got.mean, got.n) == (2, fewest - 1)
    assert np.isnan([got.low, got.high]).all()


def test_performance_profile_of_an_example_worked_by_hand() -> None:
    """Best times 1, 2, 3: a at ratios 1, 2, miss; b at 2, 1, 1. The fourth task nobody solves."""
    times = [[1, 4, np.inf, np.inf, 5], [2, 2, 3, np.inf, np.nan]]
    got = stats.performance_profile(times, [1, 2, 10])
    assert got.tolist() == [[0.25, 0.5, 0.5], [0.5, 0.75, 0.75]]
    assert np.isnan(stats.performance_profile([[np.nan]], [1])).all()


@given(arrays(np.float64, (3, 6), elements=TIMES))
def test_performance_profile_never_falls(times: np.ndarray) -> None:
    got = stats.performance_profile(times, [1, 1.5, 2, 4, 100])
    assert (np.diff(got, axis=1) >= 0).all()
    solved = np.isfinite(times).any(axis=0).mean()
    assert got[:, 0].sum() >= solved - 1e-12


def test_area_below_best_is_zero_if_the_learning_rate_does_not_matter() -> None:
    got = stats.area_below_best([[70, 70, 70], [40, 70, 40], [np.nan, 1, 1]])
    assert got[:2].tolist() == [0, -20]
    assert np.isnan(got[2])


def test_equivalence_reads_the_interval_of_confidence_1_minus_2_alpha() -> None:
    ours, theirs = np.array([[1.0, 2.0], [4.0, 3.0], [2.0, 2.5]]), np.zeros((3, 2))
    got = stats.equivalence(ours, theirs, margin=1.0, alpha=0.05, resamples=FEW)
    assert got.difference == stats.paired_difference(ours, theirs, 0.9, resamples=FEW)
