"""Matthews' correlation: how far predictions go beyond the class frequencies."""

from typing import Any

import evaluate
import numpy as np

from frod_bench.metrics.info import metric_info
from frod_bench.metrics.jackknife import confusion_matrix, confusion_stderr


def matthews(confusion: np.ndarray) -> float:
    """Return the coefficient of a confusion matrix (classes, classes)."""
    matrix = confusion.astype(np.float64)
    n, right = matrix.sum(), np.trace(matrix)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    spread = (n**2 - predicted @ predicted) * (n**2 - true @ true)
    if spread == 0:
        return 0.0
    return float((right * n - true @ predicted) / np.sqrt(spread))


class Matthews(evaluate.Metric):
    """Matthews' correlation coefficient for any number of classes.

    Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004,
    equation 8: 1 for perfect predictions, 0 for uninformative ones. It is undefined if all
    predictions, or all labels, are one class, and 0 by convention. The standard error is the
    jackknife's.
    """

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(self)

    def _compute(self, predictions: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        confusion = confusion_matrix(references, predictions)
        return {"matthews": matthews(confusion), "stderr": confusion_stderr(confusion, matthews)}
