"""The metrics as modules of `evaluate`, of which each is one class with another name."""

from functools import cache

import datasets
import evaluate
import numpy as np

from frod_bench.metrics import OF_CLASSES, scores


class RowMetric(evaluate.Metric):
    """The metric `config_name` of two columns, predictions and references."""

    def _info(self) -> evaluate.MetricInfo:
        column = datasets.Value("int64" if self.config_name in OF_CLASSES else "float64")
        return evaluate.MetricInfo(
            description=self.config_name,
            citation="",
            features=datasets.Features({"predictions": column, "references": column}),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> scores.Score:
        score = getattr(scores, self.config_name)
        return score(np.asarray(predictions), np.asarray(references))


@cache
def metric_of(name: str) -> RowMetric:
    """The metric of a name."""
    # In memory, since the default is a cache file over which processes compete.
    return RowMetric(config_name=name, keep_in_memory=True)
