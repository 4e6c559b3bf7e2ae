"""A process that runs a cell up to a step and waits there to be killed."""

import threading
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from typing import Any

from frod_bench.jobs import run
from frod_bench.training.loop import Point, Trainer


def run_and_halt(halt_at: int, words: list[str], halted: Event) -> None:
    """Run `frod_bench.run` with these arguments; set `halted` at the step."""
    train_step = Trainer.train_step

    def halting(self: Trainer, step: int, batches: Iterator[Any]) -> Point:
        if step == halt_at:
            halted.set()
            threading.Event().wait()
        return train_step(self, step, batches)

    Trainer.train_step = halting  # type: ignore[method-assign]
    run.run(words)
