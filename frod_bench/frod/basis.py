"""The joint basis of a category: W_i = U_i diag(lambda_i) V^T for all its layers, one V.

For N layers W_i (m_i x k): the stack of all rows is Q R; T is the mean over layers of
(Q_i^T Q_i + pi I)^-1; its eigenvectors Z give V = R^T Z and B_i = Q_i Z, so that W_i = B_i V^T.
docs/explanation/method.md (sections 1 and 4) derives this, costs and errors.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from .core import by_columns, float32_is_full, trained_dtype

# Largest condition at which the Cholesky factor of the Gram matrix is used: its error, about
# 1e-16 x 100^2, stays below the gap at which eigenvalues count as equal.
GRAM_MAX_CONDITION = 1e2
# R with a larger condition is replaced by its singular value decomposition.
MAX_CONDITION = 1e10
# Triangular factors and triangles of products are halved down to this many columns.
LEAF = 192
# The first passes keep what they compute for each layer, up to this many bytes, for later passes.
KEPT_BYTES = 2**30
# Rounds and vectors of the power iteration that estimates a condition number.
POWER_ROUNDS, POWER_VECTORS = 2, 8
# A column of B_i counts as zero if its norm is below this fraction of the layer's largest.
ZERO_COLUMN = 1e-12
# Up to this condition of R, layers with m >= k need no Q_i: T comes from Gram matrices, with an
# error of about 1e-16 x 30^2 / pi, and B_i = W_i (R^-1 Z) in the type of the weights, with an error
# of a few times that of rounding U_i to that type ...
WELL_CONDITIONED = 30.0
# ... unless a column of B_i is smaller than this fraction of the largest: it could be roundoff.
ROUNDED_MIN_COLUMN = 1e-4
# Largest error of T that Gram matrices may cause; it grows with 1 / pi.
GRAM_MAX_ERROR = 2.5e-10
# Below this relative spread of its eigenvalues, T is a multiple of the identity.
FLAT_SPREAD = 1e-6
# Eigenvalues closer than this fraction of the largest count as equal: float64 eigenvectors are
# uncertain by about 1e-16 / gap.
EQUAL_GAP = 1e-10
Part = tuple[Tensor, Tensor]  # U_i (m_i x k) and lambda_i (k,)


@dataclass(frozen=True)
class JointBasis:
    """Factors of one category.

    Attributes:
        V: (k x k).
        U: U_i, (m_i x k) for each layer; columns have norm 1, or 0 if lambda is 0. V, P and the U_i
            are stored in column-major layout (`by_columns`). Empty if there is P.
        lambda_0: lambda_i, (k,) for each layer, before training.
        P: (k x k), with U_i = W_i P diag(lambda_i)^-1, in place of the U_i.
    """

    V: Tensor
    U: list[Tensor]
    lambda_0: list[Tensor]
    P: Tensor | None = None


@dataclass(frozen=True)
class RowFactor:
    """Row space of the stack: stack = Q F with orthonormal columns in Q.

    Attributes:
        matrix: F, (r x k): the triangular R, or diag(sigma) Y^T with the rank r of the stack.
        triangular: which of the two it is.
        condition: condition number of F, to within a small factor.
        grams: G_i = W_i^T W_i of the layers with m >= k, upper triangles, if they fit in memory.
    """

    matrix: Tensor
    triangular: bool
    condition: float
    grams: dict[int, Tensor] = field(default_factory=dict)

    @property
    def is_well_conditioned(self) -> bool:
        """Whether products with R^-1 and Gram matrices are as accurate as orthonormal rows."""
        return self.triangular and self.condition < WELL_CONDITIONED

    def orthonormal(self, weight: Tensor) -> Tensor:
        """Return Q_i (m x r) = W_i F^+ for W_i (m x k), accurate for any condition of F."""
        if self.triangular:
            # solved for Q_i^T, whose memory layout is the one that the library expects
            return torch.linalg.solve_triangular(self.matrix.T, weight.T, upper=False).T
        sigma = torch.linalg.vector_norm(self.matrix, dim=1)
        return weight @ (self.matrix / sigma[:, None]).T / sigma

    def transposed_times(self, columns: Tensor) -> Tensor:
        """Return F^T @ columns (r x n), column-major; half the work if F is triangular."""
        if not self.triangular:
            return (columns.T @ self.matrix).T
        product = columns.new_zeros(columns.shape[1], self.matrix.shape[1]).T
        _add_triangular_product(product, self.matrix.T, columns, upper=False)
        return product


def exact_basis(
    weights: Sequence[Tensor],
    regularization: float,
    dtype: torch.dtype | None = None,
    *,
    by_P: bool = False,
) -> JointBasis:
    """Compute the canonical joint basis of W_i (m_i x k) in float64, on their device.

    V and the U_i are rounded to `dtype`, and the lambda_i to `dtype` or float32, whichever is
    wider. By default V stays float64, and the U_i and lambda_i keep the type in which they were
    computed. With `by_P`, the result has P = R^-1 Z instead of the U_i, provided that P is
    accurate: R must be well-conditioned, and no lambda may be small.
    """
    width = weights[0].shape[1]
    if sum(weight.shape[0] for weight in weights) < width:
        stack = torch.cat([weight.double() for weight in weights])
        return _in_orthogonal(right_singular_vectors(stack), weights, dtype)
    factor = row_factor(weights)
    mean_inverse, rows = _mean_inverse(weights, factor, regularization)
    eigenvectors = canonical_eigenvectors(mean_inverse, factor.matrix)
    # A rank below k leaves as many zero columns.
    eigenvectors = torch.nn.functional.pad(eigenvectors, (0, width - eigenvectors.shape[1]))
    V = factor.transposed_times(eigenvectors)
    signs = canonical_signs(V)
    eigenvectors *= signs
    V.mul_(signs)
    work = trained_dtype(weights[0].dtype)
    P = None
    if work != torch.float64 and not float32_is_full(weights[0].device):
        rows.clear()  # products in float32 may be rounded further: everything in float64
    elif factor.is_well_conditioned and len(rows) < len(weights):
        solved = torch.linalg.solve_triangular(factor.matrix, eigenvectors, upper=True)
        P = by_columns(solved.to(work))
        if by_P and not rows:
            norms = [torch.linalg.vector_norm(P.T @ one.to(work).T, dim=1) for one in weights]
            if all(map(_has_no_small_column, norms)):
                return JointBasis(by_columns(V.to(dtype or V.dtype)), [], norms, P)
    return _joined(V, _layer_parts(weights, factor, rows, eigenvectors, P), dtype)


def peft_basis(
    stacked: Sequence[Tensor], weights: Sequence[Tensor], regularization: float
) -> JointBasis:
    """Compute the basis by the operations of PEFT's FRoD (0.21), in their order, on the CPU.

    `stacked` are the weights that PEFT stacks: one per block, the last of its kind. V and the U_i
    have the type of `weights`, lambda_i float32 or wider.
    """
    slabs = [weight.to(torch.float32).cpu() for weight in stacked]
    stack = torch.cat(slabs, dim=0)
    if stack.shape[0] < stack.shape[1]:
        V = torch.linalg.svd(stack, full_matrices=True)[2].T
    else:
        orthonormal, triangle = torch.linalg.qr(stack)
        identity = torch.eye(stack.shape[1], dtype=stack.dtype, device=stack.device)
        total = torch.zeros_like(identity)
        for rows in orthonormal.split([slab.shape[0] for slab in slabs]):
            total += torch.linalg.inv(rows.T @ rows + regularization * identity)
        V = triangle.T @ torch.linalg.eigh(total / len(slabs))[1]
    dtype = weights[0].dtype
    factors = factors_in(V.to(dtype), weights)
    pairs = zip(factors.U, factors.lambda_0, strict=True)
    parts = ((U.float(), lambda_0.float()) for U, lambda_0 in pairs)
    return _joined(factors.V, parts, dtype)


def svd_basis(weights: Sequence[Tensor]) -> JointBasis:
    """Compute V (k x k), the right singular vectors of one layer W (m x k), in float64.

    Where m < k the last columns of V complete an orthogonal matrix, and their lambda is 0. For a
    layer that is alone in its category; signs are those of the joint basis.
    """
    (weight,) = weights
    return _in_orthogonal(right_singular_vectors(weight.double()), weights, weight.dtype)


def random_basis(weights: Sequence[Tensor], seed: int) -> JointBasis:
    """Compute U_i and lambda_i for a random orthogonal V (k x k), drawn on the CPU, in float64."""
    first = weights[0]
    width = first.shape[1]
    generator = torch.Generator(device="cpu").manual_seed(seed)
    drawn = torch.randn(width, width, dtype=torch.float64, generator=generator)
    return _in_orthogonal(positive_qr(drawn).to(first.device), weights, first.dtype)


def _in_orthogonal(V: Tensor, weights: Sequence[Tensor], dtype: torch.dtype | None) -> JointBasis:
    """Compute the factors for an orthogonal V (k x k): B_i = W_i V."""
    return _joined(V, (_split(weight.double() @ V) for weight in weights), dtype)


def factors_in(V: Tensor, weights: Sequence[Tensor]) -> JointBasis:
    """Compute U_i and lambda_i for a given V (k x k) in float64 on the CPU."""
    V = V.double().cpu()

    def solved(weight: Tensor) -> Tensor:
        try:
            return torch.linalg.solve(V, weight.T).T
        except RuntimeError:  # singular
            return weight @ torch.linalg.pinv(V, rtol=1e-6).T

    return _joined(V, (_split(solved(weight.double().cpu())) for weight in weights))


def _mean_inverse(
    weights: Sequence[Tensor], factor: RowFactor, regularization: float
) -> tuple[Tensor, dict[int, Tensor]]:
    """Compute the upper triangle of T = (1/N) sum_i (Q_i^T Q_i + pi I)^-1, (r x r).

    If m < r, the inverse comes from an m x m system, by the Woodbury identity:
    (I - Q^T (pi I + Q Q^T)^-1 Q) / pi. If m >= r and R is well-conditioned, it comes from Gram
    matrices, without Q_i: (Q_i^T Q_i + pi I)^-1 = R (G_i + pi R^T R)^-1 R^T. Otherwise Q_i is
    computed, and Q_i^T Q_i + pi I is inverted. Also returns the Q_i of the layers with m < r, by
    the layer's index, if they fit in memory. They are rounded to the type of the weights or
    float32, whichever is wider.
    """
    rank = len(factor.matrix)
    inverses, removed = (factor.matrix.new_zeros(rank, rank) for _ in range(2))
    by_grams = None
    roundoff = torch.finfo(torch.float64).eps * factor.condition**2 / regularization
    has_grams = factor.is_well_conditioned and roundoff < GRAM_MAX_ERROR
    rows: dict[int, Tensor] = {}
    for index, weight in enumerate(weights):
        if weight.shape[0] < rank:
            orthonormal = factor.orthonormal(weight.double())
            _add_woodbury(removed, orthonormal, regularization)
            inverses.diagonal().add_(1 / regularization)
            rounded = orthonormal.to(trained_dtype(weight.dtype))
            if len(weights) * rounded.nbytes <= KEPT_BYTES:
                rows[index] = rounded
        elif has_grams:
            if by_grams is None:
                by_grams, whole = torch.zeros_like(inverses), _gram(factor.matrix)
            own = factor.grams.pop(index) if index in factor.grams else _gram(weight.double())
            by_grams += _inverse(own.add_(whole, alpha=regularization))
        else:
            own = _gram(factor.orthonormal(weight.double()))
            own.diagonal().add_(regularization)
            inverses += _inverse(own)
    if by_grams is not None:
        half = torch.zeros_like(inverses)
        _add_triangular_product(half, factor.matrix, by_grams, upper=True)  # R sum_i (...)^-1
        _add_triangular_product(inverses, factor.matrix, half.T, upper=True)
    return inverses.sub_(removed, alpha=1 / regularization).div_(len(weights)), rows


def _add_woodbury(removed: Tensor, rows: Tensor, regularization: float) -> None:
    """Add Q^T (pi I + Q Q^T)^-1 Q of Q (m x r) to the upper triangle of `removed`."""
    small = _gram(rows.T)
    small.diagonal().add_(regularization)
    root = torch.linalg.cholesky(small, upper=True)
    add_gram(removed, torch.linalg.solve_triangular(root.T, rows, upper=False))


def _inverse(symmetric: Tensor) -> Tensor:
    """Invert a positive definite matrix of which the upper triangle is given."""
    return torch.cholesky_inverse(torch.linalg.cholesky(symmetric, upper=True), upper=True)


def _layer_parts(
    weights: Sequence[Tensor],
    factor: RowFactor,
    rows: dict[int, Tensor],
    eigenvectors: Tensor,
    P: Tensor | None,
) -> Iterator[Part]:
    """Compute U_i and lambda_i of every layer from B_i = Q_i Z with the Q_i in `rows`, or W_i P.

    The product is computed in the type of Q_i or P. If a layer has neither, or if one of its
    columns is small, it is Q_i Z in float64.
    """
    rounded = by_columns(eigenvectors.to(trained_dtype(weights[0].dtype)))
    for index, weight in enumerate(weights):
        own, right = (rows.pop(index), rounded) if index in rows else (weight, P)
        if right is not None:
            U, lambda_0 = _split((right.T @ own.to(right.dtype).T).T)  # in column-major layout
            if _has_no_small_column(lambda_0):
                yield U, lambda_0
                continue
        yield _split(factor.orthonormal(weight.double()) @ eigenvectors)


def _has_no_small_column(norms: Tensor) -> bool:
    """Whether no column of B_i is so small that rounding could have made it."""
    return bool(norms.min() > ROUNDED_MIN_COLUMN * norms.max())


def _split(product: Tensor) -> Part:
    """Split B_i (m x k), in place, into U_i and lambda_i; roundoff becomes zero in both."""
    norms = torch.linalg.vector_norm(product, dim=0)
    is_zero = norms <= ZERO_COLUMN * norms.max()
    U = product.div_(norms.masked_fill(is_zero, torch.inf))
    return U, norms.masked_fill(is_zero, 0.0)


def _joined(V: Tensor, parts: Iterable[Part], dtype: torch.dtype | None = None) -> JointBasis:
    """Collect the factors, each U_i rounded once it is computed."""
    factors = JointBasis(by_columns(V.to(dtype or V.dtype)), [], [])
    for U, lambda_0 in parts:
        factors.U.append(by_columns(U.to(dtype or U.dtype)))
        wide = torch.promote_types(torch.float32, dtype) if dtype else lambda_0.dtype
        factors.lambda_0.append(lambda_0.to(wide))
    return factors


def row_factor(weights: Sequence[Tensor]) -> RowFactor:
    """Compute F of the stacked weights W_i, each (m_i x k), in float64 on their device."""
    width = weights[0].shape[1]
    gram = torch.zeros(width, width, dtype=torch.float64, device=weights[0].device)
    is_kept = len(weights) * gram.nbytes <= KEPT_BYTES
    grams: dict[int, Tensor] = {}
    for index, weight in enumerate(weights):
        if is_kept and weight.shape[0] >= width:
            grams[index] = _gram(weight.double())
            gram += grams[index]
        else:
            add_gram(gram, weight.double())
    triangle, failed = torch.linalg.cholesky_ex(gram, upper=True)  # reads the upper triangle
    if not bool(failed):
        condition = _estimated_condition(triangle)
        if condition < GRAM_MAX_CONDITION:
            return RowFactor(triangle, triangular=True, condition=condition, grams=grams)
    triangle = stack_triangle(weights)
    if bool((triangle.diagonal() != 0).all()):
        condition = _estimated_condition(triangle)
        if condition < MAX_CONDITION:
            return RowFactor(triangle, triangular=True, condition=condition)
    _, sigma, right = torch.linalg.svd(triangle)
    kept = sigma > sigma[0] * len(sigma) * torch.finfo(sigma.dtype).eps
    condition = float(sigma[0] / sigma[kept][-1]) if bool(kept.any()) else 1.0
    return RowFactor(sigma[kept, None] * right[kept], triangular=False, condition=condition)


def stack_triangle(weights: Sequence[Tensor]) -> Tensor:
    """Compute R (k x k) of the QR decomposition of the stack in float64, k rows at a time."""
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


def _gram(rows: Tensor) -> Tensor:
    """Compute rows^T rows (k x k), of which only the upper triangle."""
    total = rows.new_zeros(2 * [rows.shape[1]])
    add_gram(total, rows)
    return total


def add_gram(total: Tensor, rows: Tensor) -> None:
    """Add rows^T rows (k x k) to the upper triangle of `total`; some entries below change, too."""
    half = total.shape[0] // 2
    if total.shape[0] <= LEAF:
        total.addmm_(rows.T, rows)
        return
    left, right = rows[:, :half], rows[:, half:]
    add_gram(total[:half, :half], left)
    add_gram(total[half:, half:], right)
    total[:half, half:].addmm_(left.T, right)


def _add_triangular_product(out: Tensor, triangle: Tensor, right: Tensor, *, upper: bool) -> None:
    """Add triangle @ right to `out` without the triangle's zeros; `upper` says where they are."""
    half = triangle.shape[0] // 2
    if triangle.shape[0] <= LEAF:
        out.addmm_(triangle, right)
        return
    _add_triangular_product(out[:half], triangle[:half, :half], right[:half], upper=upper)
    _add_triangular_product(out[half:], triangle[half:, half:], right[half:], upper=upper)
    if upper:
        out[:half].addmm_(triangle[:half, half:], right[half:])
    else:
        out[half:].addmm_(triangle[half:, :half], right[:half])


def _estimated_condition(triangle: Tensor) -> float:
    """Estimate the 2-norm condition number of an invertible R (k x k) from below.

    By power iterations on R and on its inverse; infinite if the inverse overflows. Too low by a few
    percent, or by a small factor if many singular values are close to each other.
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


# These rules make V unique where its equations do not. Without them, the signs of columns and the
# rotations within equal eigenvalues would depend on roundoff, which differs between machines
# (docs/explanation/method.md, section 4).


def canonical_eigenvectors(symmetric: Tensor, factor: Tensor) -> Tensor:
    """Compute eigenvectors (r x r) of T, of which only the upper triangle is read; F is (r x k)."""
    values, vectors = torch.linalg.eigh(symmetric, UPLO="U")
    if len(values) < 2:
        return vectors
    is_flat = bool(values[-1] - values[0] < FLAT_SPREAD * values[-1])
    for group in [slice(None)] if is_flat else _equal_groups(values):
        vectors[:, group] = _left_singular_vectors(vectors[:, group], factor)
    return vectors


def right_singular_vectors(stack: Tensor) -> Tensor:
    """Compute V (k x k), orthogonal: right singular vectors of a stack with fewer rows than k."""
    _, sigma, right = torch.linalg.svd(stack, full_matrices=True)
    V = right.T.contiguous()
    for group in _equal_groups(torch.nn.functional.pad(sigma, (0, len(V) - len(sigma)))):
        V[:, group] = V[:, group] @ _probe_rotation(V[:, group])
    return V * canonical_signs(V)


def canonical_signs(columns: Tensor) -> Tensor:
    """Signs (c,) that make the largest entry of each column positive; among equals, the first."""
    magnitude = columns.abs()
    largest = (magnitude >= (1 - 1e-6) * magnitude.amax(dim=0)).to(torch.uint8).argmax(dim=0)
    return torch.where(columns.gather(0, largest[None])[0] < 0, -1.0, 1.0)


def positive_qr(columns: Tensor) -> Tensor:
    """Return the Q (n x n) of the QR decomposition whose R has a positive diagonal."""
    rotation, triangle = torch.linalg.qr(columns)
    return rotation * torch.where(triangle.diagonal() < 0, -1.0, 1.0)


def _left_singular_vectors(vectors: Tensor, factor: Tensor) -> Tensor:
    """Return the left singular vectors of F restricted to the span of `vectors` (r x c)."""
    left, sigma, _ = torch.linalg.svd(vectors.T @ factor, full_matrices=False)
    vectors = vectors @ left
    for group in _equal_groups(sigma):
        vectors[:, group] = vectors[:, group] @ _probe_rotation(factor.T @ vectors[:, group])
    return vectors


def _equal_groups(values: Tensor) -> list[slice]:
    """Return the runs of two and more sorted values that are equal to `EQUAL_GAP`."""
    gaps = torch.diff(values).abs() > EQUAL_GAP * values.abs().max()
    edges = [0, *(gaps.nonzero().flatten() + 1).tolist(), len(values)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop - start > 1]


def _probe_rotation(columns: Tensor) -> Tensor:
    """Return O (c x c), orthogonal, that gives the same `columns @ O` for any rotation of them.

    O is from columns^T G = O R' with a fixed Gaussian G (k x c) and a positive diagonal of R'.
    """
    generator = torch.Generator(device="cpu").manual_seed(0)
    probe = torch.randn(columns.shape, dtype=torch.float64, generator=generator)
    return positive_qr(columns.T @ probe.to(columns.device))
