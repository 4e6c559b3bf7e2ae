"""F1 of the positive class, the score of GLUE's paraphrase tasks."""

from typing import Any

import evaluate
import numpy as np

from frod_bench.common.errors import InputError
from frod_bench.metrics.info import metric_info
from frod_bench.metrics.jackknife import confusion_stderr


def f1(confusion: np.ndarray) -> float:
    """Return the F1 of a confusion matrix (2, 2), by label and prediction."""
    hits = 2 * confusion[1, 1]
    involved = hits + confusion[0, 1] + confusion[1, 0]
    return float(hits / involved) if involved else 0.0


class F1(evaluate.Metric):
    """The harmonic mean of precision and recall for class 1 of two: 2 TP / (2 TP + FP + FN).

    It is undefined if class 1 is neither present nor predicted, and 0 by convention. The standard
    error is the jackknife's.
    """

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(self)

    def _compute(self, predictions: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        others = sorted(set(np.union1d(references, predictions).tolist()) - {0, 1})
        if others:
            raise InputError(
                "metrics: f1 is defined for two classes, 0 and 1, but there is a class "
                f"{others[0]}. Use accuracy or matthews."
            )
        confusion = np.zeros((2, 2), dtype=np.int64)
        np.add.at(confusion, (references, predictions), 1)
        return {"f1": f1(confusion), "stderr": confusion_stderr(confusion, f1)}
