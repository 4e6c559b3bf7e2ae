"""The metrics: arrays of predictions and labels (n,) -> a value and its standard error over rows.

A metric that is undefined is 0 by convention. Unless a docstring says otherwise, the standard error
is the jackknife's: how much the value moves when one row is left out.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from frod_bench.common.errors import InputError

Score = tuple[float, float | None]  # as a fraction; no standard error if there are too few rows


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> Score:
    """Return the share of rows whose class is predicted, with its binomial standard error."""
    share = float(np.mean(predictions == labels))
    return share, float(np.sqrt(share * (1 - share) / len(labels)))


def f1(predictions: np.ndarray, labels: np.ndarray) -> Score:
    """Return 2 TP / (2 TP + FP + FN) for class 1 of two. Raises InputError for other classes."""
    if others := sorted(set(np.union1d(labels, predictions).tolist()) - {0, 1}):
        raise InputError(
            "metrics: f1 is defined for two classes, 0 and 1, but there is a class "
            f"{others[0]}. Use accuracy or matthews."
        )

    def value(confusion: np.ndarray) -> float:
        hits = 2 * confusion[1, 1]
        involved = hits + confusion[0, 1] + confusion[1, 0]
        return float(hits / involved) if involved else 0.0

    return _of_confusion(predictions, labels, value)


def matthews(predictions: np.ndarray, labels: np.ndarray) -> Score:
    """Return Matthews' correlation coefficient for any number of classes.

    Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004,
    equation 8: 1 for perfect predictions, 0 for uninformative ones.
    """

    def value(confusion: np.ndarray) -> float:
        matrix = confusion.astype(np.float64)
        n, right = matrix.sum(), np.trace(matrix)
        true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
        spread = (n**2 - predicted @ predicted) * (n**2 - true @ true)
        return float((right * n - true @ predicted) / np.sqrt(spread)) if spread else 0.0

    return _of_confusion(predictions, labels, value)


def pearson(predictions: np.ndarray, labels: np.ndarray) -> Score:
    """Return Pearson's correlation coefficient of two arrays of values.

    All n leave-one-out correlations follow from the sums over all rows. With dx = x - mean(x),
    leaving out row i subtracts n / (n - 1) dx_i dy_i from the sum of dx dy, and likewise from the
    sums of squares.
    """
    value, n = _correlation(predictions, labels), len(labels)
    if n < 3:
        return value, None
    dx, dy = predictions - predictions.mean(), labels - labels.mean()
    share = n / (n - 1)
    xy = dx @ dy - share * dx * dy
    xx = dx @ dx - share * dx**2
    yy = dy @ dy - share * dy**2
    # Rounding may leave a sum of squares slightly above zero.
    varies = (xx > 1e-14 * (dx @ dx)) & (yy > 1e-14 * (dy @ dy))
    without = np.zeros(n)
    without[varies] = np.clip(xy[varies] / np.sqrt(xx[varies] * yy[varies]), -1.0, 1.0)
    return value, _jackknife(without, np.ones(n))


def spearman(predictions: np.ndarray, labels: np.ndarray) -> Score:
    """Return Pearson's correlation of the ranks, equal values sharing their mean rank.

    The standard error is (1 - r^2) sqrt((1 + r^2 / 2) / (n - 3)), from the delta method on the
    variance of Fisher's z by Bonett and Wright, Sample size requirements for estimating Pearson,
    Kendall and Spearman correlations (2000).
    """
    r, n = _correlation(rankdata(predictions), rankdata(labels)), len(labels)
    if n <= 3:
        return r, None
    return r, float((1 - r**2) * np.sqrt((1 + r**2 / 2) / (n - 3)))


def _of_confusion(
    predictions: np.ndarray, labels: np.ndarray, statistic: Callable[[np.ndarray], float]
) -> Score:
    """Return a statistic of the confusion matrix, whose rows are labels.

    All rows in one entry of the matrix are alike, so one statistic per entry is enough.
    """
    classes, numbers = np.unique(np.concatenate([[0, 1], labels, predictions]), return_inverse=True)
    true, predicted = np.split(numbers[2:], 2)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (true, predicted), 1)
    value = statistic(confusion)
    without = []
    entries = np.argwhere(confusion)
    for entry in map(tuple, entries):
        confusion[entry] -= 1
        without.append(statistic(confusion))
        confusion[entry] += 1
    return value, _jackknife(np.array(without), confusion[tuple(entries.T)])


def _jackknife(without: np.ndarray, rows: np.ndarray) -> float | None:
    """Return the standard error of a statistic; None for fewer than two rows.

    stderr^2 = (n - 1) / n * sum_i (t_i - mean(t))^2, t_i: the statistic without row i. Efron and
    Tibshirani, An Introduction to the Bootstrap (1993), equation 11.5. Row i is of one of k kinds:
    `without` (k,) has the t of a row of each kind, `rows` (k,) their numbers.
    """
    n = int(rows.sum())
    if n < 2:
        return None
    mean = (rows * without).sum() / n
    return float(np.sqrt((n - 1) / n * (rows * (without - mean) ** 2).sum()))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    centred = [values - values.mean() for values in (x, y)]
    # Scaled first, so that squares neither overflow nor vanish.
    scaled = [values / np.abs(values).max() for values in centred]
    one, other = (values / np.linalg.norm(values) for values in scaled)
    return float(np.clip(one @ other, -1.0, 1.0))
