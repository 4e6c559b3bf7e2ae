"""Run a cell up to a step and wait there to be killed.

    python -m tests.training.halted STEP WORDS...

The process announces on standard output that it has reached the step.
"""

import sys
import threading
from collections.abc import Iterator
from typing import Any

from frod_bench.jobs import run
from frod_bench.training.loop import Point, Trainer


def main(halt_at: int, words: list[str]) -> None:
    """Run `frod_bench.run` with these arguments."""
    train_step = Trainer.train_step

    def halting(self: Trainer, step: int, batches: Iterator[Any]) -> Point:
        if step == halt_at:
            print("halted", flush=True)
            threading.Event().wait()
        return train_step(self, step, batches)

    Trainer.train_step = halting  # type: ignore[method-assign]
    run.run(words)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
