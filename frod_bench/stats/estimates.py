"""Means over seeds and over tasks with their intervals, the nested bootstrap, spread over seeds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frod_bench.stats.distributions import chi_squared_quantile, student_quantile

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]
Places = NDArray[np.unsignedinteger[Any]]

CONFIDENCE = 0.95
RESAMPLES = 9_999
BATCH = 256  # resamples at a time: several times as fast if they fit into the processor's cache
MOST_KEPT_BYTES = 2**26  # of draws, for each of two shapes: 100 seeds of 20 tasks take 40 MB
# Fewer tasks get no bootstrap interval: that of two tasks covers 50 %
# (docs/explanation/statistics.md), and has no width if they agree.
FEWEST_TASKS = 3
# With fewer tasks the interval of the mean is Student's: a bootstrap of few values is too narrow
# (that of two covers 50 %, of five 86 %, of ten 91 %).
FEW_TASKS = 11
# With fewer seeds show `seed_range` instead of an interval: with one degree of freedom Student's t
# interval is 12.7 standard errors wide to each side, and says more of t than of the runs.
FEWEST_SEEDS = 3


class Estimate(NamedTuple):
    """A mean (or another statistic) with its interval; `n` counts the values behind it."""

    mean: float
    low: float
    high: float
    n: int


ROUNDING = 1e-9  # relative: differences that spread by less are equal
NOTHING = Estimate(np.nan, np.nan, np.nan, 0)


def mean_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean over the seeds of one task with Student's t interval; NaN below two values.

    A bootstrap of two or three seeds covers the mean in 50 % or 75 % of samples.
    """
    array = present(values)
    n = array.size
    mean = float(array.mean()) if n else np.nan
    if n < 2:
        return Estimate(mean, np.nan, np.nan, n)
    quantile = student_quantile((1 + confidence) / 2, n - 1)
    half = quantile * float(array.std(ddof=1)) / np.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def seed_range(values: ArrayLike) -> Estimate:
    """Return the mean over the seeds of one task with their lowest and highest value."""
    array = present(values)
    if array.size == 0:
        return NOTHING
    return Estimate(float(array.mean()), float(array.min()), float(array.max()), array.size)


def mean_over_tasks(
    table: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the mean over tasks of their means over seeds, with the nested bootstrap.

    With fewer than `FEW_TASKS` tasks the interval is Student's, of the tasks' means. `table` is
    (tasks x seeds); a task without any value is left out.
    """
    (tasks,) = stack_tables([table])
    if len(tasks) < FEW_TASKS:
        return mean_interval(_means_over_seeds(tasks), confidence)
    return estimate_over_tasks([table], mean_of_means, confidence, resamples)


def mean_of_these_tasks(table: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean over exactly these tasks of their means over seeds, with Student's interval.

    Only seeds are random: the variance is pooled from the spreads within tasks, and so are the
    degrees of freedom (Welch and Satterthwaite), since tasks spread by different amounts. `table`
    is (tasks x seeds); a task without any value is left out. The interval is NaN if a task has a
    single value, and if no task has any spread: that shows how coarse the metric is.
    """
    (tasks,) = stack_tables([table])
    if len(tasks) == 0:
        return NOTHING
    mean = float(mean_of_means(tasks))
    total, freedom = pooled_variance(tasks)
    if np.isnan(total):
        return Estimate(mean, np.nan, np.nan, len(tasks))
    quantile = student_quantile((1 + confidence) / 2, freedom)
    half = quantile * np.sqrt(total) / len(tasks)
    return Estimate(mean, mean - half, mean + half, len(tasks))


def pooled_variance(tasks: Floats) -> tuple[float, float]:
    """Return the sum of the variances of the tasks' means over seeds, and its degrees of freedom by
    Welch and Satterthwaite; NaN if a task has a single value, and if none spreads but by rounding.
    """
    counts = (~np.isnan(tasks)).sum(axis=1)
    variances = spread_over_seeds(tasks) ** 2 / counts  # of the tasks' means
    total = float(variances.sum())
    if not total > (ROUNDING * max(1.0, abs(float(mean_of_means(tasks))))) ** 2:
        return np.nan, np.nan
    return total, total**2 / float((variances**2 / (counts - 1)).sum())


def difference_over_tasks(
    ours: ArrayLike, theirs: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the mean of ours - theirs, one number per task, with a bootstrap of tasks alone.

    With fewer than `FEW_TASKS` tasks the interval is Student's. For numbers that are not means over
    seeds, such as their spread: that of redrawn seeds would be too small.
    """
    difference = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    return mean_over_tasks(difference[:, None], confidence, resamples)


def interquartile_mean(
    table: ArrayLike, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> Estimate:
    """Return the mean of the middle half of all (tasks x seeds) values, with the nested bootstrap.

    As in Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
    precipice": a quarter of the values, rounded down, is cut at each end.
    """
    (tasks,) = stack_tables([table])
    if len(tasks) == 0:
        return NOTHING
    values = np.sort(tasks, axis=None)  # NaN comes last
    ranks = np.argsort(np.argsort(tasks, axis=None)).astype(np.min_scalar_type(values.size))

    def of_ranks(ranks: Places) -> Floats:
        # Ranks of two bytes are sorted in a third of the time that values take.
        return _mean_of_middle(values, _sorted(ranks))

    return estimate_of_draws(
        float(of_ranks(np.arange(values.size, dtype=ranks.dtype)[None])[0]),
        tasks,
        lambda places: of_ranks(ranks.take(places)),
        confidence,
        resamples,
    )


def spread_over_seeds(table: ArrayLike) -> Floats:
    """Return each task's standard deviation (n - 1) of a (tasks x seeds) table; NaN below two."""
    rows = map(present, np.atleast_2d(table))
    return np.array([row.std(ddof=1) if row.size >= 2 else np.nan for row in rows])


def spread_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Return the standard deviation (n - 1) over the seeds of one task; NaN below two seeds.

    The interval is the chi-squared one of normal values.
    """
    array = present(values)
    n = array.size
    if n < 2:
        return Estimate(np.nan, np.nan, np.nan, n)
    spread = float(array.std(ddof=1))
    return Estimate(spread, *ends_of_a_spread(spread, n - 1, confidence), n)


def ends_of_a_spread(spread: float, freedom: float, confidence: float) -> tuple[float, float]:
    """The chi-squared interval of a spread that was measured with these degrees of freedom."""
    tails = (1 + confidence) / 2, (1 - confidence) / 2
    low, high = (spread * np.sqrt(freedom / chi_squared_quantile(tail, freedom)) for tail in tails)
    return float(low), float(high)


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


def estimate_over_tasks(
    tables: Sequence[ArrayLike],
    statistic: Statistic,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    fewest_tasks: int = FEWEST_TASKS,
) -> Estimate:
    """Return a statistic of paired tables with its percentile interval; `n` counts the tasks.

    Tasks are resampled and, within each drawn task, its seeds. `statistic` takes each redrawn
    table, (resamples x tasks x seeds) with NaN behind a task's last value, and returns one number
    per resample; NaN is left out. With fewer than `fewest_tasks` tasks both ends are NaN.
    """
    stack = stack_tables(tables)
    if stack.shape[1] == 0:
        return NOTHING
    flat = [table.ravel() for table in stack]
    return estimate_of_draws(
        float(statistic(*stack)),
        stack[0],
        lambda places: statistic(*(table.take(places) for table in flat)),
        confidence,
        resamples,
        fewest_tasks,
    )


def estimate_of_draws(  # noqa: PLR0917  (the order of `estimate_over_tasks`)
    value: float,
    table: Floats,
    statistic: Callable[[Places], Floats],
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    fewest_tasks: int = FEWEST_TASKS,
) -> Estimate:
    """Return `value` with the percentile interval of a statistic of drawn places (see `draws`).

    `table` is one of `stack_tables`, and says how many values each task has. `statistic` returns
    one number per resample; NaN is left out.
    """
    tasks, seeds = table.shape
    unknown = Estimate(value, np.nan, np.nan, tasks)
    if tasks < fewest_tasks:
        return unknown
    counts = tuple((~np.isnan(table)).sum(axis=1).tolist())
    found = np.concatenate([statistic(places) for places in draws(counts, seeds, resamples)])
    found = found[~np.isnan(found)]
    if found.size == 0:
        return unknown
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return unknown._replace(low=float(low), high=float(high))


def draws(counts: tuple[int, ...], seeds: int, resamples: int) -> Iterable[Places]:
    """Return what the nested bootstrap draws, in batches of (resamples x tasks x seeds).

    It draws places in the flat (tasks x seeds) table, whose tasks have `counts` values each. The
    draws depend on the three arguments alone. Unless they are too large, they are therefore kept
    for the next table of the same shape.
    """
    size = resamples * len(counts) * seeds * _place_type(counts, seeds).itemsize
    drawn = _kept_draws if size <= MOST_KEPT_BYTES else _draws
    return drawn(counts, seeds, resamples)


def _draws(counts: tuple[int, ...], seeds: int, resamples: int) -> Iterator[Places]:
    tasks, count_of = len(counts), np.array(counts)
    # Tasks are drawn as `scipy.stats.bootstrap` draws them, batch after batch.
    between, within = np.random.default_rng(0), np.random.default_rng([0, 1])
    for start in range(0, resamples, BATCH):
        task = between.integers(0, tasks, (min(BATCH, resamples - start), tasks))[..., None]
        index, count = np.arange(seeds), count_of[task]
        drawn = (within.random((*task.shape[:2], seeds)) * count).astype(np.intp)
        # Behind a task's last value there are missing values already: leave them.
        index = np.where(index < count, drawn, index)
        yield (task * seeds + index).astype(_place_type(counts, seeds))


@lru_cache(maxsize=2)
def _kept_draws(counts: tuple[int, ...], seeds: int, resamples: int) -> list[Places]:
    return list(_draws(counts, seeds, resamples))


def _place_type(counts: tuple[int, ...], seeds: int) -> np.dtype[Any]:
    """The smallest type that holds each place."""
    return np.min_scalar_type(len(counts) * seeds)


def present(values: ArrayLike) -> Floats:
    """Return the values that are not missing (NaN), flattened."""
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]


def _means_over_seeds(table: Floats) -> Floats:
    known = ~np.isnan(table)
    return np.asarray(np.where(known, table, 0.0).sum(axis=-1) / known.sum(axis=-1))


def mean_of_means(table: Floats) -> Floats:
    """Return the mean over tasks of their means over seeds, the last two axes."""
    if not np.isnan(table).any():
        return np.asarray(table.mean(axis=(-2, -1)))
    return np.asarray(_means_over_seeds(table).mean(axis=-1))


def _sorted(ranks: Places) -> Places:
    """Sort the ranks (resamples x tasks x seeds) of each resample; stable sorting of two bytes is
    radix sort.
    """
    flat = ranks.reshape(len(ranks), -1)
    flat.sort(axis=-1, kind="stable" if flat.itemsize <= 2 else "quicksort")
    return flat


def _mean_of_middle(values: Floats, ranks: Places) -> Floats:
    """Return the mean of the middle half of each row of `ranks` (rows x n).

    A row contains sorted places in the sorted `values`, whose missing values come last. Each sum
    has n terms, with zeros for the values that are cut, so that rows with different numbers of
    values are rounded in the same way.
    """
    known = values[~np.isnan(values)]
    counted = ranks if known.size < values.size else ranks[:1]  # all rows are of one length
    n = np.count_nonzero(counted < known.size, axis=-1, keepdims=True)
    cut, rank = n // 4, np.arange(ranks.shape[-1])
    middle = (rank >= cut) & (rank < n - cut)
    places = np.where(middle, ranks, ranks.dtype.type(known.size))  # that of a zero
    sums = np.append(known, 0.0).take(places).sum(axis=-1)
    return np.asarray(sums / (n - 2 * cut)[..., 0])
