"""Pearson's correlation of predicted and true values."""

from typing import Any

import evaluate
import numpy as np

from frod_bench.metrics.correlation import pearson, pearson_stderr
from frod_bench.metrics.info import VALUES, metric_info


class Pearson(evaluate.Metric):
    """Pearson's correlation coefficient.

    It is undefined if all predictions, or all labels, are equal, and 0 by convention. The standard
    error is the jackknife's.
    """

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(self, VALUES)

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, Any]:
        x, y = np.asarray(predictions), np.asarray(references)
        return {"pearson": pearson(x, y), "stderr": pearson_stderr(x, y)}
