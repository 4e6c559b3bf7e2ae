"""The joint basis of a category: W_i = U_i diag(lambda_i) V^T for all its layers, one V.

Notation: N layers W_i (m_i x k). The stack of all rows is Q R; T is the mean over layers of
(Q_i^T Q_i + pi I)^-1; its eigenvectors Z give V = R^T Z and B_i = Q_i Z, so that W_i = B_i V^T
(the higher-order CS decomposition of Kempf, Goulart and Duncan; FRoD, arXiv 2512.23485).

All of it is float64, streamed in three passes over the layers (R, then T, then the B_i), so that
memory is O(k^2) beyond the weights and the U_i, whatever N is. What it costs and which error each
choice gives is told in docs/method.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# Below this spread of T's eigenvalues, T is a multiple of the identity and Z would be roundoff.
FLAT_SPREAD = 1e-6
# Eigenvalues closer than this (relative to the largest) are taken as equal: float64 eigenvectors
# are then uncertain by about 1e-16 / 1e-10.
EQUAL_GAP = 1e-10
# R with a larger condition number is replaced by its own singular value decomposition.
MAX_CONDITION = 1e10
# A column of B_i is zero where its norm is below this share of the layer's largest.
ZERO_COLUMN = 1e-12


@dataclass(frozen=True)
class JointBasis:
    """Factors of one category.

    Attributes:
        basis: V, (k x k).
        left: U_i, (m_i x k) a layer; columns of norm 1, or 0 where lambda is.
        scale: lambda_i, (k,) a layer.
    """

    basis: Tensor
    left: list[Tensor]
    scale: list[Tensor]


@dataclass(frozen=True)
class RowFactor:
    """The stack's row space: stack = Q F with orthonormal columns in Q.

    Attributes:
        matrix: F, (r x k): the triangular R, or diag(sigma) Y^T of the stack's rank r.
        triangular: which of the two it is.
    """

    matrix: Tensor
    triangular: bool

    def orthonormal(self, weight: Tensor) -> Tensor:
        """Q_i (m x r) of one layer's weight W_i (m x k): W_i F^+.

        Solved against F instead of multiplied by its inverse: the residual Q_i F - W_i then stays
        at the level of roundoff whatever the condition of F.
        """
        if self.triangular:
            return torch.linalg.solve_triangular(self.matrix, weight, upper=True, left=False)
        sigma = torch.linalg.vector_norm(self.matrix, dim=1)
        return weight @ (self.matrix / sigma[:, None]).T / sigma


def exact_basis(weights: Sequence[Tensor], regularization: float) -> JointBasis:
    """The joint basis in float64, the same up to roundoff on every run, thread count and platform.

    Degenerate stacks: fewer rows than k give the right singular vectors of the stack; a rank
    below k leaves zero columns in V and U; equal eigenvalues of T are told apart by the singular
    values of R (`_settled`).

    Args:
        weights: W_i, each (m_i x k), finite, of any floating type.
        regularization: pi > 0.

    Returns:
        float64 factors on the weights' device.
    """
    width = weights[0].shape[1]
    if sum(weight.shape[0] for weight in weights) < width:
        basis = _right_singular_vectors(torch.cat([weight.double() for weight in weights]))
        return _with_scales(basis, [weight.double() @ basis for weight in weights])
    factor = row_factor(stack_triangle(weights))
    eigenvectors = _joint_eigenvectors(_mean_inverse(weights, factor, regularization), factor)
    basis = factor.matrix.T @ eigenvectors
    signs = _column_signs(basis)
    eigenvectors = eigenvectors * signs
    missing = (0, width - eigenvectors.shape[1])  # zero columns where the rank is below k
    return _with_scales(
        torch.nn.functional.pad(basis * signs, missing),
        [
            torch.nn.functional.pad(factor.orthonormal(weight.double()) @ eigenvectors, missing)
            for weight in weights
        ],
    )


def peft_basis(
    stacked: Sequence[Tensor], weights: Sequence[Tensor], regularization: float
) -> JointBasis:
    """The basis by the operations, and in the order and types, of PEFT's FRoD (0.21).

    Where T is a multiple of the identity it is roundoff, as PEFT's own; it exists to exchange
    adapters with PEFT.

    Args:
        stacked: the weights that PEFT stacks: one a block, the last of its kind.
        weights: all weights of the category, each (m x k).

    Returns:
        V in the first weight's type, U_i and lambda_i in float32, on the CPU.
    """
    slabs = [weight.to(torch.float32).cpu() for weight in stacked]
    stack = torch.cat(slabs, dim=0)
    if stack.shape[0] < stack.shape[1]:
        basis = torch.linalg.svd(stack, full_matrices=True)[2].T
    else:
        orthonormal, triangle = torch.linalg.qr(stack)
        identity = torch.eye(stack.shape[1])
        total = torch.zeros_like(identity)
        for rows in orthonormal.split([slab.shape[0] for slab in slabs]):
            total += torch.linalg.inv(rows.T @ rows + regularization * identity)
        basis = triangle.T @ torch.linalg.eigh(total / len(slabs))[1]
    basis = basis.to(stacked[0].dtype)
    factors = factors_in(basis, weights)
    return JointBasis(
        basis.contiguous(),
        [left.float() for left in factors.left],
        [scale.float() for scale in factors.scale],
    )


def factors_in(basis: Tensor, weights: Sequence[Tensor]) -> JointBasis:
    """U_i and lambda_i in a V that is given, by a solve against it in float64.

    What they are off by is the roundoff of V (k x k) times its condition.

    Returns:
        float64 factors on the CPU.
    """
    basis = basis.double().cpu()
    return _with_scales(
        basis, [_solved_against(basis, weight.double().cpu()) for weight in weights]
    )


def stack_triangle(weights: Sequence[Tensor]) -> Tensor:
    """R (k x k) of the thin QR of the stacked weights, in float64, streamed.

    Layers are gathered until they have k rows, then folded in by R <- qr([R; rows]).R: backward
    stable, as one QR of the whole stack is.
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


def row_factor(triangle: Tensor) -> RowFactor:
    """F from R: R itself, or diag(sigma) Y^T without the zero singular values.

    The condition number, in the Frobenius norm, is computed from the triangular inverse.
    """
    identity = torch.eye(triangle.shape[1], dtype=triangle.dtype, device=triangle.device)
    inverse = torch.linalg.solve_triangular(triangle, identity, upper=True)
    condition = torch.linalg.norm(triangle) * torch.linalg.norm(inverse)
    if bool(condition < MAX_CONDITION):  # false for NaN too, which a zero on the diagonal gives
        return RowFactor(triangle, triangular=True)
    _, sigma, right = torch.linalg.svd(triangle)
    kept = sigma > sigma[0] * len(sigma) * torch.finfo(sigma.dtype).eps
    return RowFactor(sigma[kept, None] * right[kept], triangular=False)


def _mean_inverse(weights: Sequence[Tensor], factor: RowFactor, regularization: float) -> Tensor:
    """T = (1/N) sum_i (Q_i^T Q_i + pi I)^-1, (r x r).

    Where m < r by Woodbury: (I - Q^T (pi I + Q Q^T)^-1 Q) / pi, an m x m system; its error is
    about 1e-16 / pi, far below the gap at which eigenvalues count as equal.
    """
    rank = factor.matrix.shape[0]
    identity = torch.eye(rank, dtype=torch.float64, device=factor.matrix.device)
    total = torch.zeros_like(identity)
    for weight in weights:
        rows = factor.orthonormal(weight.double())
        if rows.shape[0] < rank:
            small = rows @ rows.T
            small.diagonal().add_(regularization)
            half = torch.linalg.solve_triangular(torch.linalg.cholesky(small), rows, upper=False)
            total += (identity - half.T @ half) / regularization
        else:
            gram = rows.T @ rows + regularization * identity
            total += torch.cholesky_inverse(torch.linalg.cholesky(gram))
    total /= len(weights)
    return (total + total.T) / 2


def _joint_eigenvectors(mean_inverse: Tensor, factor: RowFactor) -> Tensor:
    """Z (r x r), settled where T's eigenvalues are equal and eigenvectors arbitrary."""
    values, vectors = torch.linalg.eigh(mean_inverse)
    flat = bool(values[-1] - values[0] < FLAT_SPREAD * values[-1]) if len(values) else True
    groups = [slice(0, len(values))] if flat else _equal_groups(values)
    for group in groups:
        if group.stop - group.start > 1:
            vectors[:, group] = _settled(vectors[:, group], factor.matrix)
    return vectors


def _settled(vectors: Tensor, factor: Tensor) -> Tensor:
    """A basis of the span of `vectors` (r x c) that does not depend on how it was spanned.

    The left singular vectors of F within the span; of T = c I, those of R. Equal singular values
    are told apart by a fixed probe in the input space.
    """
    left, sigma, _ = torch.linalg.svd(vectors.T @ factor, full_matrices=False)
    vectors = vectors @ left
    for group in _equal_groups(sigma):
        if group.stop - group.start > 1:
            vectors[:, group] = vectors[:, group] @ _probe_rotation(factor.T @ vectors[:, group])
    return vectors


def _right_singular_vectors(stack: Tensor) -> Tensor:
    """V (k x k), orthogonal: right singular vectors of a stack with fewer rows than k, settled."""
    _, sigma, right = torch.linalg.svd(stack, full_matrices=True)
    basis = right.T.contiguous()
    for group in _equal_groups(torch.nn.functional.pad(sigma, (0, basis.shape[1] - len(sigma)))):
        if group.stop - group.start > 1:
            basis[:, group] = basis[:, group] @ _probe_rotation(basis[:, group])
    return basis * _column_signs(basis)


def _equal_groups(values: Tensor) -> list[slice]:
    """Runs of sorted values that are equal to within `EQUAL_GAP` of the largest magnitude."""
    gaps = torch.diff(values).abs() > EQUAL_GAP * values.abs().max()
    edges = [0, *(gaps.nonzero().flatten() + 1).tolist(), len(values)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _probe_rotation(columns: Tensor) -> Tensor:
    """O (c x c) orthogonal, so that `columns @ O` (k x c) is the same for any rotation of them.

    By QR of columns^T G = O R' with a fixed Gaussian G (k x c) and a positive diagonal of R'.
    """
    generator = torch.Generator(device="cpu").manual_seed(0)
    probe = torch.randn(columns.shape, dtype=torch.float64, generator=generator)
    rotation, triangle = torch.linalg.qr(columns.T @ probe.to(columns.device))
    return rotation * torch.where(triangle.diagonal() < 0, -1.0, 1.0)


def _column_signs(columns: Tensor) -> Tensor:
    """Signs (c,) that make the largest entry of every column positive; among equals, the first."""
    magnitude = columns.abs()
    largest = (magnitude >= (1 - 1e-6) * magnitude.amax(dim=0)).to(torch.uint8).argmax(dim=0)
    return torch.where(columns.gather(0, largest[None])[0] < 0, -1.0, 1.0)


def _solved_against(basis: Tensor, weight: Tensor) -> Tensor:
    """B (m x k) with B V^T = W, by a solve; by the pseudo-inverse where V is singular."""
    try:
        return torch.linalg.solve(basis, weight.T).T
    except RuntimeError:
        return weight @ torch.linalg.pinv(basis, rtol=1e-6).T


def _with_scales(basis: Tensor, products: list[Tensor]) -> JointBasis:
    """Split every B_i into lambda_i (column norms) and U_i = B_i / lambda_i."""
    left, scale = [], []
    for product in products:
        norms = torch.linalg.vector_norm(product, dim=0)
        is_zero = norms <= ZERO_COLUMN * norms.max()
        scale.append(norms.masked_fill(is_zero, 0.0))
        left.append((product / norms.masked_fill(is_zero, 1.0)).masked_fill(is_zero, 0.0))
    return JointBasis(basis, left, scale)
