"""The speed that FRoD is held to, with all linear layers adapted at s = 0.02.

On a CPU the goals are for RoBERTa-base's shape, on a GPU for RoBERTa-large's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from frod_bench.bench.floor import LayerTimes, over_the_floor
from frod_bench.bench.race import Race, layers_at

BASE, LARGE = "roberta_base", "roberta_large"
AT_MOST, AT_LEAST = "at most", "at least"

Measure = Callable[[Race], float | None]  # None: the run does not have the numbers


@dataclass(frozen=True)
class Goal:
    """A number, and its bound."""

    name: str
    bound: str  # AT_MOST | AT_LEAST
    value: float
    measure: Measure


@dataclass(frozen=True)
class Verdict:
    """A goal and a run's number; None if the run did not measure it."""

    name: str
    measured: float | None
    bound: str
    goal: float
    met: bool | None


def judge(race: Race, device: str) -> list[Verdict]:
    """Return the verdicts on all goals of the device's kind, cpu or cuda."""
    verdicts = []
    for goal in GOALS if device == "cpu" else CUDA_GOALS:
        measured = goal.measure(race)
        met = None
        if measured is not None:
            met = measured <= goal.value if goal.bound == AT_MOST else measured >= goal.value
        verdicts.append(Verdict(goal.name, measured, goal.bound, goal.value, met))
    return verdicts


def _of_row(
    race: Race, field: str, method: str, tokens: int, *, shape: str = BASE, compiled: bool = False
) -> Any:
    """Return a field of the row of a method; None if there is no such row."""
    key = (shape, compiled, tokens, method)
    rows = (r for r in race.rows if (r.shape, r.compiled, r.tokens, r.method) == key)
    return getattr(next(rows, None), field, None)


def _ratio(field: str, methods: tuple[str, str], tokens: int, **of: Any) -> Measure:
    """Read the first method's `step_ratio` or `forward_ratio` to the second one."""
    return lambda race: (_of_row(race, field, methods[0], tokens, **of) or {}).get(methods[1])


def _quotient(field: str, method: str, other: str) -> Measure:
    """Divide a field of two methods' rows at the large batch."""

    def measure(race: Race) -> float | None:
        ours, theirs = (_of_row(race, field, name, 4096) for name in (method, other))
        return None if ours is None or theirs is None else ours / theirs

    return measure


def _floor(summary: Callable[[Sequence[LayerTimes]], float], tokens: int) -> Measure:
    def measure(race: Race) -> float | None:
        found = layers_at(race.layers, BASE, tokens)
        return summary(found) if found else None

    return measure


def _worst(layers: Sequence[LayerTimes]) -> float:
    return max(times.ratio for times in layers)


def _step(
    tokens: int, what: str, bound: str, value: float, methods: tuple[str, str], **of: Any
) -> Goal:
    return Goal(
        *(f"step, {tokens} tokens, {what}", bound, value),
        _ratio("step_ratio", methods, tokens, **of),
    )


def _evaluation(tokens: int) -> Goal:
    name = f"evaluation, {tokens} tokens, FRoD / the frozen model"
    return Goal(name, AT_MOST, 1.03, _ratio("forward_ratio", ("frod", "frozen"), tokens))


def _floors(tokens: int) -> tuple[Goal, Goal]:
    name = f"seconds over the floor, {tokens} tokens"
    return (
        Goal(f"{name}, all layers", AT_MOST, 1.25, _floor(over_the_floor, tokens)),
        Goal(f"{name}, worst layer shape", AT_MOST, 1.25, _floor(_worst, tokens)),
    )


PEFT = "seconds of PEFT's FRoD / ours"
FULL = "FRoD / full fine-tuning"
GOALS = (
    _step(512, PEFT, AT_LEAST, 1.8, ("frod_peft", "frod")),
    _step(4096, PEFT, AT_LEAST, 8.5, ("frod_peft", "frod")),
    _step(4096, FULL, AT_MOST, 1.25, ("frod", "full")),
    _step(4096, "FRoD / DoRA", AT_MOST, 1.0, ("frod", "dora")),
    _evaluation(512),
    _evaluation(4096),
    Goal(f"attaching, {PEFT}", AT_LEAST, 2.5, _quotient("attach_sec", "frod_peft", "frod")),
    Goal(
        *("attaching from the cache, seconds", AT_MOST, 1.5),
        lambda race: _of_row(race, "attach_cached_sec", "frod", 4096),
    ),
    Goal(
        *(f"peak memory, 4096 tokens, {FULL}", AT_MOST, 1.0),
        _quotient("peak_rss_bytes", "frod", "full"),
    ),
    Goal(
        *("peak memory, 4096 tokens, FRoD / PEFT's FRoD", AT_MOST, 0.75),
        _quotient("peak_rss_bytes", "frod", "frod_peft"),
    ),
    *_floors(512),
    *_floors(4096),
)
CUDA_GOALS = tuple(
    _step(16384, f"{name}, {what}", bound, value, methods, shape=LARGE, compiled=compiled)
    for compiled, name in ((False, "eager"), (True, "compiled"))
    for what, bound, value, methods in (
        (PEFT, AT_LEAST, 3.0, ("frod_peft", "frod")),
        (FULL, AT_MOST, 1.15, ("frod", "full")),
    )
)
