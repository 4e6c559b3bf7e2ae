"""What each process of the data-parallel test runs; apart, so that a process imports little."""

from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from frod_bench.frod import FrodConfig, attach_frod, frod_parameters

from .helpers import Net, gaussian, leave_group, perturb

STEPS = 3
X, LABELS = gaussian(96, 12, 1), torch.arange(96) % 3


def model_and_trained(cache_dir: Path) -> tuple[nn.Module, list[nn.Parameter]]:
    """An adapted model off its start, and what is trained of it, its head included."""
    config = FrodConfig(["up", "down"], sparse_rate=0.1)
    model = attach_frod(Net(), config, cache_dir=cache_dir)
    trained = [p for group in frod_parameters(model).values() for p in group]
    perturb(trained, 0.1)
    return model, [*trained, *model.head.parameters()]


def train(model: nn.Module, trained: list[nn.Parameter], x: Tensor, labels: Tensor) -> None:
    """Three steps on the same rows."""
    optimizer = torch.optim.SGD(trained, lr=0.3, momentum=0.9)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()


def train_a_share(rank: int, processes: int, folder: Path) -> None:
    """Train on every `processes`-th row from `rank` on, and leave the trained values."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=processes,
        timeout=timedelta(seconds=60),  # a process that waits for the other one says for what
    )
    model, trained = model_and_trained(folder)
    replica = DistributedDataParallel(model)
    train(replica, trained, X[rank::processes], LABELS[rank::processes])
    torch.save([p.detach() for p in trained], folder / f"{rank}.pt")
    leave_group()
