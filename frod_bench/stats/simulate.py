"""Coverage, power and false alarms of the intervals and verdicts, by simulation.

    python -m frod_bench.stats.simulate [FILE]

Simulated sweeps have 20 tasks x 3 seeds and a known truth, drawn anew each time; their spreads are
of the size that small benchmarks show.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from frod_bench.stats.bootstrap import Floats, bootstrap_over_tasks
from frod_bench.stats.curves import speedup_over_tasks
from frod_bench.stats.estimates import (
    Estimate,
    difference_over_tasks,
    interquartile_mean,
    mean_interval,
    mean_over_tasks,
    spread_over_seeds,
)
from frod_bench.stats.paired import equivalence, probability_of_improvement

TASKS, SEEDS = 20, 3
TASK_SD, SEED_SD = 10.0, 1.5  # points
EFFECT_SD = 1.0  # of a method's true difference from task to task, points
MARGIN, SPREAD_MARGIN = 1.0, 0.5  # points, those of conf/claims.yaml
FULL = 2_000, 400, 1_999  # sweeps for the t interval, sweeps for every other row, resamples
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
EXAMPLES = """\
examples:
  python -m frod_bench.stats.simulate                       print the table (about a minute)
  python -m frod_bench.stats.simulate docs/explanation/statistics.md    and write it into that page
"""

Rng = np.random.Generator


class Finding(NamedTuple):
    """A share of simulated sweeps; its standard error is sqrt(share (1 - share) / sweeps)."""

    question: str
    truth: str
    expected: str
    share: float
    sweeps: int


def t_coverage(seeds: int, sweeps: int, rng: Rng) -> float:
    """Return the share of Student's 95 % intervals of `seeds` normal values that cover the mean."""
    return _share(lambda: _covers(mean_interval(rng.normal(size=seeds))), sweeps)


def seed_bootstrap_coverage(seeds: int, sweeps: int, resamples: int, rng: Rng) -> float:
    """Return the same share for a bootstrap of the seeds: the reason why the suite has none."""
    return _share(
        lambda: _covers(_bootstrap(rng.normal(size=(seeds, 1)), resamples=resamples)), sweeps
    )


def mean_coverage(
    sweeps: int,
    resamples: int,
    rng: Rng,
    seed_sd: float = SEED_SD,
    estimate: Callable[..., Estimate] = mean_over_tasks,
) -> float:
    """Return the share of nested 95 % intervals that cover the centre of the tasks' population."""
    return _share(lambda: _covers(estimate(_scores(rng, seed_sd), resamples=resamples)), sweeps)


def few_tasks_coverage(tasks: int, sweeps: int, resamples: int, rng: Rng) -> tuple[float, float]:
    """Return the same share for few tasks: of the interval that is used, and of a bootstrap."""
    found = []
    for _ in range(sweeps):
        scores = _scores(rng, SEED_SD, tasks)
        found.append((_covers(mean_over_tasks(scores)), _covers(_bootstrap(scores, resamples))))
    used, unused = np.mean(found, axis=0)
    return float(used), float(unused)


def verdict_rate(
    verdict: Literal["equivalent", "worse"],
    difference: float,
    sweeps: int,
    resamples: int,
    rng: Rng,
) -> float:
    """Return the share of sweeps with this verdict at `MARGIN`, given the true mean difference."""

    def once() -> bool:
        found = equivalence(*_pair(rng, difference), MARGIN, resamples=resamples)
        return getattr(found, verdict)

    return _share(once, sweeps)


def faster_rate(ratio: float, miss_share: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Return the share of sweeps in which the interval of the median speed-up is above 1.

    Times are log-normal (a factor of 1.35 between seeds, of 1.5 between the ratios of tasks);
    `miss_share` of both methods' runs never reach the target.
    """

    def once() -> bool:
        per_task = np.log(ratio) + rng.normal(0, np.log(1.5), (TASKS, 1))
        ours, theirs = (
            np.exp(centre + rng.normal(0, np.log(1.35), (TASKS, SEEDS)))
            for centre in (np.zeros((TASKS, 1)), per_task)
        )
        for times in (ours, theirs):
            times[rng.random(times.shape) < miss_share] = np.inf
        return speedup_over_tasks(ours, theirs, resamples=resamples).low > 1

    return _share(once, sweeps)


def steady_rate(our_sd: float, sweeps: int, resamples: int, rng: Rng) -> tuple[float, float]:
    """Return the shares of sweeps in which a spread is found as small as one of `SEED_SD`, within
    the margin, and in which it is found larger.
    """
    found = []
    for _ in range(sweeps):
        ours = spread_over_seeds(rng.normal(0, our_sd, (TASKS, SEEDS)))
        theirs = spread_over_seeds(rng.normal(0, SEED_SD, (TASKS, SEEDS)))
        got = difference_over_tasks(ours, theirs, resamples=resamples)
        found.append((got.high < SPREAD_MARGIN, got.low > SPREAD_MARGIN))
    steady, unsteady = np.mean(found, axis=0)
    return float(steady), float(unsteady)


def improvement_rate(difference: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Return the share of sweeps in which the interval of the probability of improvement is
    above 1/2.
    """

    def once() -> bool:
        return probability_of_improvement(*_pair(rng, difference), resamples=resamples).low > 0.5

    return _share(once, sweeps)


def findings(t_sweeps: int, sweeps: int, resamples: int) -> Iterator[Finding]:
    """Yield every row of the table, each from a generator of its own."""
    rng = np.random.default_rng
    covers, power, never = "covers 95 %", "often: power", "never"
    for seeds in (2, 3, 5):
        share = t_coverage(seeds, t_sweeps, rng(seeds))
        yield Finding(f"t interval of {seeds} seeds", "normal scores", covers, share, t_sweeps)
    for seeds in (2, 3):
        share = seed_bootstrap_coverage(seeds, t_sweeps, resamples, rng(seeds))
        question = f"bootstrap of {seeds} seeds, which is not used"
        yield Finding(question, "normal scores", covers, share, t_sweeps)
    for tasks in (2, 5, 8):
        used, unused = few_tasks_coverage(tasks, sweeps, resamples, rng(tasks))
        truth = f"spread {TASK_SD:g} over tasks, {SEED_SD:g} over seeds, {tasks} tasks"
        yield Finding("t interval of the mean over few tasks", truth, covers, used, sweeps)
        yield Finding("bootstrap of few tasks, which is not used", truth, covers, unused, sweeps)
    for seed_sd in (SEED_SD, TASK_SD):
        truth = f"spread {TASK_SD:g} over tasks, {seed_sd:g} over seeds"
        share = mean_coverage(sweeps, resamples, rng(1), seed_sd)
        yield Finding("nested bootstrap of the mean over tasks", truth, covers, share, sweeps)
    truth = f"spread {TASK_SD:g} over tasks, {SEED_SD:g} over seeds"
    share = mean_coverage(sweeps, resamples, rng(2), estimate=interquartile_mean)
    yield Finding("nested bootstrap of the interquartile mean", truth, covers, share, sweeps)
    for difference, expected in ((0.0, power), (-MARGIN, "at most 5 %"), (-2.0, never)):
        share = verdict_rate("equivalent", difference, sweeps, resamples, rng(3))
        truth = f"difference {difference:g} points"
        yield Finding("found equivalent within 1 point", truth, expected, share, sweeps)
    for difference, expected in ((-2.0, power), (-MARGIN, "at most 5 %"), (0.0, never)):
        share = verdict_rate("worse", difference, sweeps, resamples, rng(4))
        truth = f"difference {difference:g} points"
        yield Finding("found worse by more than 1 point", truth, expected, share, sweeps)
    for ratio, expected in ((2.0, power), (1.0, "at most 2.5 %")):
        for misses in (0.0, 0.1):
            share = faster_rate(ratio, misses, sweeps, resamples, rng(5))
            truth = f"{ratio:g} times as fast, {100 * misses:g} % of runs miss"
            yield Finding("found faster to the target", truth, expected, share, sweeps)
    for factor, expected in ((1.0, power), (3.0, never)):
        share, _ = steady_rate(factor * SEED_SD, sweeps, resamples, rng(6))
        truth = f"{factor:g} times the spread of the other"
        yield Finding("found as steady over seeds", truth, expected, share, sweeps)
    for factor, expected in ((3.0, power), (1.0, never)):
        _, share = steady_rate(factor * SEED_SD, sweeps, resamples, rng(7))
        truth = f"{factor:g} times the spread of the other"
        yield Finding("found less steady over seeds", truth, expected, share, sweeps)
    for difference, expected in ((2.0, power), (0.0, "at most 2.5 %")):
        share = improvement_rate(difference, sweeps, resamples, rng(8))
        truth = f"difference {difference:g} points"
        yield Finding("probability of improvement above 1/2", truth, expected, share, sweeps)


def table(rows: Iterator[Finding]) -> str:
    """Format the findings as a Markdown table; each share with its standard error."""
    lines = [
        "| question | simulated truth | expected | share | sweeps |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for row in rows:
        error = 100 * np.sqrt(row.share * (1 - row.share) / row.sweeps)
        share = f"{100 * row.share:.1f} ± {error:.1f} %"
        lines.append(f"| {row.question} | {row.truth} | {row.expected} | {share} | {row.sweeps} |")
    return "\n".join(lines)


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
    text = table(findings(*FULL))
    print(text)
    if page is not None:
        content = page.read_text(encoding="utf-8")
        before, after = content.split(BEGIN)[0], content.split(END)[1]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _bootstrap(table: Floats, resamples: int) -> Estimate:
    """Return the bootstrap interval of the mean of a (tasks x seeds) table, of however few."""
    ends = bootstrap_over_tasks(table[None], _mean, resamples=resamples, fewest_tasks=2)
    return Estimate(float(table.mean()), *ends, len(table))


def _mean(table: Floats) -> Floats:
    return np.asarray(table.mean(axis=(-2, -1)))


def _share(once: Callable[[], bool], sweeps: int) -> float:
    return float(np.mean([once() for _ in range(sweeps)]))


def _covers(estimate: Estimate) -> bool:
    """Return whether an interval covers the true value 0; an unavailable one is an error here."""
    assert not np.isnan([estimate.low, estimate.high]).any()
    return bool(estimate.low <= 0 <= estimate.high)


def _scores(rng: Rng, seed_sd: float, tasks: int = TASKS) -> Floats:
    return rng.normal(0, TASK_SD, (tasks, 1)) + rng.normal(0, seed_sd, (tasks, SEEDS))


def _pair(rng: Rng, difference: float) -> tuple[Floats, Floats]:
    tasks = rng.normal(70, TASK_SD, (TASKS, 1))
    effect = difference + rng.normal(0, EFFECT_SD, (TASKS, 1))
    ours, theirs = rng.normal(0, SEED_SD, (2, TASKS, SEEDS))
    return tasks + effect + ours, tasks + theirs


if __name__ == "__main__":
    main()
