"""Metrics by name, as modules of `evaluate`: value, number of rows, standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.metrics import scores

OF_CLASSES = {"accuracy": scores.accuracy, "matthews": scores.matthews, "f1": scores.f1}
OF_VALUES = {"pearson": scores.pearson, "spearman": scores.spearman}
HIGHER_IS_BETTER = dict.fromkeys((*OF_CLASSES, *OF_VALUES), True)


@dataclass(frozen=True)
class MetricValue:
    """A metric over `n` rows, as a fraction (0.93) and not in percent."""

    value: float
    n: int
    stderr: float | None  # over rows, not over seeds; None if there are too few rows


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
        score = (OF_CLASSES | OF_VALUES)[self.config_name]
        return score(np.asarray(predictions), np.asarray(references))


@cache
def _metric(name: str) -> RowMetric:
    # In memory, since the default is a cache file over which processes compete.
    return RowMetric(config_name=name, keep_in_memory=True)


def check_names(names: Sequence[str]) -> None:
    """Raise InputError if there is no metric of one of the names."""
    for name in names:
        if name not in HIGHER_IS_BETTER:
            hint = did_you_mean(name, HIGHER_IS_BETTER)
            raise InputError(f"metrics: unknown metric {name!r}.{hint}")


def compute(
    names: Sequence[str], predictions: ArrayLike, labels: ArrayLike
) -> dict[str, MetricValue]:
    """Compare predictions (n,) with labels (n,): class numbers, or values for regression.

    Raises InputError if a metric is unknown, or f1 is requested for more than two classes, and
    ValueError if the arrays are empty, of different lengths, or not finite.
    """
    check_names(names)
    predicted, true = np.asarray(predictions), np.asarray(labels)
    if predicted.ndim != 1 or predicted.shape != true.shape or len(true) == 0:
        shapes = f"{predicted.shape} and {true.shape}"
        raise ValueError(f"predictions and labels must be (n,) with n > 0, but are {shapes}")
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("predictions or labels contain values that are not finite")
    values = {}
    for name in names:
        value, stderr = _metric(name).compute(predictions=predicted, references=true)
        values[name] = MetricValue(value, len(true), stderr)
    return values
