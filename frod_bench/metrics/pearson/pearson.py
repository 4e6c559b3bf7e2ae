"""Pearson's correlation of predicted and true values."""

from typing import Any

import datasets
import evaluate
import numpy as np

from frod_bench.metrics.correlation import pearson, pearson_stderr

DESCRIPTION = """\
Pearson's correlation coefficient. It is undefined where all predictions, or all labels, are
equal, and 0 by convention. The standard error is the jackknife's.
"""


class Pearson(evaluate.Metric):
    """`pearson` and its `stderr`."""

    def _info(self) -> evaluate.MetricInfo:
        values = datasets.Value("float64")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description="predictions and references: values, one a row.",
            features=datasets.Features({"predictions": values, "references": values}),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, Any]:
        # Lists and not arrays: the array format of `datasets` rounds values to float32.
        x, y = np.asarray(predictions), np.asarray(references)
        return {"pearson": pearson(x, y), "stderr": pearson_stderr(x, y)}
