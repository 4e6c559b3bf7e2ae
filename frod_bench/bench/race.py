"""All methods on one shape, interleaved: only one process computes at a time.

Interleaved, so that a machine whose speed drifts slows all methods alike; each in its own process,
so that none uses the memory or caches of another. A contender that dies is out, and its rows say
why.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.status import Status

from frod_bench.bench.contender import Contender, Entry, Step
from frod_bench.bench.floor import LayerTimes
from frod_bench.bench.options import Options
from frod_bench.bench.remote import Remote, RemoteError
from frod_bench.bench.shapes import Batch, Shape, all_cores
from frod_bench.bench.workload import batches_of, compose_settings

WARM_UP_ROUNDS = 1
COMPILED_WARM_UP_ROUNDS = 3  # a graph may be recompiled when training and evaluation alternate
FLOOR_ROUNDS = 3  # rounds of the floor, which are short, for each round of the race


def say(status: Status, line: str) -> None:
    """Report something that is done; `status` itself shows what is running."""
    status.console.print(line, soft_wrap=True)


@dataclass
class Runner:
    """A contender as the race sees it, and its times, one per round."""

    entry: Entry
    remote: Remote
    error: str | None = None  # why it is out
    attach_sec: float | None = None
    attach_cached_sec: list[float] = field(default_factory=list)
    steps: dict[Batch, list[Step]] = field(default_factory=dict)
    forward_sec: dict[Batch, list[float]] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.entry.composed.method.name

    @property
    def is_frod(self) -> bool:
        """Whether it is our FRoD and still in the race."""
        return self.entry.composed.method.kind == "frod" and self.error is None

    def step_sec(self, batch: Batch) -> list[float]:
        """Seconds of the training steps."""
        return [step.sec for step in self.steps[batch]]

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what the contender's method `name` returns; None if it is out of the race."""
        if self.error is None:
            try:
                return self.remote.call(name, *arguments)
            except RemoteError as error:
                self.error = str(error)
        return None


@dataclass(frozen=True)
class Row:
    """One method on one batch of one shape: medians of the rounds, and the rounds themselves.

    Attributes:
        length: tokens per row; of an image, its patches and the class token.
        error: why the method is out of the race; what it has not done is None.
        attach_sec: attaching, with everything computed anew.
        attach_cached_sec: attaching from the cache on disk (FRoD only).
        step_ratio: method -> median over rounds of this row's step divided by that method's.
        forward_ratio: the same for an evaluation's forward pass.
        peak_rss_bytes: the largest of the measured steps, during these alone.
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
    """The results of a race."""

    rows: list[Row]
    layers: list[LayerRow]


def layers_at(layers: Sequence[LayerRow], shape: str, tokens: int) -> list[LayerTimes]:
    """Return the layers of one model at one number of tokens."""
    return [row.times for row in layers if (row.shape, row.times.tokens) == (shape, tokens)]


def race(shape: Shape, options: Options, compiled: bool, status: Status) -> Race:
    """Time the methods on every batch of the shape. A contender that dies raises nothing."""
    threads = options.threads or shape.threads or all_cores()
    entries = [
        Entry(shape, compose_settings(shape, method), options.device, compiled, threads)
        for method in options.methods
    ]
    batches = batches_of(shape, entries[0].composed)
    label = entries[0].label
    status.update(f"{label}: starting {len(entries)} processes")
    runners: list[Runner] = []
    layers: list[LayerTimes] = []
    try:
        for entry in entries:
            runners.append(Runner(entry, Remote(Contender, entry)))
        _attach_all(runners, status)
        for batch in batches:
            _time_batch(runners, batch, options.rounds, status)
            frod = next((runner for runner in runners if runner.is_frod), None)
            if frod is not None and not compiled:  # layers are timed by themselves, and so once
                status.update(f"{label}, {batch}: the layers of {frod.method} and their floor")
                layers += frod.ask("time_layers", batch, options.rounds * FLOOR_ROUNDS) or []
        for runner in runners:
            if runner.is_frod:
                status.update(f"{label}: {runner.method} attaches from the cache")
                runner.attach_cached_sec = runner.ask("attach_cached") or []
    finally:
        for runner in runners:
            runner.remote.close()
    rows = [_row_of(runner, runners, batch) for batch in batches for runner in runners]
    return Race(rows, [LayerRow(shape.name, times) for times in layers])


def _attach_all(runners: Sequence[Runner], status: Status) -> None:
    """Wait until all processes are ready, then let them attach one by one."""
    for runner in runners:
        try:
            runner.remote.ready()
        except RemoteError as error:
            runner.error = str(error)
    for runner in runners:
        line = f"{runner.entry.label}: {runner.method}"
        status.update(f"{line} attaches")
        runner.attach_sec = sec = runner.ask("attach")
        say(status, f"{line} is out" if sec is None else f"{line} attached in {sec:.3g} s")


def _time_batch(runners: Sequence[Runner], batch: Batch, rounds: int, status: Status) -> None:
    """Time a training step and a forward pass of each contender, round after round."""
    entry = runners[0].entry
    label = f"{entry.label}, {batch}"
    warm_up = COMPILED_WARM_UP_ROUNDS if entry.compiled else WARM_UP_ROUNDS
    for runner in runners:
        runner.steps[batch], runner.forward_sec[batch] = [], []
        runner.ask("set_batch", batch)
    for number in range(1 - warm_up, rounds + 1):
        turn = f"round {number} of {rounds}" if number > 0 else "warm-up round"
        for runner in runners:
            status.update(f"{label}: {turn}, {runner.method}")
            step, forward_sec = runner.ask("step"), runner.ask("forward")
            if number > 0 and forward_sec is not None:
                runner.steps[batch].append(step)
                runner.forward_sec[batch].append(forward_sec)
        say(status, f"{label}: {turn} done")


def _row_of(runner: Runner, runners: Sequence[Runner], batch: Batch) -> Row:
    """Return a contender's row for one batch, with its ratios to all contenders."""
    assert batch.rows is not None
    entry, steps = runner.entry, runner.steps[batch]
    step_sec, forward_sec = runner.step_sec(batch), runner.forward_sec[batch]
    device_peaks = [s.peak_device_bytes for s in steps if s.peak_device_bytes is not None]
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
        step_sec=_median(step_sec),
        forward_sec=_median(forward_sec),
        step_ratio=_ratios(step_sec, {r.method: r.step_sec(batch) for r in runners}),
        forward_ratio=_ratios(forward_sec, {r.method: r.forward_sec[batch] for r in runners}),
        peak_rss_bytes=max((step.peak_rss_bytes for step in steps), default=None),
        peak_device_bytes=max(device_peaks, default=None),
        rounds_step_sec=step_sec,
        rounds_forward_sec=forward_sec,
        rounds_attach_cached_sec=runner.attach_cached_sec,
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _ratios(ours: Sequence[float], others: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return method -> median of the paired ratios, over the rounds that both completed."""
    return {
        name: statistics.median(a / b for a, b in zip(ours, theirs, strict=False))
        for name, theirs in others.items()
        if ours and theirs
    }
