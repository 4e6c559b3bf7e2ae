"""Comparisons of two methods: equivalence, probability of improvement, single examples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from frod_bench.stats.estimates import (
    CONFIDENCE,
    RESAMPLES,
    Estimate,
    Floats,
    estimate_over_tasks,
    mean_of_these_tasks,
    mean_over_tasks,
    present,
)


class Equivalence(NamedTuple):
    """The mean difference with its interval of confidence 1 - 2 alpha, against a margin."""

    difference: Estimate
    equivalent: bool  # the interval is within the margin on both sides
    better: bool  # wholly above 0
    worse: bool  # wholly below -margin


class McNemar(NamedTuple):
    """Examples that only one method gets right, and the exact two-sided p-value."""

    only_ours: int
    only_theirs: int
    p_value: float


def paired_difference(
    ours: ArrayLike, theirs: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the mean of ours - theirs over tasks, with the nested bootstrap.

    Both are (tasks x seeds), paired by task and seed; a pair with a missing value is left out.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return mean_over_tasks(a - b, confidence, resamples)


def paired_difference_of_these_tasks(
    ours: ArrayLike, theirs: ArrayLike, confidence: float = CONFIDENCE
) -> Estimate:
    """Return the mean of ours - theirs over exactly these tasks, as `mean_of_these_tasks`."""
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return mean_of_these_tasks(a - b, confidence)


def equivalence(
    ours: ArrayLike,
    theirs: ArrayLike,
    margin: float,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    *,
    these_tasks: bool = False,
) -> Equivalence:
    """Apply two one-sided tests (TOST) at `alpha` to two paired (tasks x seeds) tables.

    Both reject exactly if the interval of confidence 1 - 2 alpha is within the margin (Schuirmann
    1987). With `these_tasks` the interval is of these tasks, otherwise of tasks drawn at random. An
    unavailable interval supports no verdict. Raises ValueError unless the margin is > 0.
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin}; it must be positive.")
    if these_tasks:
        found = paired_difference_of_these_tasks(ours, theirs, 1 - 2 * alpha)
    else:
        found = paired_difference(ours, theirs, 1 - 2 * alpha, resamples)
    return Equivalence(
        found,
        equivalent=-margin < found.low and found.high < margin,
        better=found.low > 0,
        worse=found.high < -margin,
    )


def tost(differences: ArrayLike, margin: float) -> float:
    """Return the p-value of Student's two one-sided tests that the mean is within the margin.

    NaN below two values, and if all are equal: a few differences without any spread show how coarse
    the metric is, not how certain the mean is.
    """
    values = present(differences)
    if values.size < 2 or values.std() == 0:
        return np.nan
    above = scipy_stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(values, margin, alternative="less").pvalue
    return float(max(above, below))


def mcnemar(ours: ArrayLike, theirs: ArrayLike) -> McNemar:
    """Apply McNemar's exact test to the correct predictions of two methods on the same examples.

    Both are boolean, in one order. The p-value is that of a binomial test on the examples on which
    they differ; 1 if they differ on none. Raises ValueError if the lengths differ.
    """
    a, b = np.asarray(ours, dtype=bool), np.asarray(theirs, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(
            f"ours has shape {a.shape}, theirs {b.shape}; they must be of the same examples."
        )
    only_ours, only_theirs = int((a & ~b).sum()), int((~a & b).sum())
    n = only_ours + only_theirs
    p_value = float(scipy_stats.binomtest(only_ours, n).pvalue) if n else 1.0
    return McNemar(only_ours, only_theirs, p_value)


def merge_p_values(p_values: ArrayLike) -> float:
    """Merge the p-values of several tests of one hypothesis into twice their median.

    Valid under any dependence (Rueger 1978). Of an even number it takes the upper middle one. NaN
    for none; a single one is returned as it is.
    """
    values = np.sort(present(p_values))
    if values.size < 2:
        return float(values[0]) if values.size else np.nan
    return float(min(1.0, 2.0 * values[values.size // 2]))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values for multiple testing (Holm 1979); NaN stays, and does not count as a test."""
    array = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(array)[: int((~np.isnan(array)).sum())]
    steps = array[order] * np.arange(order.size, 0, -1)
    adjusted = np.full(array.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def probability_of_improvement(
    ours: ArrayLike, theirs: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the probability that a run of ours beats a run of theirs on the same task.

    The mean over tasks of the share of all pairs of runs in which ours is greater, ties counting
    half: Mann and Whitney's U over the number of pairs (Agarwal et al. 2021).
    """
    return estimate_over_tasks([ours, theirs], _superiority, confidence, resamples)


def _superiority(ours: Floats, theirs: Floats) -> Floats:
    a, b = ours[..., :, None], theirs[..., None, :]
    missing = np.isnan(ours)  # the same as theirs: the tables are paired
    if not missing.any():
        wins = (a > b).mean(axis=(-3, -2, -1)) + 0.5 * (a == b).mean(axis=(-3, -2, -1))
        return np.asarray(wins)
    known = ~(missing[..., :, None] | missing[..., None, :])
    wins = (a > b) + 0.5 * (a == b)
    share = np.where(known, wins, 0.0).sum(axis=(-2, -1)) / known.sum(axis=(-2, -1))
    return np.asarray(share.mean(axis=-1))
