"""Coverage, power and false alarms of the intervals and verdicts, by simulation.

    python -m frod_bench.stats.simulate [FILE]

Simulated sweeps have a known truth. Unless a row says otherwise, they have 20 tasks x 5 seeds and
spreads as measured on the embedded profile: those of FRoD less full fine-tuning in its first
published main table. Rows "present" have the spreads of the main table of 2026-11-28, and rows
"real" the size and the spreads of the profile `real`.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from frod_bench.stats.estimates import Estimate, Floats, interquartile_mean
from frod_bench.stats.simulated import (
    MARGIN,
    PRESENT,
    RATE_LOSS,
    REAL,
    REAL_MARGIN,
    REAL_STEPS,
    RIVALS,
    SEED_SD,
    STEPS,
    TASK_SD,
    UNEQUAL,
    bootstrap,
    bootstrap_of_seeds,
    faster_in_steps_rate,
    faster_rate,
    forgiving_rate,
    improvement_rate,
    mean_coverage,
    pooled_freedom,
    real_rate,
    seed_coverage,
    steady_among_rate,
    steady_rate,
    these_tasks_coverage,
    verdict_rate,
)

FULL = 2_000, 400, 1_999  # sweeps for the t interval, sweeps for every other row, resamples
BEGIN, END = "<!-- simulation: begin -->", "<!-- simulation: end -->"
EXAMPLES = """\
examples:
  python -m frod_bench.stats.simulate                       print the table (about a minute)
  python -m frod_bench.stats.simulate docs/explanation/statistics.md    and write it into that page
"""


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
    for tasks in (2, 3, 5, 8, 10):
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
    yield from real_findings(t_sweeps, resamples)
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
        arrive = f"arrivals around step {STEPS.arrival} of {STEPS.last}"
        truth = f"present: {ratio:g} times as fast, {arrive}"
        share = faster_in_steps_rate(ratio, sweeps, resamples, np.random.default_rng(5))
        yield _row("found faster to the target", truth, expected, share, sweeps)
        rng = np.random.default_rng(13)
        share = faster_in_steps_rate(ratio, sweeps, resamples, rng, arms=2, others=2)
        yield _row("found faster than two methods in two arms", truth, expected, share, sweeps)


def real_findings(sweeps: int, resamples: int) -> Iterator[str]:
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
    yield from _real_convergence(sweeps // 5, resamples)
    yield from _real_robustness(sweeps // 4, resamples)


def _real_convergence(sweeps: int, resamples: int) -> Iterator[str]:
    """The rows on steps to the target: against one method, and against both of the rule."""
    power, little, alarm = "often: power", "seldom: too little power", "at most 2.5 %"
    for ratio, expected in ((2.0, power), (1.5, little), (1.3, little), (1.0, alarm)):
        arrive = f"arrivals around step {REAL_STEPS.arrival} of {REAL_STEPS.last}"
        truth = f"real: {ratio:g} times as fast, {arrive}"
        for others, question in ((1, "to the target"), (2, "than two methods")):
            rng = np.random.default_rng(16)
            share = faster_in_steps_rate(
                ratio, sweeps, resamples, rng, others=others, size=REAL, steps=REAL_STEPS
            )
            yield _row(f"found faster {question}", truth, expected, share, sweeps)


def _real_robustness(sweeps: int, resamples: int) -> Iterator[str]:
    """The rows on both parts of the claim on robustness, against all methods of its rule."""
    against, little, alarm = f"each of {RIVALS} methods", "seldom: too little power", "seldom"
    steady, unsteady = steady_among_rate(sweeps, resamples, np.random.default_rng(14))
    truth = f"real: equal spreads in {REAL.tasks} tasks, {REAL.seeds} seeds"
    yield _row(f"found as steady over seeds as {against}", truth, little, steady, sweeps)
    yield _row("found less steady over seeds than one of them", truth, alarm, unsteady, sweeps)
    for run_sd in (1.0, 1.5):
        truth = f"real: equal losses at wrong rates, a run spreads by {run_sd:.1f} points"
        rng = np.random.default_rng(15)
        forgiving, harsh = forgiving_rate(run_sd, 0.0, sweeps, resamples, rng)
        yield _row(f"found as forgiving as {against}", truth, little, forgiving, sweeps)
        yield _row("found less forgiving than one of them", truth, alarm, harsh, sweeps)
    for factor, question, which in (
        (0.5, f"as forgiving as {against}", 0),
        (2.0, "less forgiving than one of them", 1),
    ):
        extra = (factor - 1) * RATE_LOSS
        found = forgiving_rate(1.0, extra, sweeps, resamples, np.random.default_rng(15))
        truth = f"real: {factor:g} times the loss of the others, a run spreads by 1.0 points"
        yield _row(f"found {question}", truth, "often: power", found[which], sweeps)


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


if __name__ == "__main__":
    main()
