"""All methods on one shape, each in its own process, so that none uses another's memory or caches.

Only one computes at a time, in turns, so that a machine whose speed drifts slows all alike. A
contender that dies is out, and its rows say why.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.status import Status

from frod_bench.bench.contender import Contender, Entry, Step, compose_settings
from frod_bench.bench.floor import LayerTimes
from frod_bench.bench.options import Batch, Options, Shape, all_cores
from frod_bench.bench.remote import Remote, RemoteError

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
    """One method on one batch of one shape: medians of the rounds, and the rounds themselves."""

    shape: str
    compiled: bool
    rows: int
    length: int  # tokens per row
    tokens: int
    threads: int
    method: str
    error: str | None  # why the method is out of the race; what it has not done is None
    attach_sec: float | None  # with everything computed anew
    attach_cached_sec: float | None  # from the cache on disk (FRoD only)
    step_sec: float | None
    forward_sec: float | None  # of an evaluation
    step_ratio: dict[str, float]  # method -> median of the rounds' ratios of our step to theirs
    forward_ratio: dict[str, float]
    peak_rss_bytes: int | None  # the largest of the measured steps, during these alone
    peak_device_bytes: int | None
    rounds_step_sec: list[float]
    rounds_forward_sec: list[float]
    rounds_attach_cached_sec: list[float]


@dataclass(frozen=True)
class Race:
    """The results of a race."""

    rows: list[Row]
    layers: list[LayerTimes]


def race(shape: Shape, options: Options, compiled: bool, status: Status) -> Race:
    """Time the methods on every batch of the shape. A contender that dies raises nothing."""
    threads = options.threads or shape.threads or all_cores()
    entries = [
        Entry(shape, compose_settings(shape, method), options.device, compiled, threads)
        for method in options.methods
    ]
    label, batches = entries[0].label, entries[0].batches
    status.update(f"{label}: starting {len(entries)} processes")
    runners: list[Runner] = []
    layers: list[LayerTimes] = []
    try:
        for entry in entries:
            runners.append(Runner(entry, Remote(Contender, entry)))
        for runner in runners:  # all are ready before one of them attaches
            try:
                runner.remote.ready()
            except RemoteError as error:
                runner.error = str(error)
        for runner in runners:
            line = f"{label}: {runner.method}"
            status.update(f"{line} attaches")
            runner.attach_sec = sec = runner.ask("attach")
            say(status, f"{line} is out" if sec is None else f"{line} attached in {sec:.3g} s")
        of_frod = [r for r in runners if r.entry.composed.method.kind == "frod"]
        for batch in batches:
            _time_batch(runners, batch, options.rounds, status)
            frod = next((runner for runner in of_frod if runner.error is None), None)
            if frod is not None and not compiled:  # layers are timed by themselves, and so once
                status.update(f"{label}, {batch}: the layers of {frod.method} and their floor")
                layers += frod.ask("time_layers", batch, options.rounds * FLOOR_ROUNDS) or []
        for runner in of_frod:
            status.update(f"{label}: {runner.method} attaches from the cache")
            runner.attach_cached_sec = runner.ask("attach_cached") or []
    finally:
        for runner in runners:
            runner.remote.close()
    return Race(
        [_row_of(runner, runners, batch) for batch in batches for runner in runners], layers
    )


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
    forward_sec = {one.method: one.forward_sec[batch] for one in runners}
    step_sec = {one.method: [step.sec for step in one.steps[batch]] for one in runners}
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
        step_sec=_median(step_sec[runner.method]),
        forward_sec=_median(forward_sec[runner.method]),
        step_ratio=_ratios(step_sec, runner.method),
        forward_ratio=_ratios(forward_sec, runner.method),
        peak_rss_bytes=max((step.peak_rss_bytes for step in steps), default=None),
        peak_device_bytes=max(device_peaks, default=None),
        rounds_step_sec=step_sec[runner.method],
        rounds_forward_sec=forward_sec[runner.method],
        rounds_attach_cached_sec=runner.attach_cached_sec,
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _ratios(sec: Mapping[str, Sequence[float]], method: str) -> dict[str, float]:
    """Return other method -> median of the paired ratios, over the rounds that both completed."""
    pairs = {name: list(zip(sec[method], theirs, strict=False)) for name, theirs in sec.items()}
    return {name: statistics.median(a / b for a, b in pairs[name]) for name in pairs if pairs[name]}
