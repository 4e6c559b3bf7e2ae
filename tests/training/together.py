"""The program that `accelerate launch` starts in the tests: cell after cell, to import torch once.

together STRATEGY FILE: the command lines of cells, as JSON; STRATEGY is ddp or fsdp.
"""

import json
import sys
from pathlib import Path

from torch import distributed
from torch.distributed.tensor import DTensor

from frod_bench.jobs import run
from frod_bench.training.loop import Progress, Trainer


def main(way: str, file: str) -> None:
    """Run every cell, and check that it is sharded under FSDP and not under DDP."""
    train, leave = Trainer.run, distributed.destroy_process_group

    def checked(self: Trainer) -> Progress:
        held = {isinstance(parameter, DTensor) for parameter in self.unwrapped.parameters()}
        assert held == {way == "fsdp"}, (way, held)
        return train(self)

    Trainer.run = checked  # type: ignore[method-assign]
    distributed.destroy_process_group = lambda _group=None: (
        None
    )  # the next cell's processes are the same
    for words in json.loads(Path(file).read_text()):
        run.run(words)
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
