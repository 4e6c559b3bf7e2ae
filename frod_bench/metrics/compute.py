"""Metrics by name: value, number of rows, standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import evaluate
import numpy as np
from numpy.typing import ArrayLike

from frod_bench.common.errors import InputError, did_you_mean

HIGHER_IS_BETTER = {
    "accuracy": True,
    "matthews": True,
    "f1": True,
    "pearson": True,
    "spearman": True,
}


@dataclass(frozen=True)
class MetricValue:
    """A metric over `n` rows, as a share (0.93) and not in percent.

    `stderr` is the standard error over rows: how far the value would move on other rows of the
    same kind. It says nothing of the spread over seeds. None: too few rows to tell.
    """

    value: float
    n: int
    stderr: float | None


def check_names(names: Sequence[str]) -> None:
    """Make sure that there is a metric of every name.

    Raises:
        InputError: there is none.
    """
    for name in names:
        if name not in HIGHER_IS_BETTER:
            hint = did_you_mean(name, HIGHER_IS_BETTER)
            raise InputError(f"metrics: unknown metric {name!r}.{hint}")


def compute(
    names: Sequence[str], predictions: ArrayLike, labels: ArrayLike
) -> dict[str, MetricValue]:
    """Compare predictions (n,) with labels (n,): class numbers, or values for regression.

    Raises:
        InputError: there is no metric of a name, or f1 is asked for more than two classes.
        ValueError: the arrays are empty, of different lengths, or hold values that are not finite.
    """
    check_names(names)
    predicted, true = np.asarray(predictions), np.asarray(labels)
    if predicted.ndim != 1 or predicted.shape != true.shape or len(true) == 0:
        shapes = f"{predicted.shape} and {true.shape}"
        raise ValueError(f"predictions and labels must be (n,) with n > 0, but are {shapes}")
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("predictions or labels hold values that are not finite")
    return {name: _compute_one(name, predicted, true) for name in names}


def _compute_one(name: str, predictions: np.ndarray, labels: np.ndarray) -> MetricValue:
    result = _module(name).compute(predictions=predictions, references=labels)
    return MetricValue(result[name], len(labels), result["stderr"])


@cache
def _module(name: str) -> evaluate.EvaluationModule:
    """The metric's module, loaded once a process.

    In memory: the default is a cache file that processes fight over.
    """
    return evaluate.load(str(Path(__file__).parent / name), keep_in_memory=True)
