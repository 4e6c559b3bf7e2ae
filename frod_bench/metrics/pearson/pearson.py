"""Pearson's correlation of predicted and true values."""

from typing import Any

import evaluate
import numpy as np

from frod_bench.metrics.correlation import pearson, pearson_stderr
from frod_bench.metrics.info import VALUES, metric_info

DESCRIPTION = """\
Pearson's correlation coefficient. It is undefined if all predictions, or all labels, are equal,
and 0 by convention. The standard error is the jackknife's.
"""


class Pearson(evaluate.Metric):
    """`pearson` and its `stderr`."""

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(DESCRIPTION, VALUES)

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, Any]:
        x, y = np.asarray(predictions), np.asarray(references)
        return {"pearson": pearson(x, y), "stderr": pearson_stderr(x, y)}
