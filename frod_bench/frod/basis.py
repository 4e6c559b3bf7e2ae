"""The joint basis of a category: W_i = U_i diag(lambda_i) V^T for all its layers, one V.

Notation: N layers W_i (m_i x k). The stack of all rows is Q R; T is the mean over layers of
(Q_i^T Q_i + pi I)^-1; its eigenvectors Z give V = R^T Z and B_i = Q_i Z, so that W_i = B_i V^T
(the higher-order CS decomposition of Kempf, Goulart and Duncan; FRoD, arXiv 2512.23485).

All of it is float64, streamed in three passes over the layers (R, then T, then the B_i), so that
memory is O(k^2) beyond the weights and the U_i, whatever N is. What it costs and which error each
choice gives is told in docs/method.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .core import by_columns, float32_is_full
from .row_space import RowFactor, add_gram, row_factor
from .settle import column_signs, settled_eigenvectors, settled_right_singular_vectors

# A column of B_i is zero where its norm is below this share of the layer's largest.
ZERO_COLUMN = 1e-12
# Up to this condition of F, B_i = W_i (F^-1 Z) may be multiplied in the weights' own type: it is
# then off by a few times what rounding U_i to that type costs.
ROUNDED_MAX_CONDITION = 30.0
# But not where a column is this much smaller than the layer's largest: it could be roundoff.
ROUNDED_MIN_COLUMN = 1e-4

Part = tuple[Tensor, Tensor]  # U_i (m_i x k) and lambda_i (k,)


@dataclass(frozen=True)
class JointBasis:
    """Factors of one category.

    Attributes:
        basis: V, (k x k).
        left: U_i, (m_i x k) a layer; columns of norm 1, or 0 where lambda is. Of V and of each U_i
            the transpose is contiguous, which is what the layers' products run along.
        scale: lambda_i, (k,) a layer.
    """

    basis: Tensor
    left: list[Tensor]
    scale: list[Tensor]


def exact_basis(
    weights: Sequence[Tensor], regularization: float, left_dtype: torch.dtype | None = None
) -> JointBasis:
    """The joint basis in float64, the same up to roundoff on every run, thread count and platform.

    Degenerate stacks: fewer rows than k give the right singular vectors of the stack; a rank
    below k leaves zero columns in V and U; equal eigenvalues of T are told apart by the singular
    values of R (`settle`).

    Args:
        weights: W_i, each (m_i x k), finite, of any floating type.
        regularization: pi > 0.
        left_dtype: what each U_i is rounded to as soon as it is made, so that one alone is held
            wider; as it was computed, float32 at least, if not given.

    Returns:
        Factors on the weights' device: V in float64, lambda_i in float32 at least.
    """
    width = weights[0].shape[1]
    if sum(weight.shape[0] for weight in weights) < width:
        stack = torch.cat([weight.double() for weight in weights])
        basis = settled_right_singular_vectors(stack)
        parts = (_split(weight.double() @ basis) for weight in weights)
        return _joined(basis, parts, left_dtype)
    factor = row_factor(weights)
    mean_inverse = _mean_inverse(weights, factor, regularization)
    eigenvectors = settled_eigenvectors(mean_inverse, factor.matrix)
    # As many zero columns as the rank is below k.
    eigenvectors = torch.nn.functional.pad(eigenvectors, (0, width - eigenvectors.shape[1]))
    basis = factor.transposed_times(eigenvectors)
    signs = column_signs(basis)
    eigenvectors *= signs
    return _joined(basis.mul_(signs), _layer_parts(weights, factor, eigenvectors), left_dtype)


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
        identity = torch.eye(stack.shape[1], dtype=stack.dtype, device=stack.device)
        total = torch.zeros_like(identity)
        for rows in orthonormal.split([slab.shape[0] for slab in slabs]):
            total += torch.linalg.inv(rows.T @ rows + regularization * identity)
        basis = triangle.T @ torch.linalg.eigh(total / len(slabs))[1]
    basis = basis.to(stacked[0].dtype)
    factors = factors_in(basis, weights)
    return JointBasis(
        factors.basis.to(basis.dtype),
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
    products = (_solved_against(basis, weight.double().cpu()) for weight in weights)
    return _joined(basis, map(_split, products))


def _mean_inverse(weights: Sequence[Tensor], factor: RowFactor, regularization: float) -> Tensor:
    """T = (1/N) sum_i (Q_i^T Q_i + pi I)^-1, (r x r), whose upper triangle alone is right.

    Where m < r by Woodbury: (I - Q^T (pi I + Q Q^T)^-1 Q) / pi, an m x m system; its error is
    about 1e-16 / pi, far below the gap at which eigenvalues count as equal.
    """
    rank = factor.matrix.shape[0]
    identity = torch.eye(rank, dtype=torch.float64, device=factor.matrix.device)
    inverses, removed = torch.zeros_like(identity), torch.zeros_like(identity)
    for weight in weights:
        rows = factor.orthonormal(weight.double())
        if rows.shape[0] < rank:
            small = rows.new_zeros(2 * [rows.shape[0]])
            add_gram(small, rows.T)
            small.diagonal().add_(regularization)
            root = torch.linalg.cholesky(small, upper=True)
            add_gram(removed, torch.linalg.solve_triangular(root.T, rows, upper=False))
            inverses.diagonal().add_(1 / regularization)
        else:
            gram = torch.zeros_like(identity)
            add_gram(gram, rows)
            gram.diagonal().add_(regularization)
            inverses += torch.cholesky_inverse(torch.linalg.cholesky(gram, upper=True), upper=True)
    return inverses.sub_(removed, alpha=1 / regularization).div_(len(weights))


def _layer_parts(
    weights: Sequence[Tensor], factor: RowFactor, eigenvectors: Tensor
) -> Iterator[Part]:
    """U_i and lambda_i of every layer, from B_i = Q_i Z.

    In float64, or in the weight's own type (float32 at least) where that is as good.
    """
    rounded = None
    if factor.triangular and factor.condition < ROUNDED_MAX_CONDITION and float32_is_full():
        dtype = torch.promote_types(weights[0].dtype, torch.float32)
        inverse = torch.linalg.solve_triangular(factor.matrix, eigenvectors, upper=True)
        rounded = by_columns(inverse.to(dtype))
    for weight in weights:
        if rounded is not None:
            product = (rounded.T @ weight.to(rounded.dtype).T).T  # held as the layers hold U
            norms = torch.linalg.vector_norm(product, dim=0)
            if bool(norms.min() > ROUNDED_MIN_COLUMN * norms.max()):
                yield product.div_(norms), norms
                continue
        yield _split(factor.orthonormal(weight.double()) @ eigenvectors)


def _solved_against(basis: Tensor, weight: Tensor) -> Tensor:
    """B (m x k) with B V^T = W, by a solve; by the pseudo-inverse where V is singular."""
    try:
        return torch.linalg.solve(basis, weight.T).T
    except RuntimeError:
        return weight @ torch.linalg.pinv(basis, rtol=1e-6).T


def _split(product: Tensor) -> Part:
    """U_i and lambda_i of B_i (m x k), which is overwritten: its columns' norms, and what is left.

    What is left of a column that is zero, but for roundoff, is zero.
    """
    norms = torch.linalg.vector_norm(product, dim=0)
    is_zero = norms <= ZERO_COLUMN * norms.max()
    left = product.div_(norms.masked_fill(is_zero, torch.inf))
    return left, norms.masked_fill(is_zero, 0.0)


def _joined(
    basis: Tensor, parts: Iterable[Part], left_dtype: torch.dtype | None = None
) -> JointBasis:
    """All of a category, held `by_columns`."""
    kept = [(by_columns(left.to(left_dtype or left.dtype)), scale) for left, scale in parts]
    left, scale = zip(*kept, strict=True)
    return JointBasis(by_columns(basis), list(left), list(scale))
