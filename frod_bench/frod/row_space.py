"""The row space of a category's stacked weights: stack = Q F with orthonormal columns in Q.

F is computed in float64, streamed over the layers, by the first of these that is accurate enough:
the Cholesky factor of the Gram matrix (fast; its error grows with the square of the condition
number), a QR decomposition that is updated layer by layer (backward stable), and a singular value
decomposition of the latter (for stacks that are singular or nearly so).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# Largest condition at which the Cholesky factor of the Gram matrix is used: its error, about
# 1e-16 x 100^2, stays below the gap at which eigenvalues count as equal.
GRAM_MAX_CONDITION = 1e2
# R with a larger condition is replaced by its singular value decomposition.
MAX_CONDITION = 1e10
# Columns per block where only the upper triangle of a product is computed.
COLUMN_BLOCK = 256
# Rounds and vectors of the power iteration that estimates a condition number.
POWER_ROUNDS, POWER_VECTORS = 4, 8


@dataclass(frozen=True)
class RowFactor:
    """Row space of the stack: stack = Q F with orthonormal columns in Q.

    Attributes:
        matrix: F, (r x k): the triangular R, or diag(sigma) Y^T with the rank r of the stack.
        triangular: which of the two it is.
        condition: condition number of F, to within a small factor.
    """

    matrix: Tensor
    triangular: bool
    condition: float

    def orthonormal(self, weight: Tensor) -> Tensor:
        """Return Q_i (m x r) = W_i F^+ for the weight W_i (m x k) of one layer.

        A solve against F, unlike a product with its inverse, keeps the residual Q_i F - W_i at the
        level of roundoff whatever the condition of F.
        """
        if self.triangular:
            # solved for Q_i^T, whose memory layout is the one that the library expects
            return torch.linalg.solve_triangular(self.matrix.T, weight.T, upper=False).T
        sigma = torch.linalg.vector_norm(self.matrix, dim=1)
        return weight @ (self.matrix / sigma[:, None]).T / sigma

    def transposed_times(self, columns: Tensor) -> Tensor:
        """Return F^T @ columns (r x n), column-major; half the work if F is triangular."""
        width = self.matrix.shape[1]
        product = columns.new_empty(columns.shape[1], width)
        for start, stop in _column_blocks(width):
            rows = stop if self.triangular else len(self.matrix)
            part = self.matrix[:rows, start:stop]
            torch.mm(columns[:rows].T, part, out=product[:, start:stop])
        return product.T


def row_factor(weights: Sequence[Tensor]) -> RowFactor:
    """Compute F of the stacked weights W_i, each (m_i x k), in float64 on their device."""
    gram = torch.zeros(2 * [weights[0].shape[1]], dtype=torch.float64, device=weights[0].device)
    for weight in weights:
        add_gram(gram, weight.double())
    triangle, failed = torch.linalg.cholesky_ex(gram, upper=True)  # reads the upper triangle
    if not bool(failed):
        condition = estimated_condition(triangle)
        if condition < GRAM_MAX_CONDITION:
            return RowFactor(triangle, triangular=True, condition=condition)
    return stable_row_factor(stack_triangle(weights))


def stable_row_factor(triangle: Tensor) -> RowFactor:
    """Return F from the R of a QR: R itself, or diag(sigma) Y^T without zero singular values."""
    condition = estimated_condition(triangle) if bool((triangle.diagonal() != 0).all()) else None
    if condition is not None and condition < MAX_CONDITION:
        return RowFactor(triangle, triangular=True, condition=condition)
    _, sigma, right = torch.linalg.svd(triangle)
    kept = sigma > sigma[0] * len(sigma) * torch.finfo(sigma.dtype).eps
    condition = float(sigma[0] / sigma[kept][-1]) if bool(kept.any()) else 1.0
    return RowFactor(sigma[kept, None] * right[kept], triangular=False, condition=condition)


def stack_triangle(weights: Sequence[Tensor]) -> Tensor:
    """Compute R (k x k) of the thin QR decomposition of the stacked weights in float64, streamed.

    Layers are collected until they have k rows, then R <- qr([R; rows]).R, which is as backward
    stable as one QR of the whole stack.
    """
    width = weights[0].shape[1]
    triangle = torch.empty(0, width, dtype=torch.float64, device=weights[0].device)
    waiting: list[Tensor] = []
    for index, weight in enumerate(weights):
        waiting.append(weight.double())
        is_last = index == len(weights) - 1
        if is_last or sum(rows.shape[0] for rows in waiting) >= width:
            triangle = torch.linalg.qr(torch.cat([triangle, *waiting]), mode="r")[1]
            waiting.clear()
    return triangle


def add_gram(total: Tensor, rows: Tensor) -> None:
    """Add rows^T rows (k x k) to the upper triangle of `total`."""
    for start, stop in _column_blocks(total.shape[0]):
        total[:stop, start:stop].addmm_(rows[:, :stop].T, rows[:, start:stop])


def _column_blocks(width: int) -> Iterator[tuple[int, int]]:
    return pairwise([*range(0, width, COLUMN_BLOCK), width])


def estimated_condition(triangle: Tensor) -> float:
    """Estimate the 2-norm condition number of an invertible R (k x k) from below.

    By power iterations on R and on its inverse, whose solves are as stable as any use of R here;
    infinite if the inverse overflows. Too low by a few percent, or by a small factor if many
    singular values are close to each other.
    """
    steps = torch.arange(1, len(triangle) + 1, dtype=triangle.dtype, device=triangle.device)
    counts = torch.arange(1, POWER_VECTORS + 1, dtype=triangle.dtype, device=triangle.device)
    largest = smallest = torch.linalg.qr(torch.sin(steps[:, None] * counts))[0]
    for _ in range(POWER_ROUNDS):
        up = triangle @ largest
        down = torch.linalg.solve_triangular(triangle.T, smallest, upper=False)
        if not bool(down.isfinite().all()):
            return float("inf")
        largest = torch.linalg.qr(triangle.T @ up)[0]
        smallest = torch.linalg.qr(torch.linalg.solve_triangular(triangle, down, upper=True))[0]
    norms = [torch.linalg.vector_norm(columns, dim=0).max() for columns in (up, down)]
    return float(norms[0] * norms[1])
