"""Metrics by name: value, number of rows, standard error."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frod_bench.common.errors import InputError, did_you_mean

if TYPE_CHECKING:  # names alone are asked for by every plan
    from numpy.typing import ArrayLike

# Names of the functions in `scores`.
OF_CLASSES = ("accuracy", "matthews", "f1")
OF_VALUES = ("pearson", "spearman")
HIGHER_IS_BETTER = dict.fromkeys((*OF_CLASSES, *OF_VALUES), True)


@dataclass(frozen=True)
class MetricValue:
    """A metric over `n` rows, as a fraction (0.93) and not in percent."""

    value: float
    n: int
    stderr: float | None  # over rows, not over seeds; None if there are too few rows


def check_names(names: Sequence[str], num_labels: int | None = None) -> None:
    """Raise InputError unless each name is that of a metric and is given once.

    If `num_labels` is given (1 for a regression), each metric must also fit that number of classes.
    """
    if not names:
        raise InputError(
            "task.metrics=[]: names no metric. Name one, e.g. task.metrics=[accuracy]."
        )
    for name in names:
        about = f"task.metrics=[{','.join(names)}]"
        if name not in HIGHER_IS_BETTER:
            hint = did_you_mean(name, HIGHER_IS_BETTER)
            raise InputError(f"{about}: unknown metric {name!r}.{hint}")
        if list(names).count(name) > 1:
            raise InputError(f"{about}: {name} is named twice. Name it once.")
        if num_labels == 1 and name in OF_CLASSES:
            raise InputError(
                f"{about}: {name} is of classes, and task.num_labels=1 is a regression. Use "
                f"{' or '.join(OF_VALUES)}."
            )
        if name == "f1" and num_labels not in (None, 2):
            raise InputError(
                f"{about}: f1 is defined for two classes, and task.num_labels={num_labels}. Use "
                "accuracy or matthews."
            )


def compute(
    names: Sequence[str], predictions: "ArrayLike", labels: "ArrayLike"
) -> dict[str, MetricValue]:
    """Compare predictions (n,) with labels (n,): class numbers, or values for regression.

    Raises InputError if a metric is unknown, or f1 is requested for more than two classes, and
    ValueError if the arrays are empty, of different lengths, or not finite.
    """
    import numpy as np

    from frod_bench.metrics.rows import metric_of

    check_names(names)
    predicted, true = np.asarray(predictions), np.asarray(labels)
    if predicted.ndim != 1 or predicted.shape != true.shape or len(true) == 0:
        shapes = f"{predicted.shape} and {true.shape}"
        raise ValueError(f"predictions and labels must be (n,) with n > 0, but are {shapes}")
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("predictions or labels contain values that are not finite")
    values = {}
    for name in names:
        value, stderr = metric_of(name).compute(predictions=predicted, references=true)
        values[name] = MetricValue(value, len(true), stderr)
    return values
