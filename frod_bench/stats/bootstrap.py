"""Nested bootstrap with SciPy: tasks are resampled and, within each drawn task, its seeds."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]

CONFIDENCE = 0.95
RESAMPLES = 9_999
# Fewer tasks get no bootstrap interval: that of two tasks covers 50 %
# (docs/explanation/statistics.md), and has no width if they agree.
FEWEST_TASKS = 3
BATCH = 256  # resamples at a time: several times as fast if they fit into the processor's cache


def stack_tables(tables: Sequence[ArrayLike]) -> Floats:
    """Stack paired (tasks x seeds) tables into one array, (tables x tasks x seeds).

    A seed that is missing (NaN) in one table is missing in all. Tasks without any seed are dropped,
    and the missing values of a task are moved behind its values. Raises ValueError if the shapes
    differ.
    """
    arrays = [np.atleast_2d(np.asarray(table, dtype=np.float64)) for table in tables]
    if len(shapes := {array.shape for array in arrays}) > 1:
        raise ValueError(f"paired tables must have one shape; these have {sorted(shapes)}.")
    stack = np.stack(arrays)
    missing = np.asarray(np.isnan(stack).any(axis=0))
    stack = np.where(missing, np.nan, stack)
    order = np.argsort(missing, axis=1, kind="stable")
    packed = np.take_along_axis(stack, np.broadcast_to(order, stack.shape), axis=2)
    return packed[:, ~missing.all(axis=1)]


def bootstrap_over_tasks(
    stack: Floats,
    statistic: Statistic,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    *,
    redraw_seeds: bool = True,
    fewest_tasks: int = FEWEST_TASKS,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of paired tables.

    Args:
        stack: the result of `stack_tables`.
        statistic: takes each redrawn table, (resamples x tasks x seeds) with NaN behind a task's
            last value, and returns one number per resample. A resample that gives NaN is left out.
        redraw_seeds: False keeps the seeds of each drawn task, for a statistic that redrawn seeds
            would bias.
        fewest_tasks: with fewer tasks both ends are NaN.
    """
    _, tasks, seeds = stack.shape
    if tasks < fewest_tasks:
        return np.nan, np.nan
    counts = (~np.isnan(stack[0])).sum(axis=1)
    within = np.random.default_rng([seed, 1])

    def of_drawn(task: ArrayLike, axis: int) -> Floats:  # noqa: ARG001  (SciPy passes it)
        task = np.asarray(task, dtype=np.intp)
        index = np.broadcast_to(np.arange(seeds), (*task.shape, seeds))
        if redraw_seeds:
            count = counts[task][..., None]
            drawn = (within.random(index.shape) * count).astype(np.intp)
            # Behind a task's last value there are missing values already: leave them.
            index = np.where(index < count, drawn, index)
        flat = task[..., None] * seeds + index
        return statistic(*(table.ravel().take(flat) for table in stack))

    with warnings.catch_warnings():
        # SciPy warns of resamples that give NaN; they are left out below.
        warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)
        found: Floats = scipy_stats.bootstrap(
            (np.arange(tasks),),
            of_drawn,
            n_resamples=resamples,
            batch=BATCH,
            vectorized=True,
            axis=-1,
            method="percentile",  # the others are undefined if all resamples agree
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    found = found[~np.isnan(found)]
    if found.size == 0:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
