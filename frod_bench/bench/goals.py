"""The speed that FRoD is held to, with all linear layers of RoBERTa adapted at s = 0.02."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
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
        (f"step, 512 tokens, {PEFT}", step(512, "frod_peft", "frod"), AT_LEAST, 4.5),
        (f"step, 4096 tokens, {PEFT}", step(4096, "frod_peft", "frod"), AT_LEAST, 12.0),
        (f"step, 512 tokens, {FULL}", step(512, "frod", "full"), AT_MOST, 1.1),
        (f"step, 4096 tokens, {FULL}", step(4096, "frod", "full"), AT_MOST, 0.95),
        ("step, 4096 tokens, FRoD / DoRA", step(4096, "frod", "dora"), AT_MOST, 1.0),
    ]
    for tokens in (512, 4096):
        name = f"evaluation, {tokens} tokens, FRoD / the frozen model"
        goals.append((name, evaluation(tokens, "frod", "frozen"), AT_MOST, 1.03))
    attach = numbers.quotient("attach_sec", "frod_peft", "frod")
    cached = numbers.get("attach_cached_sec", 4096, "frod")
    peak, memory = "peak memory, {} tokens", partial(numbers.quotient, "peak_rss_bytes")
    goals += [
        (f"attaching, {PEFT}", attach, AT_LEAST, 2.5 if is_intel() else 2.0),
        ("attaching from the cache, seconds", cached, AT_MOST, 1.0),
        (f"{peak.format(4096)}, {FULL}", memory("frod", "full"), AT_MOST, 0.95),
        (f"{peak.format(4096)}, FRoD / PEFT's FRoD", memory("frod", "frod_peft"), AT_MOST, 0.82),
        (f"{peak.format(512)}, FRoD / PEFT's FRoD", memory("frod", "frod_peft", 512), AT_MOST, 1.0),
    ]
    for shape in ("embedded_encoder", "embedded_decoder", "embedded_vit"):
        small = _Numbers(race, shape, compiled=False)
        ratio = small.only_step_ratio("frod", "lora")
        goals.append((f"step, {shape}, FRoD / LoRA", ratio, AT_MOST, 1.05))
    for tokens in (512, 4096):
        name = f"seconds over the floor, {tokens} tokens"
        layers = by_model(race.layers).get(("roberta_base", tokens))
        worst = max(times.ratio for times in layers) if layers else None
        together = over_the_floor(layers) if layers else None
        goals.append((f"{name}, all layers", together, AT_MOST, 1.15 if tokens == 512 else 1.1))
        goals.append((f"{name}, worst layer shape", worst, AT_MOST, 1.25))
    return goals


def is_intel() -> bool:
    """Whether the processor is Intel's: set-up time depends on whose library code it runs."""
    path = Path("/proc/cpuinfo")
    return path.exists() and "GenuineIntel" in path.read_text(encoding="utf-8", errors="replace")


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

    def only_step_ratio(self, method: str, other: str) -> float | None:
        """Return `step_ratio` of a model that is timed at one number of tokens."""
        tokens = next((tokens for tokens, name in self.rows if name == method), 0)
        return self.ratio("step_ratio", tokens, method, other)

    def quotient(self, field: str, method: str, other: str, tokens: int = 4096) -> float | None:
        """Divide a field of two methods' rows."""
        ours, theirs = self.get(field, tokens, method), self.get(field, tokens, other)
        return None if ours is None or theirs is None else ours / theirs
