"""What FRoD's speed is held to: RoBERTa-base's shape, all linear layers, s = 0.02, on a CPU."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frod_bench.bench.floor import LayerTimes, over_the_floor
from frod_bench.bench.race import Race, Row, layers_at

SHAPE, SMALL, LARGE = "roberta_base", 512, 4096  # tokens a batch
AT_MOST, AT_LEAST = "at most", "at least"

Measure = Callable[[Race], float | None]  # None: the run has not what it takes


@dataclass(frozen=True)
class Goal:
    """One number that a run is held to."""

    name: str
    measure: Measure
    bound: str  # AT_MOST | AT_LEAST
    value: float


@dataclass(frozen=True)
class Verdict:
    """A goal and what a run says of it; None where the run has not measured it."""

    name: str
    measured: float | None
    bound: str
    goal: float
    met: bool | None


def judge(race: Race) -> list[Verdict]:
    """All goals, in their order."""
    verdicts = []
    for goal in GOALS:
        measured = goal.measure(race)
        met = None
        if measured is not None:
            met = measured <= goal.value if goal.bound == AT_MOST else measured >= goal.value
        verdicts.append(Verdict(goal.name, measured, goal.bound, goal.value, met))
    return verdicts


def _row(race: Race, method: str, tokens: int) -> Row | None:
    for row in race.rows:
        if (row.shape, row.compiled, row.tokens, row.method) == (SHAPE, False, tokens, method):
            return row
    return None


def _step(method: str, other: str, tokens: int) -> Measure:
    def measure(race: Race) -> float | None:
        row = _row(race, method, tokens)
        return row.step_ratio.get(other) if row else None

    return measure


def _forward(method: str, other: str, tokens: int) -> Measure:
    def measure(race: Race) -> float | None:
        row = _row(race, method, tokens)
        return row.forward_ratio.get(other) if row else None

    return measure


def _quotient(field: str, method: str, other: str) -> Measure:
    """Of one field of two rows at the large batch."""

    def measure(race: Race) -> float | None:
        ours, theirs = (getattr(_row(race, name, LARGE), field, None) for name in (method, other))
        return None if ours is None or theirs is None else ours / theirs

    return measure


def _cached_attach(race: Race) -> float | None:
    row = _row(race, "frod", LARGE)
    return row.attach_cached_sec if row else None


def _floor(summary: Callable[[Sequence[LayerTimes]], float], tokens: int) -> Measure:
    def measure(race: Race) -> float | None:
        found = layers_at(race.layers, SHAPE, tokens)
        return summary(found) if found else None

    return measure


def _worst(layers: Sequence[LayerTimes]) -> float:
    return max(times.ratio for times in layers)


GOALS = (
    *(
        Goal(
            f"step, {tokens} tokens, seconds of PEFT's FRoD / ours",
            _step("frod_peft", "frod", tokens),
            AT_LEAST,
            value,
        )
        for tokens, value in ((SMALL, 1.8), (LARGE, 8.5))
    ),
    Goal(
        f"step, {LARGE} tokens, FRoD / full fine-tuning",
        _step("frod", "full", LARGE),
        AT_MOST,
        1.25,
    ),
    Goal(f"step, {LARGE} tokens, FRoD / DoRA", _step("frod", "dora", LARGE), AT_MOST, 1.0),
    *(
        Goal(
            f"evaluation, {tokens} tokens, FRoD / the frozen model",
            _forward("frod", "frozen", tokens),
            AT_MOST,
            1.03,
        )
        for tokens in (SMALL, LARGE)
    ),
    Goal(
        "attaching, seconds of PEFT's FRoD / ours",
        _quotient("attach_sec", "frod_peft", "frod"),
        AT_LEAST,
        2.5,
    ),
    Goal("attaching from the cache, seconds", _cached_attach, AT_MOST, 1.5),
    Goal(
        f"peak memory, {LARGE} tokens, FRoD / full fine-tuning",
        _quotient("peak_rss_bytes", "frod", "full"),
        AT_MOST,
        1.0,
    ),
    Goal(
        f"peak memory, {LARGE} tokens, FRoD / PEFT's FRoD",
        _quotient("peak_rss_bytes", "frod", "frod_peft"),
        AT_MOST,
        0.75,
    ),
    *(
        Goal(
            f"seconds over the floor, {tokens} tokens, {what}",
            _floor(summary, tokens),
            AT_MOST,
            1.25,
        )
        for tokens in (SMALL, LARGE)
        for what, summary in (("all layers", over_the_floor), ("worst layer shape", _worst))
    ),
)
