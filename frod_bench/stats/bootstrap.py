"""SciPy's bootstrap, nested: tasks are resampled and, within each drawn task, its seeds."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]

CONFIDENCE = 0.95
RESAMPLES = 9_999
# Of fewer tasks no bootstrap: of two it covers 50 % (docs/statistics.md), and where they agree it
# has no width.
FEWEST_TASKS = 3
BATCH = 256  # resamples at a time: what fits a processor's cache is several times as fast


def stack_tables(tables: Sequence[ArrayLike]) -> Floats:
    """Tables of (tasks x seeds) as one (tables x tasks x seeds) array, paired.

    A seed with a hole (NaN) in one table is a hole in all. A task without a whole seed is left out,
    and a task's holes are moved behind its values. Raises ValueError where the shapes differ.
    """
    arrays = [np.atleast_2d(np.asarray(table, dtype=np.float64)) for table in tables]
    if len(shapes := {array.shape for array in arrays}) > 1:
        raise ValueError(f"paired tables must have one shape; these have {sorted(shapes)}.")
    stack = np.stack(arrays)
    holes = np.asarray(np.isnan(stack).any(axis=0))
    stack = np.where(holes, np.nan, stack)
    order = np.argsort(holes, axis=1, kind="stable")
    packed = np.take_along_axis(stack, np.broadcast_to(order, stack.shape), axis=2)
    return packed[:, ~holes.all(axis=1)]


def bootstrap_over_tasks(
    stack: Floats,
    statistic: Statistic,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
    *,
    redraw_seeds: bool = True,
) -> tuple[float, float]:
    """Percentile interval of a statistic of paired tables; NaN ends below `FEWEST_TASKS`.

    `stack` is what `stack_tables` gives. `statistic` takes each redrawn table, (resamples x tasks x
    seeds) with NaN behind a task's last value, and returns a number a resample. Where it returns
    NaN (nothing to judge was drawn) the resample is left out. `redraw_seeds=False` keeps each drawn
    task's seeds as they are, for a statistic that redrawn seeds would bias.
    """
    _, tasks, seeds = stack.shape
    if tasks < FEWEST_TASKS:
        return np.nan, np.nan
    counts = (~np.isnan(stack[0])).sum(axis=1)
    within = np.random.default_rng([seed, 1])

    def of_drawn(task: ArrayLike, axis: int) -> Floats:  # noqa: ARG001  (SciPy passes it)
        task = np.asarray(task, dtype=np.intp)
        place = np.broadcast_to(np.arange(seeds), (*task.shape, seeds))
        if redraw_seeds:
            count = counts[task][..., None]
            drawn = (within.random(place.shape) * count).astype(np.intp)
            # Places behind a task's last value hold a hole already: leave them.
            place = np.where(place < count, drawn, place)
        flat = task[..., None] * seeds + place
        return statistic(*(table.ravel().take(flat) for table in stack))

    with warnings.catch_warnings():
        # Said of resamples without a value; those are left out below.
        warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)
        found: Floats = scipy_stats.bootstrap(
            (np.arange(tasks),),
            of_drawn,
            n_resamples=resamples,
            batch=BATCH,
            vectorized=True,
            axis=-1,
            method="percentile",  # the others are not defined where all resamples agree
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
    found = found[~np.isnan(found)]
    if found.size == 0:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)
