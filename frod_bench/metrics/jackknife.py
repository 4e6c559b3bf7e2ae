"""Standard errors by the jackknife: how much a statistic moves when one row is left out.

    stderr^2 = (n - 1) / n * sum_i (t_i - mean(t))^2,    t_i: the statistic without row i

Efron and Tibshirani, An Introduction to the Bootstrap (1993), equation 11.5.
"""

from collections.abc import Callable

import numpy as np


def jackknife_stderr(without: np.ndarray, rows: np.ndarray) -> float | None:
    """Return the standard error of a statistic; None for fewer than two rows.

    Args:
        without: (k,) the statistic with one row of kind j left out.
        rows: (k,) the number of rows of kind j.
    """
    n = int(rows.sum())
    if n < 2:
        return None
    mean = (rows * without).sum() / n
    return float(np.sqrt((n - 1) / n * (rows * (without - mean) ** 2).sum()))


def confusion_stderr(
    confusion: np.ndarray, statistic: Callable[[np.ndarray], float]
) -> float | None:
    """Return the standard error of a statistic of a confusion matrix (classes, classes).

    All rows in one entry of the matrix are alike, so one statistic per entry is enough.
    """
    entries = np.argwhere(confusion > 0)
    if confusion.sum() < 2:
        return None
    without = []
    for entry in map(tuple, entries):
        confusion[entry] -= 1
        without.append(statistic(confusion))
        confusion[entry] += 1
    return jackknife_stderr(np.array(without), confusion[tuple(entries.T)])


def confusion_matrix(references: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Count rows by label and prediction: (classes, classes) int64, of the classes that occur."""
    classes, numbers = np.unique(np.concatenate([references, predictions]), return_inverse=True)
    true, predicted = np.split(numbers, 2)
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (true, predicted), 1)
    return confusion
