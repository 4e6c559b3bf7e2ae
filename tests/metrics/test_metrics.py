"""Our metrics against scikit-learn and SciPy; their standard errors; degenerate input."""

import math
import multiprocessing
import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from frod_bench.common.errors import InputError
from frod_bench.metrics import HIGHER_IS_BETTER, MetricValue, check_names, compute
from frod_bench.metrics.rows import metric_of

ROWS = st.integers(2, 60)


def _two(values: st.SearchStrategy, dtype: type) -> st.SearchStrategy:
    """Predictions and labels of one length."""
    return ROWS.flatmap(lambda n: st.tuples(*[arrays(dtype, n, elements=values)] * 2))


def _value(name: str, predictions: np.ndarray, labels: np.ndarray) -> float:
    return compute([name], predictions, labels)[name].value


@settings(max_examples=60)
@given(_two(st.integers(0, 4), np.int64))
def test_accuracy_and_matthews_equal_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predictions, labels = pair
    ours = compute(["accuracy", "matthews"], predictions, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours["accuracy"].value == pytest.approx(
            sklearn.metrics.accuracy_score(labels, predictions)
        )
        assert ours["matthews"].value == pytest.approx(
            sklearn.metrics.matthews_corrcoef(labels, predictions), abs=1e-12
        )


@settings(max_examples=60)
@given(_two(st.integers(0, 1), np.int64))
def test_f1_equals_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predictions, labels = pair
    theirs = sklearn.metrics.f1_score(labels, predictions, zero_division=0)
    assert _value("f1", predictions, labels) == pytest.approx(theirs)


@settings(max_examples=60)
@given(_two(st.floats(-100, 100, width=32), np.float64))
def test_correlations_equal_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predictions, labels = pair
    if min(np.ptp(predictions), np.ptp(labels)) < 1e-3:  # SciPy warns, and may give NaN
        return
    ours = compute(["pearson", "spearman"], predictions, labels)
    theirs = scipy.stats.pearsonr(predictions, labels).statistic
    assert ours["pearson"].value == pytest.approx(theirs, abs=1e-9)
    ranks = scipy.stats.spearmanr(predictions, labels).statistic
    assert ours["spearman"].value == pytest.approx(ranks, abs=1e-9)


def _jackknife(name: str, predictions: np.ndarray, labels: np.ndarray) -> float:
    """The definition, one row left out at a time."""
    n = len(labels)
    kept = [np.arange(n) != i for i in range(n)]
    without = np.array([_value(name, predictions[k], labels[k]) for k in kept])
    return math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())


@pytest.mark.parametrize("name", ["matthews", "f1", "pearson"])
def test_standard_errors_are_the_jackknifes(name: str) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 40).astype(float if name == "pearson" else int)
    predictions = np.where(rng.random(40) < 0.8, labels, 1 - labels)
    if name == "pearson":
        predictions = predictions + rng.normal(size=40)
    ours = compute([name], predictions, labels)[name].stderr
    assert ours == pytest.approx(_jackknife(name, predictions, labels))


def test_the_standard_error_of_accuracy_is_binomial() -> None:
    result = compute(["accuracy"], [1, 1, 1, 0], [1, 1, 1, 1])["accuracy"]
    assert result == MetricValue(0.75, 4, math.sqrt(0.75 * 0.25 / 4))


@pytest.mark.parametrize("name", ["accuracy", "matthews", "f1", "pearson", "spearman"])
def test_standard_errors_predict_the_spread_over_samples(name: str) -> None:
    """The mean stated error is within a fifth of the spread over 100 draws of the same kind."""
    rng = np.random.default_rng(1)
    values, stated = [], []
    for _ in range(100):
        if name in {"pearson", "spearman"}:
            labels = rng.normal(size=150)
            predictions = labels + rng.normal(size=150)
        else:
            labels = rng.integers(0, 2, 150)
            predictions = np.where(rng.random(150) < 0.8, labels, 1 - labels)
        result = compute([name], predictions, labels)[name]
        values.append(result.value)
        stated.append(result.stderr)
    assert np.mean(stated) == pytest.approx(np.std(values), rel=0.2)


@pytest.mark.parametrize("name", sorted(HIGHER_IS_BETTER))
def test_constant_predictions_give_a_defined_value(name: str) -> None:
    for constant in (0, 1):
        result = compute([name], [constant] * 6, [0, 1, 1, 1, 1, 1])[name]
        assert math.isfinite(result.value)
        assert result.stderr is not None
        assert math.isfinite(result.stderr)


@pytest.mark.parametrize("name", ["matthews", "pearson", "spearman"])
def test_a_correlation_with_constant_predictions_is_zero(name: str) -> None:
    for constant in (0, 1):
        assert compute([name], [constant] * 6, [0, 1, 1, 1, 1, 1])[name].value == 0


@pytest.mark.parametrize("name", sorted(HIGHER_IS_BETTER))
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_few_rows_give_numbers_or_none(name: str, rows: int) -> None:
    labels = np.arange(rows) % 2
    result = compute([name], labels, labels)[name]
    assert math.isfinite(result.value)
    assert result.stderr is None or math.isfinite(result.stderr)


def test_the_jackknife_handles_a_single_row_that_differs() -> None:
    """Without that row the predictions are constant, and the sums of squares roundoff."""
    predictions = np.full(20, 0.1)
    predictions[3] = 0.3
    labels = np.arange(20.0)
    ours = compute(["pearson"], predictions, labels)["pearson"].stderr
    assert ours == pytest.approx(_jackknife("pearson", predictions, labels))


def test_values_keep_double_precision() -> None:
    labels = np.array([1.0, 1.0 + 1e-9, 1.0 + 2e-9])
    assert _value("pearson", labels, labels) == pytest.approx(1.0)


def test_an_unknown_metric_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        check_names(["acuracy"])
    with pytest.raises(InputError, match="unknown metric 'mathews'"):
        compute(["mathews"], [0], [0])


def test_f1_of_three_classes_is_refused() -> None:
    with pytest.raises(InputError, match="there is a class 2"):
        compute(["f1"], [0, 1, 2], [0, 1, 1])


@pytest.mark.parametrize(
    ("predictions", "labels"), [([], []), ([1], [1, 0]), ([[1, 0]], [[1, 0]]), ([math.nan], [1.0])]
)
def test_what_cannot_be_compared_is_refused(predictions: list, labels: list) -> None:
    with pytest.raises(ValueError, match="predictions"):
        compute(["accuracy"], predictions, labels)


def _measure_often() -> None:
    metric_of.cache_clear()
    for _ in range(20):
        compute(["accuracy", "pearson"], [0, 1, 1], [0, 1, 0])


def test_two_processes_can_measure_at_once() -> None:
    """Each builds the metrics anew; neither waits for, or fails over, a file of the other."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_measure_often) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]
