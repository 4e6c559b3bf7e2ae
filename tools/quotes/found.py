"""What the published tables give for the numbers of a sentence."""

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench.report.paired import minus, signed
from frod_bench.stats.distributions import student_below
from frod_bench.stats.estimates import (
    Estimate,
    mean_of_means,
    mean_of_these_tasks,
    pooled_variance,
    stack_tables,
)
from frod_bench.stats.paired import resolution
from tools.differences import REFERENCE, cells_of, families_of, points_of

ROOT = Path(__file__).parents[2]
MAIN = "embedded"


@dataclass(frozen=True)
class Quote:
    """A sentence, or a part of one, with a field `{}` for each number, and what the files say."""

    page: str
    sentence: str
    numbers: Callable[[], Sequence[str]] = tuple
    holds: Callable[[], bool] = lambda: True

    def __str__(self) -> str:
        return f"{self.page}: {self.sentence}"

    def said(self) -> str:
        """The sentence with the numbers that the files give."""
        return self.sentence.format(*self.numbers())

    def faults(self) -> Iterator[str]:
        """What is wrong with it, a line each."""
        if not re.search(rf"(?<![\d.+−]){re.escape(self.said())}(?!\d)", prose_of(self.page)):
            yield f"{self.page} should say: {self.said()}"
        if not self.holds():
            yield f"{self.page} is wrong to say: {self.said()}"


@functools.cache
def prose_of(page: str) -> str:
    """What is written by hand on a page, without bold type and line ends."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"<!-- begin [\w ]+ -->.*?<!-- end [\w ]+ -->", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text.replace("**", ""))


@functools.cache
def runs(folder: str) -> pd.DataFrame:
    """The runs of a published table."""
    return cells_of(folder)


@functools.cache
def points(folder: str) -> pd.DataFrame:
    """Test scores in points: rows are methods and tasks, columns seeds."""
    return points_of(runs(folder))


def scores(folder: str, method: str, *, family: str = "", without: str = "") -> pd.DataFrame:
    """A method's points by task and seed: of all its tasks or a family's, without one of them."""
    found = points(folder).loc[method].dropna(how="all")
    if family:
        found = found[found.index.map(families_of(runs(folder))) == family]
    return found.drop(index=[without] if without else [])


def difference(folder: str, ours: str, theirs: str, **tasks: str) -> pd.DataFrame:
    """Our points minus theirs by task and seed, on the tasks that both have."""
    gain = scores(folder, ours, **tasks) - scores(folder, theirs, **tasks)
    return gain.dropna(how="all")


def mean_of(gain: pd.DataFrame, *, turned: bool = False) -> Estimate:
    """The mean of these tasks with its 95 % interval; `turned` if the sentence says how far the
    first is below the second.
    """
    assert gain.notna().all(axis=None), "a run is missing"
    return mean_of_these_tasks(-gain.to_numpy() if turned else gain.to_numpy())


def distance(
    folder: str, ours: str, theirs: str, *, turned: bool = False, **tasks: str
) -> Estimate:
    """`mean_of` the `difference` of two methods."""
    return mean_of(difference(folder, ours, theirs, **tasks), turned=turned)


def plain(estimate: Estimate) -> list[str]:
    """Mean and interval without plus signs, e.g. `4.7` and `4.2 to 5.3`."""
    return in_words(*estimate[:3])


def in_words(mean: float, low: float, high: float) -> list[str]:
    """The same of three numbers."""
    return [number(mean), f"{number(low)} to {number(high)}"]


def with_signs(estimate: Estimate) -> list[str]:
    """Mean and interval with signs, e.g. `+0.3` and `−0.8 to +1.4`."""
    mean, low, high = map(signed, estimate[:3])
    return [mean, f"{low} to {high}"]


def number(value: float, digits: int = 1) -> str:
    """A number with a minus sign for the hyphen."""
    return minus(f"{round(value, digits) + 0.0:.{digits}f}")


def is_shown(estimate: Estimate) -> bool:
    """Whether the interval leaves out 0."""
    return estimate.low > 0 or estimate.high < 0


def relative(estimate: Estimate, score: float) -> Estimate:
    """The same in % of a score."""
    mean, low, high = (100 * value / score for value in estimate[:3])
    return Estimate(mean, low, high, estimate.n)


def mean_score(folder: str, method: str, **tasks: str) -> float:
    """A method's mean over tasks of its means over seeds."""
    return float(scores(folder, method, **tasks).mean(axis=1).mean())


def p_value(gain: pd.DataFrame) -> float:
    """Two-sided p of the mean of these tasks by Student's t."""
    (tasks,) = stack_tables([gain.to_numpy()])
    total, freedom = pooled_variance(tasks)
    statistic = abs(float(mean_of_means(tasks))) * len(tasks) / math.sqrt(total)
    return 2 * student_below(-statistic, freedom)


def pooled_spread(table: pd.DataFrame) -> float:
    """Standard deviation over seeds, variances pooled over tasks."""
    return float(np.sqrt(table.var(axis=1, ddof=1).mean()))


def found_by_four_of_five(gain: pd.DataFrame) -> Estimate:
    """The true difference whose 95 % interval leaves out 0 in four of five such experiments, and
    the interval that follows from how well the spread is known.
    """
    return resolution(gain.to_numpy(), 0.0, 0.025, 0.8)[0]


def variance_share(gain: pd.DataFrame, task: str) -> float:
    """A task's share of the variance over seeds of the mean over tasks."""
    variances = gain.var(axis=1, ddof=1)
    return float(variances[task] / variances.sum())


@functools.cache
def table(folder: str, name: str) -> pd.DataFrame:
    """A published CSV file."""
    return pd.read_csv(REFERENCE / folder / "tables" / f"{name}.csv")


def part(pattern: str) -> "pd.Series[float]":
    """The one part of a claim whose name matches a regular expression."""
    return parts(pattern, 1).iloc[0]


def parts(pattern: str, count: int) -> pd.DataFrame:
    """The parts of claims whose names match, so many, each with a number."""
    claims = table(MAIN, "claims")
    found = claims[claims["part"].str.fullmatch(pattern, na=False)]
    assert len(found) == count, f"{pattern}: {len(found)} parts"
    assert found["mean"].notna().all(), f"{pattern}: a part has no number"
    return found


def is_above(estimate: Estimate) -> bool:
    """Whether the first is shown to be above the second."""
    return estimate.low > 0
