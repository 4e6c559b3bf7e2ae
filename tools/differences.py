"""Tables of paired differences of test scores, each with its 95 % interval over seeds for the tasks
of the table.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from frod_bench.common.names import without_head
from frod_bench.report import paired
from frod_bench.report.names import label, method_named
from frod_bench.report.paired import THESE, end_of_interval, signed
from frod_bench.report.table import pipes
from frod_bench.stats.estimates import mean_of_these_tasks, mean_over_tasks

REFERENCE = Path(__file__).parents[1] / "results" / "reference"
AREAS = {"nlu": "language understanding", "reasoning": "reasoning", "vision": "vision"}
# Schedule of the learning rate -> its runs.
ARMS = {"cosine decay": "embedded", "constant": "constant_rate/embedded"}
OTHERS = {"lora": "LoRA", "dora": "DoRA", "full": "full fine-tuning"}
SCHEDULED = {"full": "full fine-tuning", "lora": "LoRA", "dora": "DoRA", "frod": "FRoD"}
HANGS_ON, DRAWN = "hangs on", "tasks drawn at random"
SLOW = {"frod": "FRoD", **OTHERS}
# Minuend and subtrahend -> in words; the budget is the number of trained parameters.
MATCHED = {
    ("frod", "lora_matched"): "FRoD minus LoRA of its budget",
    ("frod", "dora_matched"): "FRoD minus DoRA of its budget",
    ("lora", "lora_matched"): "LoRA minus LoRA of FRoD's budget",
    ("dora", "dora_matched"): "DoRA minus DoRA of FRoD's budget",
}
# Experiment -> what its first variant, the paper's setting, is.
VARIED = {
    "basis": "the joint basis",
    "conditioning": "plain steps of S",
    "capacity": "s 0.02",
}


def of_main_table() -> str:
    """Points of FRoD minus each method: over the synthetic tasks under both schedules and at equal
    budgets, and over the real ones.
    """
    lines = head("FRoD minus, points", list(OTHERS.values()))
    for schedule, folder in ARMS.items():
        distances = frod_minus(folder)
        lines.append(_minus_others(f"synthetic, learning rate: {schedule}", distances))
    points = points_of(cells_of("matched_budget/embedded"))
    of_budget = (pair for pair in MATCHED if pair[0] == "frod")
    cells = [of_these_tasks(points.loc[ours] - points.loc[theirs]) for ours, theirs in of_budget]
    seeds = points.columns.size
    budget = f"synthetic, cosine decay, at about FRoD's count of parameters, {seeds} seeds"
    lines.append(pipes([budget, *cells, "–"]))
    same = [of_these_tasks(points.loc["frod"] - points.loc[method]) for method in OTHERS]
    lines.append(pipes([f"synthetic, cosine decay, default ranks, the same {seeds} seeds", *same]))
    real = points_of(cells_of("real")).loc["frod"]
    extent = f"real, cosine decay, {real.index.size} tasks, {real.columns.size} seeds"
    lines.append(_minus_others(extent, frod_minus("real")))
    return "\n".join(lines)


def _minus_others(text: str, distances: Mapping[str, str]) -> str:
    return pipes([text, *(distances[method] for method in OTHERS)])


def by_family(folder: str) -> str:
    """FRoD minus each method of a folder's runs: on its tasks, on tasks drawn at random, by family,
    and the tasks that it hangs on.
    """
    runs = cells_of(folder)
    runs = runs[runs["variant"].isna()]  # those of a sweep are other settings
    points, families = points_of(runs), families_of(runs)
    lines = head("FRoD minus, points", _readings(families))
    for method in (name for name in dict.fromkeys(runs["method"]) if name != "frod"):
        cells = _read(points.loc["frod"] - points.loc[method], families)
        lines.append(pipes([label(method_named(method), in_text=True), *cells]))
    return "\n".join(lines)


def at_matched_budget() -> str:
    """What the count of trained parameters is worth, by family."""
    runs = cells_of("matched_budget/embedded")
    points, families = points_of(runs), families_of(runs)
    lines = head("points", ["all tasks", *AREAS.values(), HANGS_ON])
    for (ours, theirs), text in MATCHED.items():
        gain = points.loc[ours] - points.loc[theirs]
        lines.append(pipes([text, *_by_area(gain, families), hangs_on(gain)]))
    return "\n".join(lines)


def of_all_methods() -> str:
    """What each method scores minus FRoD, by family, and how much of the backbone it trains."""
    folder = "all_methods/embedded"
    runs = cells_of(folder)
    points, families = points_of(runs), families_of(runs)
    counts = pd.read_csv(REFERENCE / folder / "tables/parameters.csv")
    counts = counts[counts["quantity"] == "percent_without_head"]
    weighted = (counts["mean"] * counts["n_cells"]).groupby(counts["method"]).sum()
    shares = weighted / counts.groupby("method")["n_cells"].sum()
    lines = head("minus FRoD, points", ["trained, %", *_readings(families)])
    for method in dict.fromkeys(runs["method"]):
        if method != "frod":
            gain = points.loc[method].reindex(families.index) - points.loc["frod"]
            cells = [f"{shares[method]:.1f}", *_read(gain, families)]
            lines.append(pipes([label(method_named(method), in_text=True), *cells]))
    return "\n".join(lines)


def of_variants() -> str:
    """What each variant of FRoD scores minus the paper's setting, each at its own rates."""
    costs = regrets()
    lines = head(
        "variant minus the paper's setting, points",
        ["all tasks", *AREAS.values(), HANGS_ON, "a redrawn pick costs"],
    )
    for experiment, reference in VARIED.items():
        runs = cells_of(f"why/embedded/{experiment}")
        points, families = points_of(runs), families_of(runs)
        settings = runs.set_index("method")["variant"].to_dict()
        first, *others = settings
        for name in others:
            gain = points.loc[name] - points.loc[first]
            cells = [*_by_area(gain, families), hangs_on(gain)]
            cells.append(f"{costs[name]:.1f} and {costs[first]:.1f}")
            lines.append(pipes([f"{settings[name]}, against {reference}", *cells]))
        if experiment == "capacity":
            shares = {name: float(setting.removeprefix("s ")) for name, setting in settings.items()}
            slope = per_tenfold(points, shares)
            text = f"tenfold s, straight line through {len(shares)} shares"
            lines.append(pipes([text, *_by_area(slope, families), hangs_on(slope), ""]))
    return "\n".join(lines)


def regrets() -> "pd.Series[float]":
    """What a redrawn pick costs each method on validation, in points; tasks weigh as in scores."""
    picks = pd.read_csv(REFERENCE / "search/embedded/tables/picks.csv")
    weighted = (picks["regret_points"] * picks["tasks"]).groupby(picks["method"]).sum()
    return weighted / picks.groupby("method")["tasks"].sum()


def of_slow_learning() -> str:
    """How far methods are apart at either number of steps, and what more steps add to each."""
    runs = cells_of("why/embedded/slow_learning")
    points, families = points_of(runs), families_of(runs)
    few, many = sorted(set(runs["steps"]))
    there = _there(families)
    areas = there if len(there) > 1 else []  # one alone is the same as all tasks
    lines = head("points", [f"{len(families)} tasks", *areas, HANGS_ON])

    def at(method: str, steps: float) -> pd.DataFrame:
        return points.loc[f"{method} (steps {steps:g})"]

    def add(text: str, gain: pd.DataFrame) -> None:
        lines.append(pipes([text, *_by_area(gain, families)[: 1 + len(areas)], hangs_on(gain)]))

    methods = [name for name in SLOW if any(runs["method"].str.startswith(f"{name} ("))]
    for ours, theirs in itertools.combinations(methods, 2):
        distances = [at(ours, steps) - at(theirs, steps) for steps in (few, many)]
        pair = f"{SLOW[ours]} minus {SLOW[theirs]}"
        for steps, distance in zip((few, many), distances, strict=True):
            add(f"{pair}, {steps:g} steps", distance)
        add(f"{pair}, the change", distances[1] - distances[0])
    for method in methods:
        add(f"{SLOW[method]}, what more steps add", at(method, many) - at(method, few))
    return "\n".join(lines)


def per_tenfold(points: pd.DataFrame, shares: Mapping[str, float]) -> pd.DataFrame:
    """Points that ten times the share add: least squares over its logarithm, task by task."""
    decades = pd.Series(shares).map(math.log10)
    centred = decades - decades.mean()
    weights = centred / (centred**2).sum()
    weighted = [weight * points.loc[name] for name, weight in weights.items()]
    return sum(weighted[1:], start=weighted[0])


def between_schedules() -> str:
    """What scores are under the decay minus those at a constant learning rate, by family, and the
    same of FRoD minus each method; the runs of the two arms are paired by task and seed.
    """
    decay, constant = map(cells_of, ARMS.values())
    families = families_of(constant)
    gain = (points_of(decay) - points_of(constant)).dropna(how="all")
    lines = head("decay minus constant, points", list(SCHEDULED.values()))
    for area, tasks in {"all tasks": families, **_areas(families)}.items():
        inside = [of_these_tasks(gain.loc[method].loc[list(tasks.index)]) for method in SCHEDULED]
        lines.append(pipes([area, *inside]))
    others = [method for method in SCHEDULED if method != "frod"]
    cells = [of_these_tasks(gain.loc["frod"] - gain.loc[other]) for other in others]
    lines.append(pipes(["FRoD minus the method, all tasks", *cells, ""]))
    return "\n".join(lines)


def frod_minus(folder: str) -> dict[str, str]:
    """FRoD minus each method on the tasks of a folder, from its paired table."""
    table = pd.read_csv(REFERENCE / folder / "tables/paired.csv")
    of_these = table[table["quantity"] == THESE].set_index("method")[["mean", "low", "high"]]
    return {str(method): with_interval(*ends) for method, ends in of_these.iterrows()}


def cells_of(folder: str) -> pd.DataFrame:
    """The runs of a table; a family is the same under each head. Raises ValueError if one is in no
    area.
    """
    cells = pd.read_csv(REFERENCE / folder / "tables/cells.csv")
    cells["family"] = [without_head(family)[0] for family in cells["family"]]
    if unknown := set(cells["family"]) - set(AREAS):
        raise ValueError(f"{folder}: families {sorted(unknown)} are in none of {list(AREAS)}.")
    return cells


def points_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Test scores in points: rows are methods and tasks, columns seeds."""
    return (100 * cells.set_index(["method", "task", "seed"])["value"]).unstack("seed")


def families_of(cells: pd.DataFrame) -> "pd.Series[str]":
    """The family of each task."""
    return cells.drop_duplicates("task").set_index("task")["family"]


def _areas(families: "pd.Series[str]") -> dict[str, "pd.Series[str]"]:
    there = (family for family in AREAS if family in set(families))
    return {AREAS[family]: families[families == family] for family in there}


def _there(families: "pd.Series[str]") -> list[str]:
    """The areas that there are, in the order of `_by_area`."""
    return [area for family, area in AREAS.items() if family in set(families)]


def hangs_on(gain: pd.DataFrame) -> str:
    """The tasks that a difference hangs on, as in the paired tables; empty if a run is missing.

    The rows of `gain` are tasks as `cells.csv` spells them.
    """
    if gain.empty or gain.isna().any(axis=None):
        return ""
    keys = pd.MultiIndex.from_tuples([without_head(task) for task in gain.index])
    return paired.tasks_in_words(paired.hangs_on(gain.set_axis(keys)))


def _readings(families: "pd.Series[str]") -> list[str]:
    """The columns of `_read`."""
    return [f"these {len(families)} tasks", DRAWN, *_there(families), HANGS_ON]


def _read(gain: pd.DataFrame, families: "pd.Series[str]") -> list[str]:
    """The mean of these tasks, of tasks drawn at random and by area, and what it hangs on."""
    these, *areas = _by_area(gain, families)
    return [these, _drawn(gain.loc[list(families.index)]), *areas, hangs_on(gain)]


def _drawn(gain: pd.DataFrame) -> str:
    """The same mean with the interval of tasks drawn at random."""
    if gain.empty or gain.isna().any(axis=None):
        return "–"
    return with_interval(*mean_over_tasks(gain.to_numpy())[:3])


def _by_area(gain: pd.DataFrame, families: "pd.Series[str]") -> list[str]:
    """The mean over all tasks, and over those of each area that there is."""
    there = (family for family in AREAS if family in set(families))
    inside = (gain[gain.index.map(families) == family] for family in there)
    return [of_these_tasks(gain), *map(of_these_tasks, inside)]


def of_these_tasks(gain: pd.DataFrame) -> str:
    """The mean of these tasks with its interval over seeds; a dash if there are no runs, or one is
    missing.
    """
    if gain.empty or gain.isna().any(axis=None):
        return "–"
    return with_interval(*mean_of_these_tasks(gain.to_numpy())[:3])


def with_interval(mean: float, low: float, high: float) -> str:
    """An end near 0 has a digit more, as its sign decides; without ends, the mean alone."""
    if math.isnan(low):
        return signed(mean)
    return f"{signed(mean)} [{end_of_interval(low)}, {end_of_interval(high)}]"


def head(first: str, columns: Sequence[str]) -> list[str]:
    """The first two rows of a Markdown table with numbers in all columns but the first."""
    return [pipes([first, *columns]), pipes(["---", *(["---:"] * len(columns))])]
