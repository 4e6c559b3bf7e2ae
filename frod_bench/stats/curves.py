"""Learning curves as arrays: smoothing, censored times to a target, performance profiles."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from frod_bench.stats.estimates import (
    CONFIDENCE,
    NOTHING,
    RESAMPLES,
    Estimate,
    Floats,
    estimate_over_tasks,
    present,
    stack_tables,
)

# Fewer tasks with a ratio get no interval of the median: of five independent ones all are on one
# side of it in one case of 16, more often than the 5 % that an interval of 95 % may miss.
FEWEST_RATIOS = 6


def smooth(values: ArrayLike, window: int) -> Floats:
    """Return the trailing mean over `window` points along the last axis (fewer at the start).

    This delays every method by the same (window - 1) / 2 points and draws ratios of times towards
    1, which is conservative for a claim to be faster. Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}; it must be at least 1 point.")
    array = np.asarray(values, dtype=np.float64)
    means = np.empty_like(array)
    for end in range(1, min(window, array.shape[-1] + 1)):
        means[..., end - 1] = array[..., :end].mean(axis=-1)
    if array.shape[-1] >= window:
        means[..., window - 1 :] = sliding_window_view(array, window, axis=-1).mean(axis=-1)
    return means


def target_from_reference(
    curves: ArrayLike, fraction: float, window: int, higher_is_better: bool = True
) -> float:
    """Return the target, start + fraction (final - start) of the reference's curve.

    `curves` is (seeds x points), of full fine-tuning; start and final are the ends of its smoothed
    mean over seeds. NaN if the reference gained nothing: then there is nothing to reach.
    """
    mean = smooth(np.atleast_2d(np.asarray(curves, dtype=np.float64)).mean(axis=0), window)
    if mean.size == 0:
        return np.nan
    gain = float(mean[-1] - mean[0])
    if not (gain > 0 if higher_is_better else gain < 0):
        return np.nan
    return float(mean[0]) + fraction * gain


def target_from_lowest(losses: ArrayLike, fraction: float, window: int) -> float:
    """Return the target of one run's loss, start - fraction (start - lowest) of its smoothed curve.

    The lowest value and not the last, since a held-out loss rises again. NaN if the loss never fell
    below its start: then there is nothing to reach.
    """
    smoothed = smooth(losses, window)
    if smoothed.size == 0 or not (gain := float(smoothed[0] - smoothed.min())) > 0:
        return np.nan
    return float(smoothed[0]) - fraction * gain


def time_to_target(
    times: ArrayLike, values: ArrayLike, target: float, higher_is_better: bool = True
) -> float:
    """Return the first of `times` (steps or seconds) at which `values` reaches the target.

    A miss, a curve that never reaches it, gives infinity. `values` are smoothed already. NaN if the
    target is NaN: the question has no answer then, which is different from a miss.
    """
    if np.isnan(target):
        return np.nan
    array = np.asarray(values, dtype=np.float64)
    reached = np.flatnonzero(array >= target if higher_is_better else array <= target)
    return float(np.asarray(times, dtype=np.float64)[reached[0]]) if reached.size else np.inf


def speedup(ours: float, theirs: float) -> float:
    """Return theirs / ours, how many times sooner we reach the target.

    Our miss alone gives 0, theirs alone infinity, two misses NaN (undecided); equal times, zero
    included, give 1.
    """
    return float(_speedups(np.asarray(ours), np.asarray(theirs)))


def median_over_seeds(values: ArrayLike) -> float:
    """Return the median of times to target; NaN values are left out, and NaN if none remains.

    A miss is infinite. Of an even number it is the upper of the two middle values, since the mean
    of a number and a miss would be a miss.
    """
    return float(_middle(present(values))[1])


def median_ratio(ratios: ArrayLike) -> float:
    """Return the median of ratios, which may be 0 or infinite; NaN ones are left out.

    Of an even number it is the geometric mean of the two middle ones, and 1 if these are 0 and
    infinity: inverting every ratio inverts the median.
    """
    return float(_median_ratio(present(ratios)))


def speedup_over_tasks(
    ours: ArrayLike, theirs: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the median over tasks of theirs / ours, with the nested bootstrap.

    Both are (tasks x seeds) times to target, infinite for a miss; each ratio is that of the medians
    over seeds. `n` counts the tasks with a ratio, which those that both methods miss do not have.
    With fewer than `FEWEST_RATIOS` there is no interval.
    """
    ratios = _speedups_of_medians(*stack_tables([ours, theirs]))
    n = int((~np.isnan(ratios)).sum())
    if n == 0:
        return NOTHING
    median = float(_median_ratio(ratios))
    if n < FEWEST_RATIOS:
        return Estimate(median, np.nan, np.nan, n)
    # Quantiles are those of r / (1 + r), which is finite for an infinite ratio.
    share = estimate_over_tasks([ours, theirs], _share_of_speedup, confidence, resamples)
    low, high = (np.inf if end == 1.0 else end / (1.0 - end) for end in (share.low, share.high))
    return Estimate(median, low, high, n)


def performance_profile(times: ArrayLike, factors: ArrayLike) -> Floats:
    """Return the share of tasks on which each method is within a factor of the fastest one's time.

    Dolan and More (2002). `times` is (methods x tasks), infinite for a miss; returns (methods x
    factors). A task that no method solves counts against all; one with a NaN is left out.
    """
    array = np.atleast_2d(np.asarray(times, dtype=np.float64))
    array = array[:, ~np.isnan(array).any(axis=0)]
    if array.shape[1] == 0:
        return np.full((len(array), np.size(factors)), np.nan)
    limit = array.min(axis=0)[None, :, None] * np.asarray(factors, dtype=np.float64)
    within = np.isfinite(array)[..., None] & (array[..., None] <= limit)
    return np.asarray(within.mean(axis=1))


def pareto_front(costs: ArrayLike, gains: ArrayLike) -> NDArray[np.bool_]:
    """Return for which points (n,) no other is as cheap and as good, and better in one of the two.

    A point with a missing value (NaN) is not on the front, and beats none.
    """
    cost, gain = (np.asarray(values, dtype=np.float64) for values in (costs, gains))
    no_worse = (cost[:, None] <= cost) & (gain[:, None] >= gain)  # row against column
    better = (cost[:, None] < cost) | (gain[:, None] > gain)
    known = ~(np.isnan(cost) | np.isnan(gain))
    return np.asarray(known & ~(no_worse & better).any(axis=0))


def area_below_best(scores: ArrayLike) -> Floats:
    """Return the mean score over a grid of learning rates minus the best score: at most 0.

    The learning rates are along the last axis, evenly spaced in their logarithm. A missing value
    makes its row NaN.
    """
    array = np.asarray(scores, dtype=np.float64)
    return np.asarray(array.mean(axis=-1) - array.max(axis=-1))


def resample_onto(grid: ArrayLike, times: ArrayLike, values: ArrayLike) -> Floats:
    """Interpolate a curve linearly at the times of `grid`.

    NaN before the curve's first point; the last value after its last point, when the run has ended.
    """
    grid = np.asarray(grid, dtype=np.float64)
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0:
        return np.full(grid.shape, np.nan)
    result = np.interp(grid, times, np.asarray(values, dtype=np.float64))
    return np.where(grid < times[0], np.nan, result)


def _middle(values: Floats) -> tuple[Floats, Floats]:
    """Return the two middle values along the last axis, equal if there is one; NaN is left out."""
    if values.shape[-1] == 0:
        unknown = np.full(values.shape[:-1], np.nan)
        return unknown, unknown
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    lower = np.maximum(count - 1, 0) // 2
    upper = np.minimum(count // 2, ordered.shape[-1] - 1)
    lower, upper = (np.take_along_axis(ordered, at, axis=-1)[..., 0] for at in (lower, upper))
    return lower, upper


def _speedups(ours: Floats, theirs: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(theirs, ours)  # of two misses NaN
    return np.where((ours == theirs) & np.isfinite(ours), 1.0, ratio)


def _speedups_of_medians(ours: Floats, theirs: Floats) -> Floats:
    """Return `speedup` of the medians over seeds, along the last axis."""
    return _speedups(_middle(ours)[1], _middle(theirs)[1])


def _median_ratio(ratios: Floats) -> Floats:
    lower, upper = _middle(ratios)
    with np.errstate(invalid="ignore"):
        between = np.sqrt(lower) * np.sqrt(upper)
    between = np.where(lower == upper, upper, between)  # exact, if there is one middle value
    return np.where((lower == 0) & np.isinf(upper), 1.0, between)


def _share_of_speedup(ours: Floats, theirs: Floats) -> Floats:
    ratio = _median_ratio(_speedups_of_medians(ours, theirs))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(ratio), 1.0, ratio / (1.0 + ratio))
