"""All methods on one shape, in turns: only one process computes at a time.

Turns, because a machine whose speed drifts then slows all of them alike; processes, because memory
and caches of one are then no other's. A contender that dies is out, and its rows say why.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from frod_bench.bench.contender import Contender, Entry, Step
from frod_bench.bench.floor import LayerTimes
from frod_bench.bench.remote import Remote, RemoteError
from frod_bench.bench.shapes import Batch, Shape, all_cores
from frod_bench.bench.workload import batches_of, compose_settings

WARM_UP_ROUNDS = 1
COMPILED_WARM_UP_ROUNDS = 3  # a graph may be compiled again when training and evaluation alternate
FLOOR_ROUNDS = 3  # rounds of the floor's short turns for each of the race's


class Display(Protocol):
    """What a race tells about its progress."""

    def say(self, line: str) -> None:
        """Something is done."""

    def now(self, line: str) -> None:
        """This runs now."""


@dataclass
class Times:
    """What a contender did with one batch, an entry a round."""

    steps: list[Step] = field(default_factory=list)
    forward_sec: list[float] = field(default_factory=list)

    @property
    def step_sec(self) -> list[float]:
        """Seconds of the training steps."""
        return [step.sec for step in self.steps]


@dataclass
class Runner:
    """A contender as the race sees it."""

    entry: Entry
    remote: Remote
    error: str | None = None  # why it is out
    attach_sec: float | None = None
    attach_cached_sec: list[float] = field(default_factory=list)
    times: dict[Batch, Times] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method's name."""
        return self.entry.composed.method.name

    def ask(self, name: str, *arguments: Any) -> Any:
        """What the contender answers; None where it is out of the race."""
        if self.error is not None:
            return None
        try:
            return self.remote.call(name, *arguments)
        except RemoteError as error:
            self.error = str(error)
            return None


@dataclass(frozen=True)
class Row:
    """One method on one batch of one shape; medians of the rounds, and the rounds themselves.

    Attributes:
        length: tokens a row; of an image, its patches and the class token.
        error: why the method is out of the race, and what it has not done is None.
        attach_sec: attaching, everything made afresh.
        attach_cached_sec: attaching from the cache on the disk (FRoD only).
        step_ratio: method -> median of the rounds' ratios of this row's step to that method's.
        forward_ratio: the same of an evaluation's forward pass.
        peak_rss_bytes: the largest of the measured steps; while they run, and at no other time.
    """

    shape: str
    compiled: bool
    rows: int
    length: int
    tokens: int
    threads: int
    method: str
    error: str | None
    attach_sec: float | None
    attach_cached_sec: float | None
    step_sec: float | None
    forward_sec: float | None
    step_ratio: dict[str, float]
    forward_ratio: dict[str, float]
    peak_rss_bytes: int | None
    peak_device_bytes: int | None
    rounds_step_sec: list[float]
    rounds_forward_sec: list[float]
    rounds_attach_cached_sec: list[float]


@dataclass(frozen=True)
class LayerRow:
    """The layers of one shape of a model at one number of tokens."""

    shape: str
    times: LayerTimes


@dataclass(frozen=True)
class Race:
    """What a race leaves."""

    rows: list[Row]
    layers: list[LayerRow]


def layers_at(layers: Sequence[LayerRow], shape: str, tokens: int) -> list[LayerTimes]:
    """The layers of one model at one number of tokens."""
    return [row.times for row in layers if (row.shape, row.times.tokens) == (shape, tokens)]


def race(
    shape: Shape,
    methods: Sequence[str],
    *,
    rounds: int,
    device: str,
    compiled: bool,
    threads: int | None,
    display: Display,
) -> Race:
    """Time the methods on every batch of the shape. Raises nothing for a contender that dies."""
    threads = threads or shape.threads or all_cores()
    entries = [
        Entry(shape, compose_settings(shape, method), device, compiled, threads)
        for method in methods
    ]
    batches = batches_of(shape, entries[0].composed)
    display.now(f"{entries[0].label}: starting {len(entries)} processes")
    runners: list[Runner] = []
    layers: list[LayerTimes] = []
    try:
        for entry in entries:
            runners.append(Runner(entry, Remote(Contender, entry)))
        attach_all(runners, display)
        for batch in batches:
            time_batch(runners, batch, rounds, display)
            if not compiled:  # layers are timed by themselves, and so once
                layers += time_floor(runners, batch, rounds * FLOOR_ROUNDS, display)
        for runner in frod_runners(runners):
            display.now(f"{runner.entry.label}: {runner.method} attaches from the cache")
            runner.attach_cached_sec = runner.ask("attach_cached") or []
    finally:
        for runner in runners:
            runner.remote.close()
    rows = [row_of(runner, runners, batch) for batch in batches for runner in runners]
    return Race(rows, [LayerRow(shape.name, times) for times in layers])


def attach_all(runners: Sequence[Runner], display: Display) -> None:
    """Wait until all processes stand, then let them attach one by one."""
    for runner in runners:
        try:
            runner.remote.ready()
        except RemoteError as error:
            runner.error = str(error)
    for runner in runners:
        line = f"{runner.entry.label}: {runner.method}"
        display.now(f"{line} attaches")
        runner.attach_sec = runner.ask("attach")
        done = runner.attach_sec is not None
        display.say(f"{line} attached in {runner.attach_sec:.3g} s" if done else f"{line} is out")


def time_batch(runners: Sequence[Runner], batch: Batch, rounds: int, display: Display) -> None:
    """Training step and forward pass of each contender, round after round."""
    entry = runners[0].entry
    label = f"{entry.label}, {batch.rows} x {batch.length} tokens"
    warm_up = COMPILED_WARM_UP_ROUNDS if entry.compiled else WARM_UP_ROUNDS
    for runner in runners:
        runner.times[batch] = Times()
        runner.ask("set_batch", batch)
    for number in range(1 - warm_up, rounds + 1):
        turn = f"round {number} of {rounds}" if number > 0 else "warm-up round"
        for runner in runners:
            display.now(f"{label}: {turn}, {runner.method}")
            step, forward_sec = runner.ask("step"), runner.ask("forward")
            if number > 0 and forward_sec is not None:
                runner.times[batch].steps.append(step)
                runner.times[batch].forward_sec.append(forward_sec)
        display.say(f"{label}: {turn} done")


def time_floor(
    runners: Sequence[Runner], batch: Batch, rounds: int, display: Display
) -> list[LayerTimes]:
    """The layers of the first FRoD in the race, beside their floor; none where it has none."""
    for runner in frod_runners(runners):
        label = f"{runner.entry.label}, {batch.rows} x {batch.length} tokens"
        display.now(f"{label}: the layers of {runner.method} and their floor")
        found: list[LayerTimes] | None = runner.ask("time_layers", batch, rounds)
        return found or []
    return []


def frod_runners(runners: Sequence[Runner]) -> Iterator[Runner]:
    """Those that are our FRoD, and still in the race."""
    for runner in runners:
        if runner.entry.composed.method.kind == "frod" and runner.error is None:
            yield runner


def row_of(runner: Runner, runners: Sequence[Runner], batch: Batch) -> Row:
    """A contender's row for one batch, with its ratios to all that kept it company."""
    assert batch.rows is not None
    own, entry = runner.times[batch], runner.entry
    others = {other.method: other.times[batch] for other in runners}
    device_peaks = [s.peak_device_bytes for s in own.steps if s.peak_device_bytes is not None]
    return Row(
        shape=entry.shape.name,
        compiled=entry.compiled,
        rows=batch.rows,
        length=batch.length,
        tokens=batch.rows * batch.length,
        threads=entry.threads,
        method=runner.method,
        error=runner.error,
        attach_sec=runner.attach_sec,
        attach_cached_sec=_median(runner.attach_cached_sec),
        step_sec=_median(own.step_sec),
        forward_sec=_median(own.forward_sec),
        step_ratio=_ratios(own.step_sec, {name: o.step_sec for name, o in others.items()}),
        forward_ratio=_ratios(own.forward_sec, {name: o.forward_sec for name, o in others.items()}),
        peak_rss_bytes=max((step.peak_rss_bytes for step in own.steps), default=None),
        peak_device_bytes=max(device_peaks, default=None),
        rounds_step_sec=own.step_sec,
        rounds_forward_sec=own.forward_sec,
        rounds_attach_cached_sec=runner.attach_cached_sec,
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _ratios(ours: Sequence[float], others: dict[str, list[float]]) -> dict[str, float]:
    """Method -> median of the paired ratios, over the rounds that both came through."""
    return {
        name: statistics.median(a / b for a, b in zip(ours, theirs, strict=False))
        for name, theirs in others.items()
        if ours and theirs
    }
