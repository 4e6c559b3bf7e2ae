"""The support of the rotation S: which off-diagonal places of a k x k matrix are trained.

A support is drawn once a category and is the same, place for place, as the one that PEFT
(0.21 or newer) draws for the same seed. PEFT lists all k (k-1) places to pick from them; here a
place is computed from its rank, so that memory is the permutation's own.
"""

import torch
from torch import Tensor


def support_size(width: int, sparse_rate: float) -> int:
    """nnz of a k x k rotation: max(1, min(int(k k s), k (k-1))), none if s = 0 or k = 1."""
    places = width * (width - 1)
    if sparse_rate == 0 or places == 0:
        return 0
    return max(1, min(int(width * width * sparse_rate), places))


def draw_places(width: int, sparse_rate: float, generator: torch.Generator) -> Tensor:
    """Places row * k + column of one category's rotation, in the order they are drawn.

    The off-diagonal places are ranked row by row; a rank p lies in row p // (k-1), at the column
    p % (k-1), moved on by one from the diagonal on.

    Args:
        width: k, the width of the category's basis.
        sparse_rate: share of the k x k places.
        generator: a CPU generator; it moves on, which is how the categories differ.

    Returns:
        int64, (nnz,).
    """
    size = support_size(width, sparse_rate)
    if size == 0:  # the generator stays where it is, as PEFT's does
        return torch.empty(0, dtype=torch.int64)
    ranks = torch.randperm(width * (width - 1), generator=generator, device="cpu")[:size]
    row = ranks // (width - 1)
    column = ranks % (width - 1)
    column += (column >= row).to(column.dtype)
    return row * width + column


def draw_supports(widths: dict[str, int], sparse_rate: float, seed: int) -> dict[str, Tensor]:
    """Drawn places of every category, from one generator, in the sorted order of their names.

    Args:
        widths: category -> k.

    Returns:
        category -> int64 (nnz,), in drawing order; `sort()` gives the order of the trained values.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return {name: draw_places(widths[name], sparse_rate, generator) for name in sorted(widths)}
