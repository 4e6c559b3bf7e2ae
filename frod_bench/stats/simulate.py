"""How good the intervals and the verdicts are, by simulation: coverage, power, false alarms.

    python -m frod_bench.stats.simulate [docs/statistics.md]

Prints the table, and writes it between the markers of the file that is named. Sweeps are 20 tasks x
3 seeds of known truth, drawn anew each time; spreads are of the size that small benchmarks show.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

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
FULL = 2_000, 400, 1_999  # sweeps of the t interval, of each other row, and resamples
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"

Rng = np.random.Generator


class Finding(NamedTuple):
    """A share of simulated sweeps; its standard error is sqrt(share (1 - share) / sweeps)."""

    question: str
    planted: str
    wanted: str
    share: float
    sweeps: int


def t_coverage(seeds: int, sweeps: int, rng: Rng) -> float:
    """Share of Student's 95 % intervals of `seeds` normal values that hold the mean."""
    return _share(lambda: _holds(mean_interval(rng.normal(size=seeds)), 0.0), sweeps)


def seed_bootstrap_coverage(seeds: int, sweeps: int, resamples: int, rng: Rng) -> float:
    """The same of a bootstrap of the seeds, which is why there is none in the suite."""

    def once() -> bool:
        values = rng.normal(size=(1, seeds, 1))
        ends = bootstrap_over_tasks(values, _mean, resamples=resamples)
        return _holds(Estimate(0.0, *ends, seeds), 0.0)

    return _share(once, sweeps)


def mean_coverage(sweeps: int, resamples: int, rng: Rng, seed_sd: float = SEED_SD) -> float:
    """Share of nested 95 % intervals that hold the mean of the tasks' population."""
    return _share(
        lambda: _holds(mean_over_tasks(_scores(rng, seed_sd), resamples=resamples), 0.0), sweeps
    )


def few_tasks_coverage(tasks: int, sweeps: int, resamples: int, rng: Rng) -> tuple[float, float]:
    """The same of few tasks: of the interval that is used, and of a bootstrap."""
    found = []
    for _ in range(sweeps):
        scores = _scores(rng, SEED_SD, tasks)
        ends = bootstrap_over_tasks(scores[None], _mean, resamples=resamples)
        bootstrap = Estimate(0.0, *ends, tasks)
        found.append((_holds(mean_over_tasks(scores), 0.0), _holds(bootstrap, 0.0)))
    used, unused = np.mean(found, axis=0)
    return float(used), float(unused)


def iqm_coverage(sweeps: int, resamples: int, rng: Rng) -> float:
    """The same of the interquartile mean, which is 0 for scores symmetric about 0."""
    return _share(
        lambda: _holds(interquartile_mean(_scores(rng, SEED_SD), resamples=resamples), 0.0), sweeps
    )


def equivalence_rate(difference: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Share of sweeps that are found equivalent within `MARGIN`, of a true mean difference."""

    def once() -> bool:
        ours, theirs = _pair(rng, difference)
        return equivalence(ours, theirs, MARGIN, resamples=resamples).equivalent

    return _share(once, sweeps)


def worse_rate(difference: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Share of sweeps in which ours is found worse by more than `MARGIN`."""

    def once() -> bool:
        ours, theirs = _pair(rng, difference)
        return equivalence(ours, theirs, MARGIN, resamples=resamples).worse

    return _share(once, sweeps)


def faster_rate(ratio: float, miss_share: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Share of sweeps in which the interval of the median speed-up lies above 1.

    Times are log-normal (a factor of 1.35 between seeds, of 1.5 between the tasks' ratios); of
    both methods' runs `miss_share` never arrive.
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
    """Shares found (steadier than the margin, not so) of a spread beside one of `SEED_SD`."""
    found = []
    for _ in range(sweeps):
        ours = spread_over_seeds(rng.normal(0, our_sd, (TASKS, SEEDS)))
        theirs = spread_over_seeds(rng.normal(0, SEED_SD, (TASKS, SEEDS)))
        got = difference_over_tasks(ours, theirs, resamples=resamples)
        found.append((got.high < SPREAD_MARGIN, got.low > SPREAD_MARGIN))
    steady, unsteady = np.mean(found, axis=0)
    return float(steady), float(unsteady)


def improvement_rate(difference: float, sweeps: int, resamples: int, rng: Rng) -> float:
    """Share of sweeps in which the interval of the probability of improvement lies above 1/2."""

    def once() -> bool:
        return probability_of_improvement(*_pair(rng, difference), resamples=resamples).low > 0.5

    return _share(once, sweeps)


def findings(t_sweeps: int, sweeps: int, resamples: int) -> Iterator[Finding]:
    """Every row of the table, each from a generator of its own."""
    rng = np.random.default_rng
    for seeds in (2, 3, 5):
        share = t_coverage(seeds, t_sweeps, rng(seeds))
        name = f"t interval of {seeds} seeds"
        yield Finding(name, "normal scores", "covers 95 %", share, t_sweeps)
    for seeds in (2, 3):
        share = seed_bootstrap_coverage(seeds, t_sweeps, resamples, rng(seeds))
        name = f"bootstrap of {seeds} seeds, which is not used"
        yield Finding(name, "normal scores", "covers 95 %", share, t_sweeps)
    for tasks in (2, 5, 8):
        used, unused = few_tasks_coverage(tasks, sweeps, resamples, rng(tasks))
        planted = f"spread {TASK_SD:g} over tasks, {SEED_SD:g} over seeds, {tasks} tasks"
        yield Finding("t interval of the mean over few tasks", planted, "covers 95 %", used, sweeps)
        name = "bootstrap of few tasks, which is not used"
        yield Finding(name, planted, "covers 95 %", unused, sweeps)
    nested = "nested bootstrap of the mean over tasks"
    for seed_sd in (SEED_SD, TASK_SD):
        planted = f"spread {TASK_SD:g} over tasks, {seed_sd:g} over seeds"
        share = mean_coverage(sweeps, resamples, rng(1), seed_sd)
        yield Finding(nested, planted, "covers 95 %", share, sweeps)
    share = iqm_coverage(sweeps, resamples, rng(2))
    yield Finding("the same, interquartile mean", "as in the first", "covers 95 %", share, sweeps)
    for difference, wanted in ((0.0, "often: power"), (-MARGIN, "at most 5 %"), (-2.0, "never")):
        share = equivalence_rate(difference, sweeps, resamples, rng(3))
        planted = f"difference {difference:g} points"
        yield Finding("found equivalent within 1 point", planted, wanted, share, sweeps)
    for difference, wanted in ((-2.0, "often: power"), (-MARGIN, "at most 5 %"), (0.0, "never")):
        share = worse_rate(difference, sweeps, resamples, rng(4))
        planted = f"difference {difference:g} points"
        yield Finding("found worse by more than 1 point", planted, wanted, share, sweeps)
    for ratio, misses, wanted in (
        (2.0, 0.0, "often: power"),
        (2.0, 0.1, "often: power"),
        (1.0, 0.0, "at most 2.5 %"),
        (1.0, 0.1, "at most 2.5 %"),
    ):
        share = faster_rate(ratio, misses, sweeps, resamples, rng(5))
        planted = f"{ratio:g} times as fast, {100 * misses:g} % of runs miss"
        yield Finding("found faster to the target", planted, wanted, share, sweeps)
    for factor, wanted in ((1.0, "often: power"), (3.0, "never")):
        steady, _ = steady_rate(factor * SEED_SD, sweeps, resamples, rng(6))
        planted = f"{factor:g} times the spread of the other"
        yield Finding("found as steady over seeds", planted, wanted, steady, sweeps)
    for factor, wanted in ((3.0, "often: power"), (1.0, "never")):
        _, unsteady = steady_rate(factor * SEED_SD, sweeps, resamples, rng(7))
        planted = f"{factor:g} times the spread of the other"
        yield Finding("found less steady over seeds", planted, wanted, unsteady, sweeps)
    for difference, wanted in ((2.0, "often: power"), (0.0, "at most 2.5 %")):
        share = improvement_rate(difference, sweeps, resamples, rng(8))
        planted = f"difference {difference:g} points"
        yield Finding("probability of improvement above 1/2", planted, wanted, share, sweeps)


def table(rows: Iterator[Finding]) -> str:
    """The findings as a Markdown table; each share with its standard error."""
    lines = [
        "| asked | planted | should be | share | sweeps |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for row in rows:
        error = 100 * np.sqrt(row.share * (1 - row.share) / row.sweeps)
        share = f"{100 * row.share:.1f} ± {error:.1f} %"
        lines.append(f"| {row.question} | {row.planted} | {row.wanted} | {share} | {row.sweeps} |")
    return "\n".join(lines)


def main() -> None:
    """Simulate, print, and write where a file is named."""
    text = table(findings(*FULL))
    print(text)
    for name in sys.argv[1:]:
        page = Path(name).read_text(encoding="utf-8")
        before, after = page.split(BEGIN)[0], page.split(END)[1]
        Path(name).write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _mean(table: Floats) -> Floats:
    return np.asarray(table.mean(axis=(-2, -1)))


def _share(once: Callable[[], bool], sweeps: int) -> float:
    return float(np.mean([once() for _ in range(sweeps)]))


def _holds(estimate: Estimate, truth: float) -> bool:
    return bool(estimate.low <= truth <= estimate.high)


def _scores(rng: Rng, seed_sd: float, tasks: int = TASKS) -> Floats:
    return rng.normal(0, TASK_SD, (tasks, 1)) + rng.normal(0, seed_sd, (tasks, SEEDS))


def _pair(rng: Rng, difference: float) -> tuple[Floats, Floats]:
    tasks = rng.normal(70, TASK_SD, (TASKS, 1))
    effect = difference + rng.normal(0, EFFECT_SD, (TASKS, 1))
    ours, theirs = rng.normal(0, SEED_SD, (2, TASKS, SEEDS))
    return tasks + effect + ours, tasks + theirs


if __name__ == "__main__":
    main()
