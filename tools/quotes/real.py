"""What the pages quote of the costs on real data and of how the profile was run."""

import functools

import pandas as pd

from frod_bench.common.names import with_head
from frod_bench.report.claims.convergence import Arm, convergence
from frod_bench.report.claims.parts import evidence_on
from frod_bench.report.collect import collect_folder
from frod_bench.report.curves import evaluated_curves
from frod_bench.report.folder import cells_in
from frod_bench.report.rules import load_rules
from frod_bench.stats.estimates import Estimate
from tools.evidence_hours import REFERENCE, records_in
from tools.quotes.found import Quote, number, runs
from tools.real_profile import step_ratios

PAGE = "docs/reference/real_results.md"
DATA = "docs/how-to/real_data.md"
METHODS = ("frod", "lora", "dora", "full")
ARC, REAL = "arc_easy", "real"
IN_TABLES = with_head(ARC, "rank")
ASKED = 0.6  # of the seconds of a step before, in the mean over methods and tasks


def steps() -> pd.DataFrame:
    """The runs of the table that trained, with their seconds of a step."""
    found = runs(REAL)
    found = found.assign(step_sec=found["train_sec"] / found["steps"])
    return found[found["step_sec"] > 0]


def of_arc(method: str) -> list[str]:
    """Seconds of a step on ARC-e with seeds 0, 1 and 2."""
    found = steps()
    found = found[(found["task"] == IN_TABLES) & (found["method"] == method)]
    return [number(sec) for sec in found.sort_values("seed")["step_sec"]]


def of_arc_again(method: str) -> list[str]:
    """The same of the runs that were made again with nothing else on the machine."""
    found = {
        record["cell"]["seed"]: record["time"]["train_sec"] / record["steps"]
        for record in records_in("again/real")
        if (record["cell"]["task"], record["cell"]["method"]) == (ARC, method)
        and record["time"] is not None
        and record["steps"]
    }
    return [number(found[seed]) for seed in sorted(found)]


def mean_steps(*without: str) -> list[str]:
    """Mean seconds of a step over tasks, by method."""
    found = steps()
    of_tasks = found[~found["task"].isin(without)].groupby(["method", "task"])["step_sec"].mean()
    return [number(of_tasks[method].mean(), 2) for method in METHODS]


@functools.cache
def without_arc() -> dict[str, Estimate]:
    """The parts of the claim on convergence, by name, as the rules give them without ARC-e."""
    folder = REFERENCE / REAL
    collected = collect_folder(folder, REAL, cells_in(folder)[0])
    rules = load_rules().of_profile(REAL)
    frame = collected.frame[collected.frame["task"] != ARC]
    measured = evaluated_curves(frame, collected.curves, rules.convergence.column)
    arm = Arm("", evidence_on(frame, rules), measured)
    return {part.name: part.estimate for part in convergence(arm, None, rules.convergence).parts}


def ratio(method: str) -> Estimate:
    """A method's seconds to the target over FRoD's, without ARC-e."""
    return without_arc()[f"seconds to target, {method} over frod"]


def trained_ratios() -> "pd.Series[float]":
    """The same of the methods that train the backbone or an adapter."""
    return step_ratios()["ratio"].drop(index="frozen", level="method")


def by_method() -> "pd.Series[float]":
    """The mean ratio of each of these methods."""
    return trained_ratios().groupby(level="method").mean()


QUOTES = [
    Quote(
        PAGE,
        "A training step takes {} s with FRoD, {} s with LoRA, {} s with DoRA and {} s with full "
        "fine-tuning, in the mean over tasks",
        mean_steps,
    ),
    Quote(
        PAGE,
        "LoRA's steps took {} and {} s with these and {} s with seed 2, FRoD's {}, {} and {} s.",
        lambda: [*of_arc("lora"), *of_arc("frod")],
    ),
    Quote(
        PAGE,
        "with nothing else running, they took {} and {} s and {} and {} s.",
        lambda: [*of_arc_again("lora"), *of_arc_again("frod")],
    ),
    Quote(
        PAGE,
        "Without ARC-e a step takes {}, {}, {} and {} s, and in seconds to the target LoRA needs "
        "{} times what FRoD needs ({} to {}), and DoRA {} times ({} to {}): no verdict hangs on "
        "it.",
        lambda: [
            *mean_steps(IN_TABLES),
            *(number(value, 2) for name in ("lora", "dora") for value in ratio(name)[:3]),
        ],
        lambda: ratio("lora").high < 1 < ratio("dora").low,
    ),
    Quote(
        DATA,
        "With the two probes of the frozen backbone it is {}, over the four trained methods alone "
        "{}. Full fine-tuning ({}) and FRoD ({}) meet it in the mean over the three tasks, LoRA "
        "({}) and DoRA ({}) do not.",
        lambda: [
            number(step_ratios()["ratio"].mean(), 2),
            number(trained_ratios().mean(), 2),
            *(number(by_method()[name], 2) for name in ("full", "frod", "lora", "dora")),
        ],
        lambda: bool(
            step_ratios()["ratio"].mean() <= ASKED < trained_ratios().mean()
            and by_method()[["full", "frod"]].max() <= ASKED < by_method()[["lora", "dora"]].min()
        ),
    ),
]
