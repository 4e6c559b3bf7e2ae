"""Two methods compared: equivalence, probability of improvement, and example by example."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from frod_bench.stats.bootstrap import CONFIDENCE, RESAMPLES, Floats
from frod_bench.stats.estimates import Estimate, estimate_over_tasks, mean_over_tasks, present


class Equivalence(NamedTuple):
    """The mean difference with the interval of 1 - 2 alpha, and what it says of a margin."""

    difference: Estimate
    equivalent: bool  # the interval lies within the margin on both sides
    better: bool  # wholly above 0
    worse: bool  # wholly below -margin


class McNemar(NamedTuple):
    """Examples that one method alone gets right, and the exact two-sided p-value."""

    only_ours: int
    only_theirs: int
    p_value: float


def paired_difference(
    ours: ArrayLike,
    theirs: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean of ours - theirs over tasks, paired by task and seed, with the nested bootstrap.

    Both are (tasks x seeds) with one order of seeds; a pair with a hole is left out.
    """
    a, b = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    return mean_over_tasks(a - b, confidence, resamples, seed)


def equivalence(
    ours: ArrayLike,
    theirs: ArrayLike,
    margin: float,
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
) -> Equivalence:
    """Two one-sided tests (TOST) at `alpha` of two paired (tasks x seeds) tables.

    Both tests reject exactly where the interval of confidence 1 - 2 alpha lies within the margin
    (Schuirmann 1987). An interval that is not available says nothing. Raises ValueError for a
    margin that is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin}; it must be above 0.")
    found = paired_difference(ours, theirs, 1 - 2 * alpha, resamples)
    return Equivalence(
        found,
        equivalent=-margin < found.low and found.high < margin,
        better=found.low > 0,
        worse=found.high < -margin,
    )


def tost(differences: ArrayLike, margin: float) -> float:
    """p-value of Student's two one-sided tests that the mean lies within the margin.

    The greater of the two one-sided p-values; NaN below two values, and where all are equal: a few
    differences without any spread tell how coarse the metric is, not how certain the mean.
    """
    values = present(differences)
    if values.size < 2 or values.std() == 0:
        return np.nan
    above = scipy_stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(values, margin, alternative="less").pvalue
    return float(max(above, below))


def mcnemar(ours: ArrayLike, theirs: ArrayLike) -> McNemar:
    """McNemar's exact test of two methods' hits on the same examples, in the same order.

    Both are boolean arrays, True where the prediction is right. The p-value is the binomial one of
    the examples on which they differ; 1 where they differ on none. Raises ValueError where the
    lengths differ.
    """
    a, b = np.asarray(ours, dtype=bool), np.asarray(theirs, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(f"hits of {a.shape} and {b.shape} examples; they must be the same ones.")
    only_ours, only_theirs = int((a & ~b).sum()), int((~a & b).sum())
    n = only_ours + only_theirs
    p_value = float(scipy_stats.binomtest(only_ours, n).pvalue) if n else 1.0
    return McNemar(only_ours, only_theirs, p_value)


def merge_p_values(p_values: ArrayLike) -> float:
    """One p-value of several tests of one hypothesis, however they depend: twice their median.

    Rueger (1978); seeds that are measured on the same examples depend. An even number takes the
    upper of the two middle ones. NaN of none; a single one is itself.
    """
    values = np.sort(present(p_values))
    if values.size < 2:
        return float(values[0]) if values.size else np.nan
    return float(min(1.0, 2.0 * values[values.size // 2]))


def holm(p_values: ArrayLike) -> Floats:
    """p-values that hold for all of them together (Holm 1979); NaN stays, and counts for none."""
    array = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(array)[: int((~np.isnan(array)).sum())]
    steps = array[order] * np.arange(order.size, 0, -1)
    adjusted = np.full(array.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def probability_of_improvement(
    ours: ArrayLike,
    theirs: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """How probably a run of ours beats a run of theirs on the same task; mean over tasks.

    Agarwal et al. (2021): for each task the share of all pairs of runs in which ours is greater, a
    tie counting half (Mann and Whitney's U over the number of pairs).
    """
    return estimate_over_tasks([ours, theirs], _superiority, confidence, resamples, seed)


def _superiority(ours: Floats, theirs: Floats) -> Floats:
    a, b = ours[..., :, None], theirs[..., None, :]
    holes = np.isnan(ours)  # the same as theirs: the tables are paired
    if not holes.any():
        wins = (a > b).mean(axis=(-3, -2, -1)) + 0.5 * (a == b).mean(axis=(-3, -2, -1))
        return np.asarray(wins)
    known = ~(holes[..., :, None] | holes[..., None, :])
    wins = (a > b) + 0.5 * (a == b)
    share = np.where(known, wins, 0.0).sum(axis=(-2, -1)) / known.sum(axis=(-2, -1))
    return np.asarray(share.mean(axis=-1))
