"""Learning curves as arrays: smoothing, targets, times to a target with censoring, profiles."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from frod_bench.stats.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    Floats,
    bootstrap_over_tasks,
    stack_tables,
)
from frod_bench.stats.estimates import NOTHING, Estimate, present


def smooth(values: ArrayLike, window: int) -> Floats:
    """Trailing mean over the last `window` points along the last axis (fewer at the start).

    Trailing, so that a point says nothing that was not known when it was measured. It delays every
    method by the same (window - 1) / 2 points, which draws ratios of times towards 1: the error is
    against whoever claims to be faster. Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}; it must be at least 1 point.")
    array = np.asarray(values, dtype=np.float64)
    size = array.shape[-1]
    means = np.empty_like(array)
    for end in range(1, min(window, size + 1)):
        means[..., end - 1] = array[..., :end].mean(axis=-1)
    if size >= window:
        means[..., window - 1 :] = sliding_window_view(array, window, axis=-1).mean(axis=-1)
    return means


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
    return float(_upper_median(present(values)))


def median_ratio(ratios: ArrayLike) -> float:
    """Median of ratios, of which 0 and infinity are some; NaN ones are left out.

    With an even number the geometric mean of the two middle ones, and 1 where those are 0 and
    infinity: turning every ratio over turns the median over, so it favours neither method.
    """
    return float(_median_ratio(present(ratios)))


def speedup_over_tasks(
    ours: ArrayLike,
    theirs: ArrayLike,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Median over tasks of theirs / ours, of the medians over seeds, with the nested bootstrap.

    Both are (tasks x seeds) times to target, infinite for a miss; a pair with an unknown (NaN) is
    left out. A task on which both miss has no ratio; `n` counts the tasks that have one.
    """
    stack = stack_tables([ours, theirs])
    ratios = _ratios(*stack)
    n = int((~np.isnan(ratios)).sum())
    if n == 0:
        return NOTHING
    # Quantiles are taken of r / (1 + r), which is finite for an infinite ratio.
    low, high = bootstrap_over_tasks(stack, _share_of_speedup, confidence, resamples, seed)
    return Estimate(float(_median_ratio(ratios)), _from_share(low), _from_share(high), n)


def performance_profile(times: ArrayLike, factors: ArrayLike) -> Floats:
    """Share of tasks on which each method is within a factor of the fastest one's time.

    `times` is (methods x tasks), infinite for a miss; returns (methods x factors). Dolan and More
    (2002). A task that no method solves counts against all; one with an unknown (NaN) time is left
    out.
    """
    array = np.atleast_2d(np.asarray(times, dtype=np.float64))
    array = array[:, ~np.isnan(array).any(axis=0)]
    if array.shape[1] == 0:
        return np.full((len(array), np.size(factors)), np.nan)
    limit = array.min(axis=0)[None, :, None] * np.asarray(factors, dtype=np.float64)
    within = np.isfinite(array)[..., None] & (array[..., None] <= limit)
    return np.asarray(within.mean(axis=1))


def area_below_best(scores: ArrayLike) -> Floats:
    """Mean over a grid of learning rates of the score, less the best: at most 0.

    The rates lie along the last axis, evenly spaced in their logarithm, so the mean is the area
    under the scores over the logarithm's range. A hole makes its row NaN.
    """
    array = np.asarray(scores, dtype=np.float64)
    return np.asarray(array.mean(axis=-1) - array.max(axis=-1))


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


def _upper_median(times: Floats) -> Floats:
    """Along the last axis; NaN, which sorts last, is left out."""
    values = np.sort(times, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    place = np.minimum(count // 2, values.shape[-1] - 1)
    return np.take_along_axis(values, place, axis=-1)[..., 0]


def _ratios(ours: Floats, theirs: Floats) -> Floats:
    """`speedup` of the medians over seeds, along the last axis."""
    a, b = _upper_median(ours), _upper_median(theirs)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = b / a  # of two misses NaN
    return np.where(a == b, np.where(np.isinf(a), np.nan, 1.0), ratio)


def _median_ratio(ratios: Floats) -> Floats:
    if ratios.shape[-1] == 0:
        return np.full(ratios.shape[:-1], np.nan)
    values = np.sort(ratios, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    last = values.shape[-1] - 1
    upper = np.take_along_axis(values, np.minimum(count // 2, last), axis=-1)[..., 0]
    lower = np.take_along_axis(values, np.maximum(count - 1, 0) // 2, axis=-1)[..., 0]
    with np.errstate(invalid="ignore"):
        between = np.sqrt(lower) * np.sqrt(upper)
    between = np.where(lower == upper, upper, between)  # exact, where there is one middle value
    return np.where((lower == 0) & np.isinf(upper), 1.0, between)


def _share_of_speedup(ours: Floats, theirs: Floats) -> Floats:
    ratio = _median_ratio(_ratios(ours, theirs))
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(ratio), 1.0, ratio / (1.0 + ratio))


def _from_share(share: float) -> float:
    return np.inf if share == 1.0 else share / (1.0 - share)
