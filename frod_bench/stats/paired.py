"""Comparisons of two methods: equivalence, probability of improvement, single examples."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from frod_bench.stats.distributions import fair_coin_p_values, student_below, student_quantile
from frod_bench.stats.estimates import (
    CONFIDENCE,
    NOTHING,
    RESAMPLES,
    ROUNDING,
    Estimate,
    Floats,
    ends_of_a_spread,
    estimate_of_draws,
    mean_of_these_tasks,
    mean_over_tasks,
    pooled_variance,
    present,
    stack_tables,
)


class Equivalence(NamedTuple):
    """The mean difference with its interval of confidence 1 - 2 alpha, against a margin."""

    difference: Estimate
    equivalent: bool  # the interval is within the margin on both sides
    better: bool  # wholly above 0
    worse: bool  # wholly below -margin


class Resolution(NamedTuple):
    """What two (tasks x seeds) tables can find, with the chi-squared intervals of their spread."""

    difference: Estimate  # the smallest whose interval of confidence 1 - 2 alpha leaves out 0
    margin: Estimate  # the smallest within which two equal methods are found equivalent


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


def decisive_tasks(
    differences: ArrayLike, confidence: float = CONFIDENCE
) -> NDArray[np.bool_] | None:
    """Return for each task whether removing it alone changes what the interval says about 0.

    The interval of `mean_of_these_tasks` is above 0, is below 0, or contains 0. Having no interval
    without the task counts as a change, too. Returns None if all tasks together have no interval.
    `differences` is (tasks x seeds). A task without any value decides nothing.
    """
    table = np.asarray(differences, dtype=np.float64)
    side = _side_of_0(table, confidence)
    if side is None:
        return None
    known = ~np.isnan(table).all(axis=1)
    left = (np.delete(table, place, axis=0) for place in range(len(table)))
    changed = [_side_of_0(rest, confidence) != side for rest in left]
    return np.array(changed, dtype=bool) & known


def _side_of_0(table: Floats, confidence: float) -> int | None:
    """1 if the interval lies above 0, -1 if below, 0 if it holds 0; None without an interval."""
    found = mean_of_these_tasks(table, confidence)
    return None if np.isnan(found.low) else int(found.low > 0) - int(found.high < 0)


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


def resolution(ours: ArrayLike, theirs: ArrayLike, alpha: float, power: float) -> Resolution:
    """Return the smallest true difference and the smallest margin that `equivalence` can find.

    `equivalence` of these tasks at `alpha` finds them with probability `power`, at the spread over
    seeds of these tables. In standard errors, the difference is t(1 - alpha) + t(power). The margin
    is t(1 - alpha) + t((1 + power) / 2), since an equal method can fail on either side. In
    simulated sweeps, a `power` of 0.8 is in fact 0.78 to 0.79 for the difference and 0.76 to 0.78
    for the margin, because each sweep estimates the degrees of freedom anew. Both are NaN if
    `mean_of_these_tasks` has no interval.
    """
    (tasks,) = stack_tables([np.asarray(ours, dtype=np.float64) - np.asarray(theirs)])
    n = len(tasks)
    total, freedom = pooled_variance(tasks) if n else (np.nan, np.nan)
    if np.isnan(total):
        return Resolution(*2 * [Estimate(np.nan, np.nan, np.nan, n)])
    error = float(np.sqrt(total)) / n
    found = []
    for probability in (power, (1 + power) / 2):
        quantiles = [student_quantile(one, freedom) for one in (1 - alpha, probability)]
        smallest = sum(quantiles) * error
        found.append(Estimate(smallest, *ends_of_a_spread(smallest, freedom, CONFIDENCE), n))
    return Resolution(*found)


def tost(differences: ArrayLike, margin: float) -> float:
    """Return the p-value of Student's two one-sided tests that the mean is within the margin.

    NaN below two values, and if all are equal but for rounding: a few differences without any
    spread show how coarse the metric is, not how certain the mean is.
    """
    values = present(differences)
    if values.size < 2 or values.std() <= ROUNDING * max(1.0, abs(float(values.mean()))):
        return np.nan
    n, mean = values.size, float(values.mean())
    error = np.sqrt(((values - mean) ** 2).mean() * (n / (n - 1)) / n)
    above, below = -(mean + margin) / error, (mean - margin) / error
    return max(student_below(above, n - 1), student_below(below, n - 1))


def mcnemar(ours: ArrayLike, theirs: ArrayLike) -> McNemar:
    """Apply McNemar's exact test to the correct predictions of two methods on the same examples.

    Both are boolean, in one order. The p-value is that of a binomial test on the examples on which
    they differ; 1 if they differ on none. Raises ValueError if the lengths differ.
    """
    return mcnemar_of_pairs([(ours, theirs)])[0]


def mcnemar_of_pairs(pairs: Iterable[tuple[ArrayLike, ArrayLike]]) -> list[McNemar]:
    """Return `mcnemar` of each pair of `ours` and `theirs`, in a fraction of the time."""
    counts = [_counts_of_one(ours, theirs) for ours, theirs in pairs]
    only_ours, only_theirs = np.array(counts, dtype=np.int64).reshape(-1, 2).T
    p_values = fair_coin_p_values(np.minimum(only_ours, only_theirs), only_ours + only_theirs)
    return [McNemar(*count, float(p)) for count, p in zip(counts, p_values, strict=True)]


def _counts_of_one(ours: ArrayLike, theirs: ArrayLike) -> tuple[int, int]:
    """Return how many examples ours alone, and theirs alone, gets right."""
    a, b = np.asarray(ours, dtype=bool), np.asarray(theirs, dtype=bool)
    if a.shape != b.shape:
        raise ValueError(
            f"ours has shape {a.shape}, theirs {b.shape}; they must be of the same examples."
        )
    both = np.count_nonzero(a & b)
    return int(np.count_nonzero(a) - both), int(np.count_nonzero(b) - both)


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
    half: Mann and Whitney's U over the number of pairs (Agarwal et al. 2021), of the seeds that
    both know. The bootstrap draws the two methods' runs of a task independently: a run is compared
    with all of the other method's, and pairs of one seed, drawn together, would count twice.
    """
    a, b = stack_tables([ours, theirs])
    if len(a) == 0:
        return NOTHING
    superiority = _Superiority(a, b)
    value = float(superiority(np.arange(a.size).reshape(1, *a.shape))[0])
    return estimate_of_draws(value, a, superiority, confidence, resamples)


class _Superiority:
    """The probability of improvement of redrawn tables, computed from the places that were drawn.

    All pairs of a task's runs are compared once. A redrawn task contains each run a number of
    times. The number of pairs won is therefore a product of these counts with the matrix of
    comparisons. All are whole numbers, exact in single precision up to thousands of runs. The runs
    that were drawn in one row of a task are ours in that row, and theirs in another row of the same
    task, half of its rows away. So the draws of ours and theirs are independent.
    """

    def __init__(self, ours: Floats, theirs: Floats) -> None:
        """Both are (tasks x seeds), with NaN behind a task's last value."""
        a, b = ours[:, :, None], theirs[:, None, :]
        self._greater, self._equal = ((a > b).astype(np.float32), (a == b).astype(np.float32))
        self._sizes = (~np.isnan(ours)).sum(axis=1)

    def __call__(self, places: NDArray[np.integer[Any]]) -> Floats:
        """`places` is (resamples x tasks x seeds): in the flat table, a drawn task in each row."""
        resamples, tasks, seeds = places.shape
        rows = places.reshape(-1, seeds)
        task = (rows[:, 0] // seeds).astype(np.intp)
        sizes = self._sizes[task]
        # A run's place in the flat table of rows, without what is behind a task's last value.
        cells = rows + ((np.arange(len(rows)) - task) * seeds)[:, None]
        if not (is_whole := bool((sizes == seeds).all())):
            cells = cells[np.arange(seeds) < sizes[:, None]]
        drawn = np.bincount(cells.ravel(), minlength=rows.size).reshape(rows.shape)
        counts = drawn.astype(np.float32)
        won, tied = np.zeros(len(rows)), np.zeros(len(rows))
        for one in np.unique(task):
            here = np.flatnonzero(task == one)
            of_task = counts[here]
            of_theirs = np.roll(of_task, len(of_task) // 2, axis=0)
            won[here] = np.einsum("ij,ij->i", of_task @ self._greater[one], of_theirs)
            tied[here] = np.einsum("ij,ij->i", of_task @ self._equal[one], of_theirs)
        wins, ties, pairs = (one.reshape(resamples, tasks) for one in (won, tied, sizes**2))
        if is_whole:
            whole = pairs.sum(axis=-1)
            return np.asarray(wins.sum(axis=-1) / whole + 0.5 * (ties.sum(axis=-1) / whole))
        return np.asarray(((wins + 0.5 * ties) / pairs).mean(axis=-1))
