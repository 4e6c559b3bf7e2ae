"""The speed that FRoD is held to, with all linear layers of RoBERTa adapted at s = 0.02."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from frod_bench.bench.floor import by_model, over_the_floor
from frod_bench.bench.race import Race

AT_MOST, AT_LEAST = "at most", "at least"
PEFT, FULL = "seconds of PEFT's FRoD / ours", "FRoD / full fine-tuning"

Goal = tuple[str, float | None, str, float]  # name, measured, bound, value


@dataclass(frozen=True)
class Verdict:
    """A goal and a run's number; None if the run did not measure it."""

    name: str
    measured: float | None
    bound: str  # AT_MOST | AT_LEAST
    goal: float
    met: bool | None


def judge(race: Race, device: str) -> list[Verdict]:
    """Return the verdicts on all goals of the device's kind, cpu or cuda."""
    verdicts = []
    for name, measured, bound, goal in (_cpu_goals if device == "cpu" else _cuda_goals)(race):
        met = None
        if measured is not None:
            met = measured <= goal if bound == AT_MOST else measured >= goal
        verdicts.append(Verdict(name, measured, bound, goal, met))
    return verdicts


def _cpu_goals(race: Race) -> list[Goal]:
    numbers = _Numbers(race, "roberta_base", compiled=False)
    step, evaluation = partial(numbers.ratio, "step_ratio"), partial(numbers.ratio, "forward_ratio")
    goals: list[Goal] = [
        (f"step, 512 tokens, {PEFT}", step(512, "frod_peft", "frod"), AT_LEAST, 1.8),
        (f"step, 4096 tokens, {PEFT}", step(4096, "frod_peft", "frod"), AT_LEAST, 8.5),
        (f"step, 4096 tokens, {FULL}", step(4096, "frod", "full"), AT_MOST, 1.25),
        ("step, 4096 tokens, FRoD / DoRA", step(4096, "frod", "dora"), AT_MOST, 1.0),
    ]
    for tokens in (512, 4096):
        name = f"evaluation, {tokens} tokens, FRoD / the frozen model"
        goals.append((name, evaluation(tokens, "frod", "frozen"), AT_MOST, 1.03))
    attach = numbers.quotient("attach_sec", "frod_peft", "frod")
    cached = numbers.get("attach_cached_sec", 4096, "frod")
    peak, memory = "peak memory, 4096 tokens", partial(numbers.quotient, "peak_rss_bytes")
    goals += [
        (f"attaching, {PEFT}", attach, AT_LEAST, 2.5),
        ("attaching from the cache, seconds", cached, AT_MOST, 1.5),
        (f"{peak}, {FULL}", memory("frod", "full"), AT_MOST, 1.0),
        (f"{peak}, FRoD / PEFT's FRoD", memory("frod", "frod_peft"), AT_MOST, 0.75),
    ]
    for tokens in (512, 4096):
        name = f"seconds over the floor, {tokens} tokens"
        layers = by_model(race.layers).get(("roberta_base", tokens))
        worst = max(times.ratio for times in layers) if layers else None
        together = over_the_floor(layers) if layers else None
        goals.append((f"{name}, all layers", together, AT_MOST, 1.25))
        goals.append((f"{name}, worst layer shape", worst, AT_MOST, 1.25))
    return goals


def _cuda_goals(race: Race) -> list[Goal]:
    goals: list[Goal] = []
    for compiled, name in ((False, "eager"), (True, "compiled")):
        step = partial(_Numbers(race, "roberta_large", compiled).ratio, "step_ratio", 16384)
        goals += [
            (f"step, 16384 tokens, {name}, {PEFT}", step("frod_peft", "frod"), AT_LEAST, 3.0),
            (f"step, 16384 tokens, {name}, {FULL}", step("frod", "full"), AT_MOST, 1.15),
        ]
    return goals


class _Numbers:
    """What a race measured on one model; None for what it did not."""

    def __init__(self, race: Race, shape: str, compiled: bool) -> None:
        rows = [row for row in race.rows if (row.shape, row.compiled) == (shape, compiled)]
        self.rows = {(row.tokens, row.method): row for row in rows}

    def get(self, field: str, tokens: int, method: str) -> Any:
        return getattr(self.rows.get((tokens, method)), field, None)

    def ratio(self, field: str, tokens: int, method: str, other: str) -> float | None:
        """Return the method's `step_ratio` or `forward_ratio` to another."""
        return (self.get(field, tokens, method) or {}).get(other)

    def quotient(self, field: str, method: str, other: str) -> float | None:
        """Divide a field of two methods' rows at the large batch."""
        ours, theirs = self.get(field, 4096, method), self.get(field, 4096, other)
        return None if ours is None or theirs is None else ours / theirs
