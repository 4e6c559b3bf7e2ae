"""Pure functions of arrays: intervals over seeds and tasks, and time to a target.

Tables are (tasks x seeds) and curves (seeds x points) arrays; NaN marks a hole, and every estimate
says over how many values it was taken. An interval that the data cannot give is NaN, never zero.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 9_999


class Estimate(NamedTuple):
    """A mean with its interval; `n` is the number of values that it was taken over."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Mean over the seeds of one task, with Student's t interval; NaN ends below two values.

    Not a bootstrap: of three seeds its nominal 95 % interval covers about 76 %, of two 53 %.
    """
    array = _present(values)
    n = array.size
    mean = float(array.mean()) if n else np.nan
    if n < 2:
        return Estimate(mean, np.nan, np.nan, n)
    quantile = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    half = quantile * float(array.std(ddof=1)) / np.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def mean_over_tasks(
    table: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Mean over tasks of their means over seeds, with a hierarchical percentile bootstrap.

    Tasks are resampled with replacement and, within each drawn task, its seeds, so that both
    sources of spread are in the interval. `table` is (tasks x seeds); a task with no value at all
    is left out, and `n` counts the tasks that remain. NaN ends below two tasks.
    """
    array = np.atleast_2d(np.asarray(table, dtype=np.float64))
    array = array[~np.isnan(array).all(axis=1)]
    n = len(array)
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    mean = float(np.nanmean(array, axis=1).mean())
    if n < 2:
        return Estimate(mean, np.nan, np.nan, n)
    means = _resampled_task_means(array, resamples, np.random.default_rng(seed)).mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(mean, float(low), float(high), n)


def smooth(values: ArrayLike, window: int) -> Floats:
    """Trailing mean over the last `window` points along the last axis (fewer at the start).

    Trailing, so that a point says nothing that was not known when it was measured. It delays every
    method by the same (window - 1) / 2 points, which draws ratios of times towards 1: the error is
    against whoever claims to be faster. Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}; it must be at least 1 point.")
    array = np.asarray(values, dtype=np.float64)
    ends = range(1, array.shape[-1] + 1)
    means = [array[..., max(0, end - window) : end].mean(axis=-1) for end in ends]
    return np.stack(means, axis=-1) if means else array


def target_from_reference(
    curves: ArrayLike, fraction: float, window: int, higher_is_better: bool = True
) -> float:
    """The value that counts as arrived: start + fraction (final - start) of the reference's curve.

    `curves` is (seeds x points), full fine-tuning's; start and final are the ends of its mean over
    seeds, smoothed. NaN where the reference gained nothing, for then there is nothing to reach.
    """
    mean = smooth(np.atleast_2d(np.asarray(curves, dtype=np.float64)).mean(axis=0), window)
    if mean.size == 0:
        return np.nan
    gain = float(mean[-1] - mean[0])
    if not (gain > 0 if higher_is_better else gain < 0):
        return np.nan
    return float(mean[0]) + fraction * gain


def time_to_target(
    times: ArrayLike, values: ArrayLike, target: float, higher_is_better: bool = True
) -> float:
    """The first of `times` (steps or seconds) at which `values` is at the target; a miss is inf.

    Values are those of a curve that is smoothed already. NaN where the target is NaN: then the
    question has no answer, which is not the same as a miss.
    """
    if np.isnan(target):
        return np.nan
    array = np.asarray(values, dtype=np.float64)
    arrived = array >= target if higher_is_better else array <= target
    where = np.flatnonzero(arrived)
    return float(np.asarray(times, dtype=np.float64)[where[0]]) if where.size else np.inf


def speedup(ours: float, theirs: float) -> float:
    """How many times sooner we arrive: theirs / ours. Two misses compare as NaN: undecided.

    Our miss alone is 0, theirs alone is infinite; equal times, zero included, are 1.
    """
    if np.isnan(ours) or np.isnan(theirs) or (np.isinf(ours) and np.isinf(theirs)):
        return np.nan
    if ours == theirs:
        return 1.0
    return np.inf if np.isinf(theirs) or ours == 0 else theirs / ours


def median_over_seeds(values: ArrayLike) -> float:
    """Median in which a miss counts as infinite; NaN values are left out, NaN if none remains.

    With an even number the upper of the two middle values, for the mean of a number and a miss
    would be a miss. Use it for times to target.
    """
    array = np.sort(_present(values))
    return float(array[array.size // 2]) if array.size else np.nan


def resample_onto(grid: ArrayLike, times: ArrayLike, values: ArrayLike) -> Floats:
    """A curve read at the places of `grid` by linear interpolation.

    NaN before the curve's first point (nothing was measured yet); after its last point the last
    value, since the run has ended there and its model changes no more.
    """
    grid = np.asarray(grid, dtype=np.float64)
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0:
        return np.full(grid.shape, np.nan)
    result = np.interp(grid, times, np.asarray(values, dtype=np.float64))
    return np.where(grid < times[0], np.nan, result)


def _present(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def _resampled_task_means(table: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """(resamples x tasks) means of redrawn tasks' redrawn seeds; tasks may lack seeds."""
    tasks, seeds = table.shape
    holes = np.isnan(table)
    packed = np.take_along_axis(table, np.argsort(holes, axis=1, kind="stable"), axis=1)
    counts = seeds - holes.sum(axis=1)
    task = rng.integers(tasks, size=(resamples, tasks))
    count = counts[task][..., None]
    seed = (rng.random((resamples, tasks, seeds)) * count).astype(np.intp)
    drawn = np.where(np.arange(seeds) < count, packed[task[..., None], seed], 0.0)
    return np.asarray(drawn.sum(axis=-1) / count[..., 0])
