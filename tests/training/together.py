"""The program that `accelerate launch` starts in the tests: cell after cell, to import torch once.

together STRATEGY FILE: the command lines of cells, as JSON; STRATEGY is ddp or fsdp. The last cell
breaks off.
"""

import functools
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import distributed
from torch.distributed.tensor import DTensor

from frod_bench.jobs import run
from frod_bench.training import runner
from frod_bench.training.loop import Point, Progress, Trainer

TRAIN_STEP = Trainer.train_step


def break_off(self: Trainer, step: int, batches: Iterator[Any]) -> Point:
    """A step of the loop that fails at step 5."""
    if step == 5:
        raise RuntimeError("broke off")
    return TRAIN_STEP(self, step, batches)


def main(way: str, file: str) -> None:
    """Run every cell, and check that it is sharded under FSDP and not under DDP."""
    # The fixture `shallow`: two blocks are sharded, gathered and reduced as six are.
    runner.make_ready = functools.partial(runner.make_ready, blocks=2)
    train, leave = Trainer.run, distributed.destroy_process_group

    def checked(self: Trainer) -> Progress:
        held = {isinstance(parameter, DTensor) for parameter in self.unwrapped.parameters()}
        assert held == {way == "fsdp"}, (way, held)
        return train(self)

    Trainer.run = checked  # type: ignore[method-assign]
    distributed.destroy_process_group = lambda _group=None: (
        None
    )  # the next cell's processes are the same
    *whole, broken = json.loads(Path(file).read_text())
    for words in whole:
        run.run(words)
    Trainer.train_step = break_off  # type: ignore[method-assign]
    with suppress(RuntimeError, SystemExit):
        run.run(broken)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
