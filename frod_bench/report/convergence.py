"""Steps and seconds to the target that the reference sets, by the rules of `claims.yaml`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from frod_bench import stats
from frod_bench.records.schema import THEN
from frod_bench.report.curves import AXES, ENDED, Axis, Curve, smoothed_curves
from frod_bench.report.frame import (
    by_task,
    is_method,
    method_of,
    methods_in,
    runs_of,
    task_of,
)
from frod_bench.report.keys import METHOD_KEY, TASK_KEY, Method, Run, Task
from frod_bench.report.names import label
from frod_bench.report.rules import ConvergenceRule
from frod_bench.report.table import NOT_THERE, Row, Table

# A run that diverged never reaches the target; one that failed or is missing might.
NEVER = ("diverged", "undefined")
MACHINE = ("device", "machine")  # columns that say what computed: its type and its model
FACTORS = (1, 2, 4)  # of the performance profile
MISSED = "∞"  # instead of a time, if the target is not reached


def targets(
    frame: pd.DataFrame, curves: Mapping[Run, Curve], rule: ConvergenceRule, reference: Method
) -> dict[tuple[Task, int], float]:
    """The target of each task and seed, in the unit of `rule.measured_on`.

    On the score all seeds of a task share the target of the reference's mean curve; on the loss
    each has its own. NaN if the reference has no complete curve, or does not improve, or if too few
    of its runs set a target (`least_targets`).
    """
    found: dict[tuple[Task, int], float] = {}
    for task, cells in by_task(frame):
        ended = cells[is_method(cells, reference) & cells["status"].isin(ENDED)]
        whole = {run.seed: curves[run] for run in runs_of(ended) if run in curves}
        shared = np.nan
        if rule.measured_on == "score" and whole:
            shared = _shared_target(
                list(whole.values()), rule, higher_is_better=bool(ended["higher_is_better"].iloc[0])
            )
        seeds = list(cells["seed"].unique())
        found |= {(task, seed): shared for seed in seeds}
        if rule.measured_on == "loss":
            found |= {(task, seed): target for seed, target in _own_targets(whole, seeds, rule)}
    return found


def _own_targets(
    curves: Mapping[int, Curve], seeds: Sequence[int], rule: ConvergenceRule
) -> list[tuple[int, float]]:
    """Each seed's own target, and none if too few of the reference's runs set one."""
    own = {
        seed: stats.target_from_lowest(curve.values, rule.target_fraction, rule.window_evaluations)
        for seed, curve in curves.items()
    }
    n_targets = sum(not np.isnan(target) for target in own.values())
    if n_targets <= rule.least_targets * len(seeds):
        own = {}
    return [(seed, own.get(seed, np.nan)) for seed in seeds]


def _shared_target(
    curves: Sequence[Curve], rule: ConvergenceRule, *, higher_is_better: bool
) -> float:
    steps = curves[0].steps
    return stats.target_from_reference(
        [stats.resample_onto(steps, curve.steps, curve.values) for curve in curves],
        rule.target_fraction,
        rule.window_evaluations,
        higher_is_better=higher_is_better,
    )


def arrivals(
    frame: pd.DataFrame,
    measured: Mapping[Run, Curve],
    rule: ConvergenceRule,
    reference: Method | None = None,
) -> pd.DataFrame:
    """When each run reached its target, which `reference` (by default the rule's) sets.

    `measured` are the curves of `rule.column`. Columns: task, head, family, method, variant, side,
    seed, status, device (its type) and machine (None if the record does not say), target (in the
    curve's own unit), has_curve (the run ended and was measured), steps, seconds (with set-up).
    Infinite: a miss; NaN: unknown (no target, or a missing run).
    """
    goal = targets(frame, measured, rule, reference or Method(rule.reference))
    runs, rows = runs_of(frame), []
    machines = list(map(_machine_of, frame["device"], frame["processor"]))
    own = {run: measured[run] for run in runs if run in measured}
    curves = smoothed_curves(own, rule.window_evaluations)
    columns = (frame[name].tolist() for name in ("family", "status", "higher_is_better"))
    for run, made_on, family, status, is_higher in zip(runs, machines, *columns, strict=True):
        target = goal[run.task, run.seed]
        times = [np.nan, np.nan]
        if run in curves:
            curve = curves[run]
            better = rule.measured_on == "score" and bool(is_higher)
            times = [
                stats.time_to_target(curve.times(axis), curve.values, target, better)
                for axis in AXES
            ]
        elif status in NEVER and not np.isnan(target):
            times = [np.inf, np.inf]
        base = (*run.task, family, *run.method, run.seed, status, *made_on, target)
        rows.append((*base, run in curves, *times))
    names = [*TASK_KEY, "family", *METHOD_KEY, "seed", "status", *MACHINE, "target", "has_curve"]
    return pd.DataFrame(rows, columns=[*names, *AXES])


def _machine_of(device: Any, processor: Any) -> tuple[str | None, str | None]:
    """The type of device that computed, and its model, each None if it is not known."""
    kind = device.partition(":")[0] if isinstance(device, str) else None
    return kind, processor if isinstance(processor, str) else None


def on_several_machines(
    arrived: pd.DataFrame, methods: Collection[Method] | None = None
) -> set[Task]:
    """The tasks on which the runs of `methods`, by default of all, were made on more than one kind
    of machine, as far as records say: their seconds do not compare.
    """
    own = arrived
    if methods is not None:
        own = own[np.logical_or.reduce([is_method(own, method) for method in methods])]
    named = [name.split(THEN) if isinstance(name, str) else [None] for name in own["machine"]]
    each = own.assign(machine=named).explode("machine")
    counts = each.groupby(TASK_KEY)[list(MACHINE)].nunique().max(axis=1)
    return {Task(*map(str, key)) for key in counts.index[counts > 1]}


def not_compared(
    arrived: pd.DataFrame, rule: ConvergenceRule, axis: Axis, method: Method | None = None
) -> set[Task]:
    """The tasks that do not count on an axis, because several kinds of machine ran them.

    Only the runs of the rule's own method and of `method` matter; without `method`, all runs do.
    Steps always count, and seconds do unless the rule asks for one machine.
    """
    if axis == "steps" or not rule.one_machine:
        return set()
    return on_several_machines(arrived, None if method is None else [Method(rule.ours), method])


def mixed_words(tasks: Collection[Task]) -> str:
    """Which tasks were `on_several_machines`, for notes; empty if none was."""
    names = ", ".join(sorted(map(label, tasks)))
    return f"without tasks that several kinds of machine ran: {names}" if names else ""


def time_summary(arrived: pd.DataFrame, rule: ConvergenceRule) -> pd.DataFrame:
    """Median over seeds of each task and method, and the speed-up of `rule.ours` over it.

    Columns: task, head, family, method, variant, side, axis, n_seeds (known), n_expected, n_missed,
    target (median over seeds), median, speedup. `speedup` is theirs / ours, of the medians over the
    seeds for which both times are known. It is NaN if undecided, as it is in seconds if the rule
    asks for one machine and there were several.
    """
    keys = [*TASK_KEY, "family", *METHOD_KEY]
    ordered = pd.concat(cells for _, cells in by_task(arrived))
    of_seed = [*TASK_KEY, "seed"]
    own = ordered[is_method(ordered, Method(rule.ours))].set_index(of_seed)
    place = own.index.get_indexer(pd.MultiIndex.from_frame(ordered[of_seed]))
    of_axes = []
    for axis in AXES:
        ours = np.append(own[axis].to_numpy(), np.nan)[place]  # -1: no run of ours
        theirs = ordered[axis].to_numpy()
        unknown = np.isnan(ours) | np.isnan(theirs)
        paired = ordered.assign(
            ours=np.where(unknown, np.nan, ours), theirs=np.where(unknown, np.nan, theirs)
        )
        found = paired.groupby(keys, sort=False, as_index=False).agg(
            n_seeds=(axis, "count"),
            n_expected=(axis, "size"),
            n_missed=(axis, lambda times: np.isinf(times).sum()),
            target=("target", "median"),
            median=(axis, stats.median_over_seeds),
            ours=("ours", stats.median_over_seeds),
            theirs=("theirs", stats.median_over_seeds),
        )
        found["speedup"] = list(map(stats.speedup, found.pop("ours"), found.pop("theirs")))
        mixed = {m: not_compared(arrived, rule, axis, m) for m in methods_in(found)}
        rows = found.itertuples(index=False)
        found["speedup"] = found["speedup"].mask(
            [task_of(row) in mixed[method_of(row)] for row in rows]
        )
        found.insert(len(keys), "axis", axis)
        of_axes.append(found)
    return pd.concat(of_axes, ignore_index=True)


def convergence_table(
    summary: pd.DataFrame,
    rule: ConvergenceRule,
    title: str,
    *,
    methods: Sequence[Method] | None = None,
    missed: str = MISSED,
    constant: Collection[Task] = (),
    mixed: Collection[Task] = (),
) -> Table:
    """Steps, then seconds, to target: task x method; below each the median speed-up over tasks.

    `methods` are the columns in their order, by default that of the summary; `missed` is written if
    a target is not reached. Tasks that are `constant`, on which the reference predicts a single
    class, show dashes, because their target is moot. In seconds `mixed` tasks, which several kinds
    of machine ran, do not count among the fastest.
    """
    methods, ours = methods or methods_in(summary), Method(rule.ours)
    reference = label(Method(rule.reference), in_text=True)
    rows: list[Row] = []
    for axis in AXES:
        of_axis = summary[summary["axis"] == axis]
        rows.append(Row(f"{axis} to target", heading=True))
        for task, cells in by_task(of_axis):
            if task in constant:
                rows.append(Row(f"{label(task)} ({NOT_THERE})", (NOT_THERE,) * len(methods)))
                continue
            of_task = {method_of(row): row for row in cells.itertuples(index=False)}
            texts = (format_time(of_task.get(method), missed) for method in methods)
            target = format_target(cells["target"].iloc[0], rule)
            rows.append(Row(f"{label(task)} ({target})", tuple(texts)))
        ratios = (_median_speedup(of_axis, method, ours, missed) for method in methods)
        rows.append(Row(f"time over {label(ours)}'s", tuple(ratios), strong=True))
        apart = mixed if axis == "seconds" else ()
        rows += _profile_rows(of_axis, methods, apart)
    infinity = f"{MISSED}: not reached. " if missed == MISSED else ""
    caption = (
        f"First evaluation at which the curve of {rule.words}, smoothed over "
        f"{rule.window_evaluations} evaluations, is at the target (in brackets, "
        f"{rule.unit}), which is {target_words(rule, Method(rule.reference))}; "
        f"{middle_seed(int(summary['n_expected'].max()))}. Seconds are of training with set-up. "
        f"{infinity}The time over {label(ours)}'s is the median over tasks: below 1 the method is "
        "faster; it is of the seeds that both know, and if both miss a task is undecided and left "
        "out. Last, the share of tasks on which a method needs at most a factor times the fastest "
        "method's time, of the tasks on which all times are known."
    )
    header = ("task (target)", *(label(method) for method in methods))
    notes = [
        f"{label(task)} has no target: {reference} predicts a single class. The factors and shares "
        "below the tasks still count it, as the claims do."
        for task in constant
    ]
    if mixed:
        notes.append(
            f"In seconds, the shares are {mixed_words(mixed)}. A factor leaves out only those of "
            "these tasks that its own two methods ran on several kinds of machine."
        )
    return Table(f"Convergence: {title}", caption, header, rows, notes)


def middle_seed(seeds: int) -> str:
    """What `median_over_seeds` returns for this many seeds, in words."""
    return {1: "of one seed", 2: "the slower of two seeds"}.get(seeds, "median over seeds")


def _profile_rows(
    of_axis: pd.DataFrame, methods: Sequence[Method], apart: Collection[Task]
) -> list[Row]:
    """The performance profile at `FACTORS`, without the tasks `apart`; a dash if no task has every
    method's time.
    """
    counted = [task_of(row) not in apart for row in of_axis.itertuples(index=False)]
    times = (
        of_axis[counted].pivot(index=METHOD_KEY, columns=TASK_KEY, values="median").reindex(methods)
    )
    profile = stats.performance_profile(times.to_numpy(), FACTORS)
    return [
        Row(
            "fastest" if factor == 1 else f"within {factor} × the fastest",
            tuple(NOT_THERE if np.isnan(share) else f"{100 * share:.0f} %" for share in shares),
        )
        for factor, shares in zip(FACTORS, profile.T, strict=True)
    ]


def format_time(number: Any, never: str = MISSED) -> str:
    """A row of `time_summary` as text; `never` is written if the target is not reached."""
    if number is None or np.isnan(number.median):
        return NOT_THERE
    if np.isinf(number.median):
        text = never
    else:
        text = f"{number.median:,.0f}" if number.median >= 100 else f"{number.median:.3g}"
        if number.n_missed:
            text += f" ({number.n_missed} of {number.n_expected} missed)"
    is_whole = number.n_seeds == number.n_expected
    return text if is_whole else f"{text} ({number.n_seeds} of {number.n_expected} seeds)"


def target_words(rule: ConvergenceRule, reference: Method) -> str:
    """What the target is, for captions."""
    share, name = f"{100 * rule.target_fraction:.0f} %", label(reference, in_text=True)
    if rule.measured_on == "score":
        return f"{share} of the gain of {name}'s mean curve"
    return (
        f"{share} of the way from the start to the lowest value of {name}'s curve with the same "
        "seed"
    )


def format_target(target: float, rule: ConvergenceRule) -> str:
    """A target in points, or as a loss."""
    if np.isnan(target):
        return "no target"
    text = f"{100 * target:.1f}" if rule.measured_on == "score" else f"{target:.3f}"
    return text.replace("-", "−")


def _median_speedup(of_axis: pd.DataFrame, method: Method, ours: Method, missed: str) -> str:
    """The median over tasks of ours' speed-up on a method, with their number if not all decide."""
    if method == ours:
        return "1"
    ratios = of_axis.loc[is_method(of_axis, method), "speedup"]
    decided = ratios[ratios.notna()]
    if decided.empty:
        return "undecided"
    median = stats.median_ratio(decided)
    text = missed if np.isinf(median) else f"{median:.2f} ×"
    all_decide = len(decided) == len(ratios)
    return text if all_decide else f"{text} ({len(decided)} of {len(ratios)} tasks)"
