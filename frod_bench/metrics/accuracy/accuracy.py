"""Accuracy: the share of rows whose class is predicted."""

from typing import Any

import evaluate
import numpy as np

from frod_bench.metrics.info import metric_info


class Accuracy(evaluate.Metric):
    """The share of predictions that equal their label.

    The standard error is the binomial one, sqrt(p (1 - p) / n), which is 0 if all rows are right or
    all are wrong.
    """

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(self)

    def _compute(self, predictions: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        share = float(np.mean(predictions == references))
        stderr = float(np.sqrt(share * (1 - share) / len(references)))
        return {"accuracy": share, "stderr": stderr}
