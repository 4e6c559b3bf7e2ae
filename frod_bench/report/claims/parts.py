"""What a claim is made of, and the cells that it is judged on.

A claim has parts, each with what was measured; those that decide have a verdict. A missing run
makes every verdict of its claim undecided and is named; what was measured is shown all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from frod_bench.common.errors import InputError
from frod_bench.common.names import head_for
from frod_bench.common.paths import CONF_DIR
from frod_bench.report.keys import Method, Task
from frod_bench.report.names import label
from frod_bench.report.rules import Rules
from frod_bench.stats import Estimate, Floats

NAMED = 3  # missing runs that a line names one by one; more are counted
ENDS = ("failed", "diverged")  # reasons that are verbs; others need "is" or "are"

Verdict = Literal[
    "supported", "not supported", "undecided at this budget", "consistent, not tested"
]
SUPPORTED: Verdict = "supported"
NOT_SUPPORTED: Verdict = "not supported"
UNDECIDED: Verdict = "undecided at this budget"
CONSISTENT: Verdict = "consistent, not tested"


@dataclass(frozen=True)
class Part:
    """One thing that was measured; `verdict` is None if it is only shown.

    `words` is a template that says what was measured, with places for `methods` and for the word
    `minus`. `confidence` is the level of the interval, or None if its ends are a range.
    `n_expected` is the number of tasks that should give the estimate. `published` is the same
    quantity, read off the released curves.
    """

    words: str
    unit: str
    estimate: Estimate
    confidence: float | None
    n_expected: int
    verdict: Verdict | None = None
    note: str = ""
    published: float | None = None
    methods: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What was measured, as CSV files spell it."""
        return self.words.format(*self.methods, minus="less")

    @property
    def title(self) -> str:
        """The same for readers."""
        methods = (label(Method(name), in_text=True) for name in self.methods)
        return self.words.format(*methods, minus="minus")


@dataclass(frozen=True)
class Claim:
    """A claim with its parts; `verdict` is one, or what each of two readings says."""

    key: str
    statement: str
    rule: str
    verdict: str
    holes: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Judged:
    """The claims, in the paper's order, and what they were judged on and by."""

    claims: tuple[Claim, ...]
    profile: str
    protocol: str
    rules: Rules


@dataclass(frozen=True)
class Evidence:
    """The cells of a `Collected.frame` on the tasks and seeds that the rules name."""

    frame: pd.DataFrame
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: str  # of the records; several are named one after the other
    confidence: float  # of intervals
    left_out: str = ""  # which of them do not fit the rules

    def table(self, method: str, column: str, frame: pd.DataFrame | None = None) -> Floats:
        """A column of the cells, or of a `frame` of the same cells, as (tasks x seeds); NaN if a
        cell gave no number.
        """
        cells = self.frame if frame is None else frame
        cells = cells[cells["method"] == method]
        wide = cells.pivot_table(index="task", columns="seed", values=column, aggfunc="first")
        wide = wide.reindex(index=list(self.tasks), columns=list(self.seeds))
        return wide.to_numpy(dtype=np.float64)

    def missing(self, methods: Sequence[str], known: pd.Series) -> str:
        """What is missing of `methods`, method by method; empty if nothing is.

        Besides rows that are not `known`, it names runs that are left out, records of several
        protocols, and settings that differ between the methods.
        """
        keys = ["method", "task", "seed"]
        product = (list(dict.fromkeys(methods)), self.tasks, self.seeds)
        asked = pd.MultiIndex.from_product(product, names=keys)
        why = self.frame["status"].replace("ok", "without a number").mask(known, "")
        why = why.set_axis(pd.MultiIndex.from_frame(self.frame[keys]))
        lost = why.reindex(asked, fill_value="not in this experiment").loc[lambda text: text != ""]
        lines = [self.left_out] if self.left_out else []
        if "," in self.protocol:
            lines.append(f"records of several protocols: {self.protocol}")
        if unequal := self._unequal(methods):
            lines.append(unequal)
        for (method, reason), runs in lost.groupby(["method", lost], sort=False):
            names = [f"{label(Task(task))} seed {seed}" for _, task, seed in runs.index]
            seeds = sorted({seed for _, _, seed in runs.index})
            if len(names) == len(seeds) * len(self.tasks) > NAMED and len(seeds) < len(self.seeds):
                which = f"all runs with seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            else:
                which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} runs"
            if reason not in ENDS:
                which += " is" if len(names) == 1 else " are"
            lines.append(f"{label(Method(method), in_text=True)}: {which} {reason}")
        return "; ".join(lines)

    def _unequal(self, methods: Sequence[str]) -> str:
        """On which tasks settings differ that a comparison holds equal; empty if on none.

        Runs of the released protocol are left out, because it has its own settings for each method.
        """
        cells = self.frame[self.frame["method"].isin(methods) & (self.frame["protocol"] != "paper")]
        counts = cells.groupby("task", sort=False)["held_equal_hash"].nunique()
        odd = [label(Task(str(task))) for task in counts.index[counts > 1]]
        which = ", ".join(odd) if len(odd) <= NAMED else f"{len(odd)} tasks"
        return f"settings other than the method's differ between runs of {which}" if odd else ""


def suite_tasks(name: str) -> tuple[str, ...]:
    """The tasks of a suite. Raises InputError if there is none of that name."""
    path = CONF_DIR / "suite" / f"{name}.yaml"
    if not path.exists():
        raise InputError(f"claims.yaml: suite={name}, but {path} does not exist. Use another.")
    return tuple(str(task) for task in OmegaConf.load(path).tasks)


def head_of(task: str, head: str) -> str:
    """The head that a task has under one of a configuration."""
    if head != "auto":  # no need of the task's own file
        return head
    described = OmegaConf.load(CONF_DIR / "task" / f"{task}.yaml")
    return head_for(head, has_options=OmegaConf.select(described, "rank") is not None)


def evidence_on(frame: pd.DataFrame, rules: Rules, *, constant: bool = False) -> Evidence:
    """The cells of `frame` on which the rules judge: those of their suite, seeds and head.

    If the rules have an arm at a constant learning rate, only the runs of that arm (`constant`) or
    only those of the other arm are taken. Runs of the released protocol stay in either case,
    because it has its own schedule.
    """
    tasks, seeds = suite_tasks(rules.suite), tuple(rules.seeds)
    named = frame["task"].isin(tasks) & frame["seed"].isin(seeds)
    protocols = ", ".join(sorted(frame.loc[named, "protocol"].dropna().unique()))
    heads = {task: head_of(task, rules.head) for task in tasks}
    named &= (frame["head"] == frame["task"].map(heads)) & (frame["variant"] == "")
    left_out = ""
    if rules.convergence.constant_rate:
        known = frame["schedule"].notna() & (frame["protocol"] != "paper")
        odd = named & known & ((frame["schedule"] == "constant") != constant)
        if odd.any():
            what = "under a decay" if constant else "at a constant learning rate"
            left_out = f"{odd.sum()} runs are {what}, and left out"
        named &= ~odd
    return Evidence(frame[named], tasks, seeds, protocols, rules.confidence, left_out)


def combine(verdicts: Iterable[Verdict | None]) -> Verdict:
    """A claim holds if all its deciding parts do, and fails if one does."""
    deciding = {verdict for verdict in verdicts if verdict is not None}
    if NOT_SUPPORTED in deciding:
        return NOT_SUPPORTED
    return SUPPORTED if deciding == {SUPPORTED} else UNDECIDED


def verdict_of(holes: str, holds: bool, fails: bool) -> Verdict:
    """Undecided where something is missing, and where the answer straddles."""
    if holes:
        return UNDECIDED
    return SUPPORTED if holds else NOT_SUPPORTED if fails else UNDECIDED
