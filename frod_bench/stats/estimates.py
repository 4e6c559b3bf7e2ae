"""Means over seeds and over tasks with their intervals; spread over seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats as scipy_stats

from frod_bench.stats.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    Floats,
    Statistic,
    bootstrap_over_tasks,
    stack_tables,
)


class Estimate(NamedTuple):
    """A mean (or another statistic) with its interval; `n` counts the values behind it."""

    mean: float
    low: float
    high: float
    n: int


NOTHING = Estimate(np.nan, np.nan, np.nan, 0)
# With fewer tasks the interval of the mean is Student's: a bootstrap of few values is too narrow
# (that of two covers 50 %, of five 86 %; docs/explanation/statistics.md).
FEW_TASKS = 10
# With fewer seeds show `seed_range` instead of an interval: with one degree of freedom Student's t
# interval is 12.7 standard errors wide to each side, and says more of t than of the runs.
FEWEST_SEEDS = 3


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean over the seeds of one task with Student's t interval; NaN below two values.

    Not a bootstrap: its nominal 95 % interval of two or three seeds is their range, and covers the
    mean of a symmetric distribution in 50 % or 75 % of samples.
    """
    array = present(values)
    n = array.size
    mean = float(array.mean()) if n else np.nan
    if n < 2:
        return Estimate(mean, np.nan, np.nan, n)
    quantile = float(scipy_stats.t.ppf((1 + confidence) / 2, n - 1))
    half = quantile * float(array.std(ddof=1)) / np.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def seed_range(values: ArrayLike) -> Estimate:
    """Return the mean over the seeds of one task with their lowest and highest value.

    A range, and no interval: it makes no statement about other seeds. It is what tables show below
    `FEWEST_SEEDS` seeds. All NaN without any value.
    """
    array = present(values)
    if array.size == 0:
        return NOTHING
    return Estimate(float(array.mean()), float(array.min()), float(array.max()), array.size)


def mean_over_tasks(
    table: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the mean over tasks of their means over seeds, with the nested bootstrap.

    With fewer than `FEW_TASKS` tasks the interval is Student's, of the tasks' means, which contain
    the noise of their seeds; its ends are NaN below two tasks. `table` is (tasks x seeds); a task
    without any value is left out, and `n` counts the tasks that remain. For paired methods, give
    the table of differences.
    """
    (tasks,) = stack_tables([table])
    if len(tasks) < FEW_TASKS:
        return mean_interval(_means_over_seeds(tasks), confidence)
    return estimate_over_tasks([table], _mean_of_means, confidence, resamples, seed)


def interquartile_mean(
    table: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the mean of the middle half of all (tasks x seeds) values, with the nested bootstrap.

    As in Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
    precipice": a quarter of the values, rounded down, is cut at each end. `n` counts the tasks.
    """
    return estimate_over_tasks([table], _middle_half, confidence, resamples, seed)


def spread_over_seeds(table: ArrayLike) -> Floats:
    """Return the standard deviation (n - 1) of each task over its seeds; NaN below two seeds.

    `table` is (tasks x seeds).
    """
    array = np.atleast_2d(np.asarray(table, dtype=np.float64))
    spread = np.full(len(array), np.nan)
    for task, values in enumerate(map(present, array)):
        if values.size >= 2:
            spread[task] = values.std(ddof=1)
    return spread


def spread_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the standard deviation (n - 1) over the seeds of one task; NaN below two seeds.

    The interval is the chi-squared one of normal values; `n` counts them.
    """
    array = present(values)
    n = array.size
    if n < 2:
        return Estimate(np.nan, np.nan, np.nan, n)
    spread = float(array.std(ddof=1))
    tails = (1 + confidence) / 2, (1 - confidence) / 2
    low, high = (spread * np.sqrt((n - 1) / scipy_stats.chi2.ppf(tail, n - 1)) for tail in tails)
    return Estimate(spread, float(low), float(high), n)


def difference_over_tasks(
    ours: ArrayLike,
    theirs: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the mean of ours - theirs, one number per task, with a bootstrap of tasks alone.

    With fewer than `FEW_TASKS` tasks the interval is Student's. For numbers that are not means over
    seeds, such as their spread: the spread of redrawn seeds is too small (of three by a factor of
    0.82 in the root mean square), and the spread of a task contains the noise of its seeds already.
    """
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    if present(difference).size < FEW_TASKS:
        return mean_interval(difference, confidence)
    return estimate_over_tasks(
        [difference[:, None]], _mean_of_means, confidence, resamples, seed, redraw_seeds=False
    )


def estimate_over_tasks(
    tables: Sequence[ArrayLike],
    statistic: Statistic,
    confidence: float,
    resamples: int,
    seed: int,
    *,
    redraw_seeds: bool = True,
) -> Estimate:
    """Return a statistic of paired tables with its bootstrap interval; `n` counts the tasks."""
    stack = stack_tables(tables)
    n = stack.shape[1]
    if n == 0:
        return NOTHING
    ends = bootstrap_over_tasks(
        stack, statistic, confidence, resamples, seed, redraw_seeds=redraw_seeds
    )
    return Estimate(float(statistic(*stack)), *ends, n)


def present(values: ArrayLike) -> Floats:
    """Return the values that are not missing (NaN), flattened."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def _means_over_seeds(table: Floats) -> Floats:
    known = ~np.isnan(table)
    return np.asarray(np.where(known, table, 0.0).sum(axis=-1) / known.sum(axis=-1))


def _mean_of_means(table: Floats) -> Floats:
    if not np.isnan(table).any():
        return np.asarray(table.mean(axis=(-2, -1)))
    return np.asarray(_means_over_seeds(table).mean(axis=-1))


def _middle_half(table: Floats) -> Floats:
    values = np.sort(table.reshape(*table.shape[:-2], -1), axis=-1)  # NaN comes last
    n = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    cut = n // 4
    rank = np.arange(values.shape[-1])
    middle = (rank >= cut) & (rank < n - cut)
    return np.asarray(np.where(middle, values, 0.0).sum(axis=-1) / middle.sum(axis=-1))
