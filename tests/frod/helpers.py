"""Stacks of weights and small models that the tests of the core share."""

import math
import time

import torch
from torch import Tensor, distributed, nn


def gaussian(rows: int, width: int, seed: int) -> Tensor:
    """A float32 weight of the size a trained layer has: entries of about 1 / sqrt(k)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator) / math.sqrt(width)


def askew(tensor: Tensor) -> Tensor:
    """A copy that begins 8 bytes off where torch's own memory does, as a view into a file may."""
    skipped = 8 // tensor.element_size()
    raw = tensor.new_empty(skipped + tensor.numel())
    return raw[skipped:].view(tensor.shape).copy_(tensor)


def _random() -> list[Tensor]:
    return [gaussian(24, 32, seed) for seed in range(5)]


def _wide_rows() -> list[Tensor]:
    return [gaussian(96, 32, seed) for seed in range(3)]


def _rank_deficient() -> list[Tensor]:
    right = gaussian(10, 32, 99)
    return [(gaussian(24, 10, seed).double() @ right.double()).float() for seed in range(4)]


def _zero_columns() -> list[Tensor]:
    stack = _random()
    for weight in stack:
        weight[:, [0, 7, 31]] = 0
    return stack


def _repeated() -> list[Tensor]:
    return [gaussian(40, 32, 3)] * 4


def _exactly_square() -> list[Tensor]:
    return [gaussian(8, 32, seed) for seed in range(4)]


def _one_layer() -> list[Tensor]:
    return [gaussian(48, 32, 0)]


def _one_orthogonal_layer() -> list[Tensor]:
    return [nn.init.orthogonal_(torch.empty(32, 32), generator=torch.Generator().manual_seed(1))]


def _partly_flat() -> list[Tensor]:
    """Rows 40 = 1.25 k: every layer alone spans some directions, T has equal eigenvalues."""
    return [gaussian(8, 32, seed) for seed in range(5)]


def _fewer_rows() -> list[Tensor]:
    return [gaussian(4, 32, seed) for seed in range(3)]


def _badly_scaled() -> list[Tensor]:
    return [weight * torch.logspace(0, -8, 32) for weight in _random()]


def _badly_conditioned() -> list[Tensor]:
    left, _ = torch.linalg.qr(gaussian(120, 32, 5).double())
    right, _ = torch.linalg.qr(gaussian(32, 32, 6).double())
    spectrum = torch.logspace(0, -8, 32, dtype=torch.float64)
    return list((left * spectrum @ right.T).float().split(24))


def _zero_layer() -> list[Tensor]:
    return [*_random(), torch.zeros(24, 32)]


def _all_zero() -> list[Tensor]:
    return [torch.zeros(40, 32)] * 2


STACKS = {
    build.__name__.strip("_"): build
    for build in (
        _random,
        _wide_rows,
        _rank_deficient,
        _zero_columns,
        _repeated,
        _exactly_square,
        _one_layer,
        _one_orthogonal_layer,
        _partly_flat,
        _fewer_rows,
        _badly_scaled,
        _badly_conditioned,
        _zero_layer,
        _all_zero,
    )
}


class Block(nn.Module):
    """Two adapted roles of different shapes, and a residual path."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.tanh(self.up(x)))


class Net(nn.Module):
    """Blocks and a head: (tokens, width) -> (tokens, classes)."""

    def __init__(
        self, width: int = 12, hidden: int = 20, blocks: int = 3, classes: int = 3, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.blocks = nn.ModuleList(Block(width, hidden) for _ in range(blocks))
            self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def perturb(parameters: list[nn.Parameter], size: float, seed: int = 0) -> None:
    """Move parameters off their start, reproducibly."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(size * noise.to(parameter))


def leave_group() -> None:
    """End the process group, after what gloo's threads still have to do.

    Its destructor waits for them while it holds Python's lock. One that needs this lock, to drop
    what a collective kept of Python, would wait for ever.
    """
    time.sleep(0.1)  # the lock is free
    distributed.destroy_process_group()
