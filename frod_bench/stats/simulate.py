"""Coverage, power and false alarms of the intervals and verdicts, by simulation.

    python -m frod_bench.stats.simulate [FILE]

Simulated sweeps have 20 tasks x 5 seeds, a known truth, and spreads as measured on the embedded
profile: those of FRoD less full fine-tuning in its first published main table, and, in the rows
"present", in the one of 2026-11-28.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats as scipy_stats

from frod_bench.stats.curves import speedup_over_tasks
from frod_bench.stats.estimates import (
    Estimate,
    Floats,
    difference_over_tasks,
    estimate_over_tasks,
    interquartile_mean,
    mean_interval,
    mean_of_means,
    mean_of_these_tasks,
    mean_over_tasks,
    spread_over_seeds,
)
from frod_bench.stats.paired import equivalence, probability_of_improvement

TASKS, SEEDS = 20, 5
# Points. A paired difference spreads by 3.0 over seeds, so a score by that over the root of two.
TASK_SD, SEED_SD = 10.0, 3.0 / np.sqrt(2)
UNEQUAL = 0.6  # of the log of a task's spread over seeds, around its mean square
EFFECT_SD = 2.7  # of a method's true difference from task to task
MARGIN, SPREAD_MARGIN = 1.0, 0.5  # points, those of conf/claims.yaml


class Sweep(NamedTuple):
    """The size of a simulated sweep, and what seeds add to a score: its spread in points, and that
    of the log of a task's own spread.
    """

    tasks: int
    seeds: int
    seed_sd: float
    unequal: float


EMBEDDED = Sweep(TASKS, SEEDS, SEED_SD, UNEQUAL)
# The published main table: a paired difference spreads by 3.9 points over seeds. The log of a
# task's spread varied by 0.52 there, of which five seeds make 0.40, and 0.33 is left.
PRESENT = Sweep(TASKS, SEEDS, 3.9 / np.sqrt(2), 0.33)
# Steps: of the median arrival there, between two values of a curve, and of the end. What would
# arrive later misses the target: a fifth of the runs, most of them of a few tasks, as there.
ARRIVAL, EVERY_STEPS, LAST_STEP = 90, 10, 140
# The profile `real`: a paired difference spreads by 2.9 points, as FRoD less full fine-tuning did
# in results/reference/small on the six tasks (rank for reasoning) on which full fine-tuning rose
# by more than 3 points above frozen (2.7 on all seven on which it rose); the log of a task's spread
# varied by 2.1 there, of which two seeds make 1.1 by themselves (variances add), and 1.7 is left.
REAL = Sweep(10, 3, 2.9 / np.sqrt(2), 1.7)
REAL_MARGIN = 2.0  # points
RESAMPLED = 999  # of the bootstrap of seeds
FULL = 2_000, 400, 1_999  # sweeps for the t interval, sweeps for every other row, resamples
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
EXAMPLES = """\
examples:
  python -m frod_bench.stats.simulate                       print the table (about a minute)
  python -m frod_bench.stats.simulate docs/explanation/statistics.md    and write it into that page
"""

Rng = np.random.Generator


def seed_coverage(
    seeds: int, sweeps: int, rng: Rng, estimate: Callable[[Floats], Estimate] = mean_interval
) -> float:
    """Return the share of 95 % intervals of `seeds` normal values that cover their mean."""
    return _share(_covers(estimate(rng.normal(size=(seeds, 1)))) for _ in range(sweeps))


def bootstrap(table: Floats, resamples: int) -> Estimate:
    """Bootstrap the mean of a (tasks x seeds) table, also of too few: the suite does not."""
    return estimate_over_tasks([table], mean_of_means, resamples=resamples, fewest_tasks=2)


def mean_coverage(
    sweeps: int,
    resamples: int,
    rng: Rng,
    estimate: Callable[..., Estimate] = mean_over_tasks,
    *,
    tasks: int = TASKS,
    seed_sd: float = SEED_SD,
) -> float:
    """Return the share of nested 95 % intervals that cover the centre of the tasks' population."""
    scores = (
        rng.normal(0, TASK_SD, (tasks, 1)) + rng.normal(0, seed_sd, (tasks, SEEDS))
        for _ in range(sweeps)
    )
    return _share(_covers(estimate(table, resamples=resamples)) for table in scores)


def these_tasks_coverage(
    sweeps: int,
    rng: Rng,
    *,
    unequal: float = UNEQUAL,
    estimate: Callable[[Floats], Estimate] = mean_of_these_tasks,
) -> float:
    """Return the share of 95 % intervals that cover the mean of exactly these tasks."""
    size = EMBEDDED._replace(unequal=unequal)
    return _share(_covers(estimate(_noise(rng, size))) for _ in range(sweeps))


def bootstrap_of_seeds(table: Floats, rng: Rng) -> Estimate:
    """As `mean_of_these_tasks`, by a bootstrap of each task's seeds: the suite does not use it."""
    tasks, seeds = table.shape
    drawn = rng.integers(seeds, size=(RESAMPLED, tasks, seeds))
    means = np.take_along_axis(table[None], drawn, axis=2).mean(axis=(1, 2))
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(table.mean()), float(low), float(high), tasks)


def pooled_freedom(table: Floats) -> Estimate:
    """As `mean_of_these_tasks` with all degrees of freedom: the suite does not use it."""
    tasks, seeds = table.shape
    mean, error = table.mean(), np.sqrt((table.var(axis=1, ddof=1) / seeds).sum()) / tasks
    half = float(scipy_stats.t.ppf(0.975, tasks * (seeds - 1)) * error)
    return Estimate(float(mean), float(mean) - half, float(mean) + half, tasks)


def verdict_rate(
    verdict: Literal["equivalent", "worse"],
    difference: float,
    sweeps: int,
    resamples: int,
    rng: Rng,
    *,
    these_tasks: bool,
    size: Sweep = EMBEDDED,
    margin: float = MARGIN,
) -> float:
    """Return the share of sweeps with this verdict at `margin`, given the true mean difference, of
    these tasks or of the population that they are drawn from.
    """

    def once() -> bool:
        pair = _pair(rng, difference, centred=these_tasks, size=size)
        found = equivalence(*pair, margin, resamples=resamples, these_tasks=these_tasks)
        return bool(getattr(found, verdict))

    return _share(once() for _ in range(sweeps))


def faster_rate(ratio: float, miss_share: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Return the share of sweeps in which the interval of the median speed-up is above 1.

    Times are log-normal; `miss_share` of both methods' runs never reach the target.
    """

    def once() -> bool:
        per_task = np.log(ratio) + rng.normal(0, np.log(1.5), (TASKS, 1))
        ours = np.exp(rng.normal(0, np.log(1.35), (TASKS, SEEDS)))
        theirs = np.exp(per_task + rng.normal(0, np.log(1.35), (TASKS, SEEDS)))
        for times in (ours, theirs):
            times[rng.random(times.shape) < miss_share] = np.inf
        return speedup_over_tasks(ours, theirs, resamples=resamples).low > 1

    return _share(once() for _ in range(sweeps))


def faster_in_steps_rate(
    ratio: float, sweeps: int, resamples: int, rng: Rng, *, arms: int = 1, others: int = 1
) -> float:
    """`faster_rate` of steps as curves show them: tasks differ for both methods alike, arrivals are
    seen at the next evaluation, and never after the last step.

    With several arms and other methods all must be found at once. They share the tasks and each
    task's true ratio; our runs are the same against every method of an arm.
    """

    def once() -> bool:
        task = rng.normal(0, np.log(1.5), (TASKS, 1))
        gain = np.log(ratio) + rng.normal(0, np.log(1.3), (TASKS, 1))

        def seen(mean: Floats) -> Floats:
            steps = ARRIVAL * np.exp(mean + rng.normal(0, np.log(1.35), (TASKS, SEEDS)))
            steps = EVERY_STEPS * np.ceil(steps / EVERY_STEPS)
            return np.where(steps > LAST_STEP, np.inf, steps)

        def found(ours: Floats) -> bool:
            theirs = seen(task + gain / 2)
            return speedup_over_tasks(ours, theirs, resamples=resamples).low > 1

        in_arms = (seen(task - gain / 2) for _ in range(arms))
        return all(found(ours) for ours in in_arms for _ in range(others))

    return _share(once() for _ in range(sweeps))


def steady_rate(our_sd: float, sweeps: int, resamples: int, rng: Rng) -> tuple[float, float]:
    """Return the shares of sweeps that find our spread as small as `SEED_SD`, and larger."""

    def spread(seed_sd: float) -> Floats:
        return spread_over_seeds(rng.normal(0, seed_sd, (TASKS, SEEDS)))

    found = [
        difference_over_tasks(spread(our_sd), spread(SEED_SD), resamples=resamples)
        for _ in range(sweeps)
    ]
    steady = _share(estimate.high < SPREAD_MARGIN for estimate in found)
    return steady, _share(estimate.low > SPREAD_MARGIN for estimate in found)


def improvement_rate(difference: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Return the share of sweeps whose interval of the probability of improvement is above 1/2."""
    return _share(
        probability_of_improvement(*_pair(rng, difference), resamples=resamples).low > 0.5
        for _ in range(sweeps)
    )


def findings(t_sweeps: int, sweeps: int, resamples: int) -> Iterator[str]:
    """Yield every row of the Markdown table, each from a random generator of its own."""
    yield "| question | simulated truth | expected | share | sweeps |"
    yield "| --- | --- | --- | ---: | ---: |"
    rng = np.random.default_rng
    covers, power, never = "covers 95 %", "often: power", "never"
    for seeds in (2, 3, 5):
        share = seed_coverage(seeds, t_sweeps, rng(seeds))
        yield _row(f"t interval of {seeds} seeds", "normal scores", covers, share, t_sweeps)
    for seeds in (2, 3):
        share = seed_coverage(seeds, t_sweeps, rng(seeds), partial(bootstrap, resamples=resamples))
        question = f"bootstrap of {seeds} seeds, which is not used"
        yield _row(question, "normal scores", covers, share, t_sweeps)
    for tasks in (2, 3, 5, 8):
        truth = f"spread {TASK_SD:g} over tasks, {SEED_SD:g} over seeds, {tasks} tasks"
        share = mean_coverage(sweeps, resamples, rng(tasks), tasks=tasks)
        yield _row("t interval of the mean over few tasks", truth, covers, share, sweeps)
        share = mean_coverage(sweeps, resamples, rng(tasks), bootstrap, tasks=tasks)
        yield _row("bootstrap of few tasks, which is not used", truth, covers, share, sweeps)
    for seed_sd in (SEED_SD, TASK_SD):
        truth = f"spread {TASK_SD:g} over tasks, {seed_sd:g} over seeds"
        share = mean_coverage(sweeps, resamples, rng(1), seed_sd=seed_sd)
        yield _row("nested bootstrap of the mean over tasks", truth, covers, share, sweeps)
    truth = f"spread {TASK_SD:g} over tasks, {SEED_SD:g} over seeds"
    share = mean_coverage(sweeps, resamples, rng(2), interquartile_mean)
    yield _row("nested bootstrap of the interquartile mean", truth, covers, share, sweeps)
    yield from _these_tasks(10 * t_sweeps)
    for which in (True, False):
        of_which = "of these tasks" if which else "of tasks drawn at random"
        n = t_sweeps if which else sweeps  # without a bootstrap
        low = power if which else "seldom: too little power"
        for difference, expected in (
            (0.0, low),
            (-0.5, low),
            (-MARGIN, "at most 5 %"),
            (-2.0, "seldom" if not which else never),
        ):
            share = verdict_rate("equivalent", difference, n, resamples, rng(3), these_tasks=which)
            truth = f"difference {difference:g} points {of_which}"
            yield _row("found equivalent within 1 point", truth, expected, share, n)
        for difference, expected in ((-2.0, power), (-MARGIN, "at most 5 %"), (0.0, "seldom")):
            share = verdict_rate("worse", difference, n, resamples, rng(4), these_tasks=which)
            truth = f"difference {difference:g} points {of_which}"
            yield _row("found worse by more than 1 point", truth, expected, share, n)
    yield from present_findings(t_sweeps, sweeps, resamples)
    yield from real_findings(t_sweeps)
    for ratio, expected in ((2.0, power), (1.0, "at most 2.5 %")):
        for misses in (0.0, 0.1):
            share = faster_rate(ratio, misses, sweeps, resamples, rng(5))
            truth = f"{ratio:g} times as fast, {100 * misses:g} % of runs miss"
            yield _row("found faster to the target", truth, expected, share, sweeps)
    for factor, expected in ((1.0, power), (3.0, never)):
        share, _ = steady_rate(factor * SEED_SD, sweeps, resamples, rng(6))
        truth = f"{factor:g} times the spread of the other"
        yield _row("found as steady over seeds", truth, expected, share, sweeps)
    for factor, expected in ((3.0, power), (1.0, never)):
        _, share = steady_rate(factor * SEED_SD, sweeps, resamples, rng(7))
        truth = f"{factor:g} times the spread of the other"
        yield _row("found less steady over seeds", truth, expected, share, sweeps)
    for difference, expected in ((2.0, power), (0.0, "at most 2.5 %")):
        share = improvement_rate(difference, sweeps, resamples, rng(8))
        truth = f"difference {difference:g} points"
        yield _row("probability of improvement above 1/2", truth, expected, share, sweeps)


def present_findings(t_sweeps: int, sweeps: int, resamples: int) -> Iterator[str]:
    """The rows at the spreads and misses of the published main table, by the number of seeds."""
    for seeds, differences in ((3, (0.0,)), (5, (0.0, -0.5, -MARGIN)), (10, (0.0, -0.5))):
        size = PRESENT._replace(seeds=seeds)
        for difference in differences:
            rng = np.random.default_rng(12)
            share = verdict_rate(
                "equivalent", difference, t_sweeps, 0, rng, these_tasks=True, size=size
            )
            expected = "at most 5 %" if difference == -MARGIN else "often: power"
            truth = f"present: difference {difference:g} points of these tasks, {seeds} seeds"
            yield _row("found equivalent within 1 point", truth, expected, share, t_sweeps)
    power, little, alarm = "often: power", "seldom: too little power", "at most 2.5 %"
    for ratio, expected in ((2.0, power), (1.5, power), (1.3, little), (1.0, alarm)):
        truth = f"present: {ratio:g} times as fast, arrivals around step {ARRIVAL} of {LAST_STEP}"
        share = faster_in_steps_rate(ratio, sweeps, resamples, np.random.default_rng(5))
        yield _row("found faster to the target", truth, expected, share, sweeps)
        rng = np.random.default_rng(13)
        share = faster_in_steps_rate(ratio, sweeps, resamples, rng, arms=2, others=2)
        yield _row("found faster than two methods in two arms", truth, expected, share, sweeps)


def real_rate(
    verdict: Literal["equivalent", "worse"],
    difference: float,
    sweeps: int,
    rng: Rng,
    margin: float = REAL_MARGIN,
) -> float:
    """`verdict_rate` of these tasks of the profile `real`."""
    return verdict_rate(
        verdict, difference, sweeps, 0, rng, these_tasks=True, size=REAL, margin=margin
    )


def real_findings(sweeps: int) -> Iterator[str]:
    """The rows on the profile `real`: what its budget can show."""
    extent = f"{REAL.tasks} tasks, {REAL.seeds} seeds"
    for margin, differences in ((MARGIN, (0.0,)), (REAL_MARGIN, (0.0, -0.5, -1.0, -REAL_MARGIN))):
        for difference in differences:
            share = real_rate("equivalent", difference, sweeps, np.random.default_rng(10), margin)
            power = "often: power" if margin == REAL_MARGIN else "seldom: too little power"
            expected = "at most 5 %" if difference == -margin else power
            truth = f"real: difference {difference:g} points of these {extent}"
            question = f"found equivalent within {margin:g} point{'s' * (margin != 1)}"
            yield _row(question, truth, expected, share, sweeps)
    for difference in (-4.0, -3.0, -REAL_MARGIN):
        share = real_rate("worse", difference, sweeps, np.random.default_rng(11))
        expected = "at most 5 %" if difference == -REAL_MARGIN else "often: power"
        truth = f"real: difference {difference:g} points of these {extent}"
        yield _row(
            f"found worse by more than {REAL_MARGIN:g} points", truth, expected, share, sweeps
        )


def _these_tasks(sweeps: int) -> Iterator[str]:
    """The rows on the interval of exactly these tasks."""
    question, covers = "interval of the mean of these tasks", "covers 95 %"
    for unequal in (0.0, UNEQUAL):
        truth = "seeds spread unequally from task to task" if unequal else "equal spreads"
        share = these_tasks_coverage(sweeps, np.random.default_rng(9), unequal=unequal)
        yield _row(question, truth, covers, share, sweeps)
    resampled = partial(bootstrap_of_seeds, rng=np.random.default_rng(13))
    others: dict[str, tuple[Callable[[Floats], Estimate], int]] = {
        "with pooled degrees of freedom": (pooled_freedom, sweeps),
        "by a bootstrap of seeds": (resampled, sweeps // 10),
    }
    for how, (estimate, n) in others.items():
        share = these_tasks_coverage(n, np.random.default_rng(9), estimate=estimate)
        yield _row(f"{question} {how}, which is not used", truth, covers, share, n)


def _row(question: str, truth: str, expected: str, share: float, sweeps: int) -> str:
    """Format a share of simulated sweeps with its standard error."""
    error = np.sqrt(share * (1 - share) / sweeps)
    percent = f"{100 * share:.1f} ± {100 * error:.1f} %"
    return f"| {question} | {truth} | {expected} | {percent} | {sweeps} |"


def main() -> None:
    """Simulate and print the table; write it between the markers of a page if one is named."""
    parser = argparse.ArgumentParser(
        prog="python -m frod_bench.stats.simulate",
        description="Measure the coverage, power and false alarms of the suite's statistics.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("page", metavar="FILE", nargs="?", type=Path, help=f"page with {BEGIN}")
    page = parser.parse_args().page
    text = "\n".join(findings(*FULL))
    print(text)
    if page is not None:
        content = page.read_text(encoding="utf-8")
        before, after = content.split(BEGIN)[0], content.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _share(outcomes: Iterable[bool]) -> float:
    return float(np.mean(list(outcomes)))


def _covers(estimate: Estimate) -> bool:
    """Return whether an interval covers the true value 0; an unavailable one is an error here."""
    assert not np.isnan([estimate.low, estimate.high]).any()
    return bool(estimate.low <= 0 <= estimate.high)


def _noise(rng: Rng, size: Sweep) -> Floats:
    """What seeds add, (tasks x seeds), of mean square `seed_sd` squared over tasks."""
    spread = np.exp(size.unequal * rng.normal(size=(size.tasks, 1)))
    spread *= size.seed_sd / np.sqrt((spread**2).mean())
    return np.asarray(spread * rng.normal(size=(size.tasks, size.seeds)))


def _pair(
    rng: Rng, difference: float, *, centred: bool = False, size: Sweep = EMBEDDED
) -> tuple[Floats, Floats]:
    """Scores of two methods. The difference is that of the population of tasks or, `centred`, of
    the tasks themselves.
    """
    tasks = rng.normal(70, TASK_SD, (size.tasks, 1))
    effect = rng.normal(0, EFFECT_SD, (size.tasks, 1))
    effect += difference - (effect.mean() if centred else 0.0)
    return tasks + effect + _noise(rng, size), tasks + _noise(rng, size)


if __name__ == "__main__":
    main()
