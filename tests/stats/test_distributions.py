"""Quantiles and tails are those of `scipy.stats`, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from frod_bench import stats
from frod_bench.stats import distributions
from frod_bench.stats.estimates import ROUNDING

FREEDOMS = st.floats(0.5, 500)
PROBABILITIES = st.floats(0.001, 0.999)


@given(PROBABILITIES, FREEDOMS)
def test_quantiles(probability: float, freedom: float) -> None:
    student = distributions.student_quantile(probability, freedom)
    assert student == scipy_stats.t.ppf(probability, freedom)
    chi_squared = distributions.chi_squared_quantile(probability, freedom)
    assert chi_squared == scipy_stats.chi2.ppf(probability, freedom)


@given(st.floats(-50, 50), FREEDOMS)
def test_tail_of_students_t(value: float, freedom: float) -> None:
    assert distributions.student_below(value, freedom) == scipy_stats.t.cdf(value, freedom)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=120), st.floats(0.1, 5))
def test_equivalence_is_two_tests_of_students(values: list[float], margin: float) -> None:
    if np.std(values) <= ROUNDING * max(1.0, abs(np.mean(values))):
        assert np.isnan(stats.tost(values, margin))
        return
    tests = (
        scipy_stats.ttest_1samp(values, -margin, alternative="greater"),
        scipy_stats.ttest_1samp(values, margin, alternative="less"),
    )
    assert stats.tost(values, margin) == max(test.pvalue for test in tests)


@pytest.mark.parametrize("tosses", [0, 1, 2, 3, 50, 51, 236, 999, 5001, 40_000])
def test_p_values_of_a_fair_coin(tosses: int) -> None:
    middle = tosses // 2
    rarer = np.unique(np.clip(np.r_[0:20, middle - 20 : middle + 1, 0:middle:97], 0, middle))
    found = distributions.fair_coin_p_values(rarer, np.full_like(rarer, tosses))
    expected = [scipy_stats.binomtest(k, tosses).pvalue if tosses else 1.0 for k in rarer.tolist()]
    assert found.tolist() == expected
