"""The support of the rotation S: which off-diagonal entries of a k x k matrix are trained.

A support is drawn once for each category. For the same seed it equals, entry by entry, the one that
PEFT (0.21 or newer) draws. PEFT lists all k (k - 1) indices to pick from them; here an index is
computed from its rank, so that only the permutation is held in memory.
"""

import torch
from torch import Tensor


def support_size(width: int, sparse_rate: float) -> int:
    """Return nnz of a k x k rotation: max(1, min(int(k k s), k (k - 1))); 0 if s = 0 or k = 1."""
    candidates = width * (width - 1)
    if sparse_rate == 0 or candidates == 0:
        return 0
    return max(1, min(int(width * width * sparse_rate), candidates))


def draw_support(width: int, sparse_rate: float, generator: torch.Generator) -> Tensor:
    """Draw the flat indices row * k + column of one category's rotation.

    Off-diagonal entries are ranked row by row: rank p is in row p // (k - 1), at column
    c = p % (k - 1), or c + 1 from the diagonal on.

    Args:
        width: k, the width of the category's basis.
        sparse_rate: fraction s of the k x k entries.
        generator: a CPU generator, which is advanced, so that categories differ.

    Returns:
        int64 (nnz,), in the order in which they are drawn.
    """
    size = support_size(width, sparse_rate)
    if size == 0:  # PEFT does not advance its generator either
        return torch.empty(0, dtype=torch.int64)
    ranks = torch.randperm(width * (width - 1), generator=generator, device="cpu")[:size]
    row = ranks // (width - 1)
    column = ranks % (width - 1)
    column += (column >= row).to(column.dtype)
    return row * width + column


def draw_supports(widths: dict[str, int], sparse_rate: float, seed: int) -> dict[str, Tensor]:
    """Draw the supports of all categories from one generator, in the sorted order of their names.

    Args:
        widths: category -> k.

    Returns:
        category -> int64 (nnz,), in drawing order; `sort()` gives the order of the trained values.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return {name: draw_support(widths[name], sparse_rate, generator) for name in sorted(widths)}
