"""The program that `accelerate launch` starts in the tests: cell after cell, to import torch once.

together STRATEGY FILE: the command lines of cells, as JSON; STRATEGY is ddp or fsdp. The last cell
breaks off.
"""

import errno
import functools
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import distributed
from torch.distributed.tensor import DTensor

from frod_bench.common import processes
from frod_bench.jobs import run
from frod_bench.training import checkpoint, runner, tensor_files
from frod_bench.training.loop import Point, Progress, Trainer

TRAIN_STEP, WRITE = Trainer.train_step, tensor_files.write
REFUSED: list[str] = []  # what there was no space for
NO_SPACE = "no space"  # after the words of a cell: on its disk, for the best step's parameters


def break_off(self: Trainer, step: int, batches: Iterator[Any]) -> Point:
    """A step of the loop that fails at step 5."""
    if step == 5:
        raise RuntimeError("broke off")
    return TRAIN_STEP(self, step, batches)


def without_space(folder: Path, stem: str, *rest: Any) -> Path:
    """Write a checkpoint to a disk that has no space for the best step's parameters."""
    if stem.startswith(checkpoint.BEST):
        REFUSED.append(stem)
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))
    return WRITE(folder, stem, *rest)


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
        has_space = NO_SPACE not in words
        tensor_files.write = WRITE if has_space else without_space
        run.run(words if has_space else words[:-1])
    assert bool(REFUSED) == processes.is_first(), REFUSED  # the one that writes
    Trainer.train_step = break_off  # type: ignore[method-assign]
    with suppress(RuntimeError, SystemExit):
        run.run(broken)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
