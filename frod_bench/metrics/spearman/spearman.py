"""Spearman's correlation: whether predictions rank the rows correctly."""

from typing import Any

import evaluate
import numpy as np
from scipy.stats import rankdata

from frod_bench.metrics.correlation import pearson
from frod_bench.metrics.info import VALUES, metric_info


class Spearman(evaluate.Metric):
    """Spearman's rank correlation: Pearson's of the ranks, equal values sharing their mean rank.

    It is undefined if all predictions, or all labels, are equal, and 0 by convention. The standard
    error is (1 - r^2) sqrt((1 + r^2 / 2) / (n - 3)), from the delta method on the variance of
    Fisher's z by Bonett and Wright, Sample size requirements for estimating Pearson, Kendall and
    Spearman correlations (2000).
    """

    def _info(self) -> evaluate.MetricInfo:
        return metric_info(self, VALUES)

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, Any]:
        r = pearson(rankdata(predictions), rankdata(references))
        n = len(references)
        stderr = float((1 - r**2) * np.sqrt((1 + r**2 / 2) / (n - 3))) if n > 3 else None
        return {"spearman": r, "stderr": stderr}
