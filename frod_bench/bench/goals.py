"""What FRoD's speed is held to, all linear layers adapted at s = 0.02.

On a CPU at RoBERTa-base's shape, on a GPU at RoBERTa-large's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frod_bench.bench.floor import LayerTimes, over_the_floor
from frod_bench.bench.race import Race, Row, layers_at

SHAPE, SMALL, LARGE = "roberta_base", 512, 4096  # tokens a batch
CUDA_SHAPE, CUDA_TOKENS = "roberta_large", 16384
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


def judge(race: Race, device: str) -> list[Verdict]:
    """All goals of the kind of device, in their order."""
    verdicts = []
    for goal in GOALS if device == "cpu" else CUDA_GOALS:
        measured = goal.measure(race)
        met = None
        if measured is not None:
            met = measured <= goal.value if goal.bound == AT_MOST else measured >= goal.value
        verdicts.append(Verdict(goal.name, measured, goal.bound, goal.value, met))
    return verdicts


def _row(
    race: Race, method: str, tokens: int, shape: str = SHAPE, compiled: bool = False
) -> Row | None:
    for row in race.rows:
        if (row.shape, row.compiled, row.tokens, row.method) == (shape, compiled, tokens, method):
            return row
    return None


def _ratio(  # noqa: PLR0917
    field: str, method: str, other: str, tokens: int, shape: str = SHAPE, compiled: bool = False
) -> Measure:
    """Of a row to another method: its `step_ratio` or `forward_ratio`."""

    def measure(race: Race) -> float | None:
        row = _row(race, method, tokens, shape, compiled)
        return getattr(row, field).get(other) if row else None

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
            _ratio("step_ratio", "frod_peft", "frod", tokens),
            AT_LEAST,
            value,
        )
        for tokens, value in ((SMALL, 1.8), (LARGE, 8.5))
    ),
    Goal(
        f"step, {LARGE} tokens, FRoD / full fine-tuning",
        _ratio("step_ratio", "frod", "full", LARGE),
        AT_MOST,
        1.25,
    ),
    Goal(
        f"step, {LARGE} tokens, FRoD / DoRA",
        _ratio("step_ratio", "frod", "dora", LARGE),
        AT_MOST,
        1.0,
    ),
    *(
        Goal(
            f"evaluation, {tokens} tokens, FRoD / the frozen model",
            _ratio("forward_ratio", "frod", "frozen", tokens),
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

CUDA_GOALS = tuple(
    goal
    for compiled, name in ((False, "eager"), (True, "compiled"))
    for goal in (
        Goal(
            f"step, {CUDA_TOKENS} tokens, {name}, seconds of PEFT's FRoD / ours",
            _ratio("step_ratio", "frod_peft", "frod", CUDA_TOKENS, CUDA_SHAPE, compiled),
            AT_LEAST,
            3.0,
        ),
        Goal(
            f"step, {CUDA_TOKENS} tokens, {name}, FRoD / full fine-tuning",
            _ratio("step_ratio", "frod", "full", CUDA_TOKENS, CUDA_SHAPE, compiled),
            AT_MOST,
            1.15,
        ),
    )
)
