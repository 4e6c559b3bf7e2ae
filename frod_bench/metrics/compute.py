"""Metrics by name: value, number of rows, standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import evaluate
import numpy as np
from numpy.typing import ArrayLike

from frod_bench.common.errors import InputError, did_you_mean

HIGHER_IS_BETTER = dict.fromkeys(("accuracy", "matthews", "f1", "pearson", "spearman"), True)


@dataclass(frozen=True)
class MetricValue:
    """A metric over `n` rows, as a fraction (0.93) and not in percent.

    `stderr` is the standard error over rows: how far the value would move on other rows of the same
    kind. It is not the spread over seeds. None if there are too few rows.
    """

    value: float
    n: int
    stderr: float | None


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

    Raises:
        InputError: a metric is unknown, or f1 is requested for more than two classes.
        ValueError: the arrays are empty, of different lengths, or contain values that are not
            finite.
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
        result = _module(name).compute(predictions=predicted, references=true)
        values[name] = MetricValue(result[name], len(true), result["stderr"])
    return values


@cache
def _module(name: str) -> evaluate.EvaluationModule:
    """Load a metric's module once per process.

    In memory, since the default is a cache file over which processes compete.
    """
    return evaluate.load(str(Path(__file__).parent / name), keep_in_memory=True)
