"""Two exact ways to run an adapted layer, and the choice between them.

The layer is y = W x + L C R^T x + b with C = diag(lambda - lambda_0) + S, (r x r). The paper's
basis is on the inputs: L = U, R = V and r = k. On the outputs L = V, R = U and r = m.

- merged, for many tokens: W + L C R^T is formed once a step, then one ordinary linear layer;
- factored, for few tokens: z = R^T x, then C, then L, on top of the frozen layer. The way back may
  leave out W, where L diag(lambda_0) R^T is known to give it: dx = R (diag(lambda) + S)^T L^T dy.

Each is one autograd function, so that no more than it needs is kept for the backward pass: the
input and the merged weight there, z alone here. Shapes: T tokens, x (T, k), y (T, m), L (m, r),
R (k, r); the values of C are (r + nnz,).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .core import CorePattern

# How far, in roundoff of its type, L diag(lambda_0) R^T may be off W to take its place on the way
# back; it is off by 1 to 7 where V is the exact basis (docs/method.md).
MAX_ROUNDOFF = 64


def merged_is_cheaper(
    tokens: int, rows: int, width: int, rank: int, *, sparse: bool, spares_weight: bool
) -> bool:
    """Whether a training step of the merged form takes fewer multiply-adds than the factored one.

    Counted forward and backward. The merged form pays m k r to form the weight, 2 m k a token, and
    T r (m + k) or (T + r) m k for the gradient of C; the factored form 2 r (m + k) a token, and
    2 m k, or m k where it `spares_weight` on the way back. Products with a sparse C are small and
    left out; where C is not `sparse` they are min(m, k) r^2 and r^2 a column that the gradient is
    summed over, and 3 r^2 a token.
    """
    area, by_token = rows * width, sums_over_tokens(tokens, rows, width, rank)
    gradient = tokens * rank * (rows + width) if by_token else (tokens + rank) * area
    merged = 2 * tokens * area + area * rank + gradient
    factored = tokens * ((1 if spares_weight else 2) * area + 2 * rank * (rows + width))
    if not sparse:
        merged += (min(rows, width) + (tokens if by_token else rows)) * rank**2
        factored += 3 * tokens * rank**2
    return merged < factored


def sums_over_tokens(tokens: int, rows: int, width: int, rank: int) -> bool:
    """Whether dC = (L^T dy^T) (x R) takes fewer multiply-adds than L^T ((dy^T x) R).

    T r (m + k) against (T + r) m k: where there are fewer tokens than layer rows if r = k, or fewer
    than inputs if r = m.
    """
    return tokens * (rank * (rows + width) - rows * width) < rank * rows * width


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool) -> Tensor:
    """The plain layer, by the very call that the plain layer makes.

    Args:
        x: (..., k).
        weight: (m, k), or (k, m) where `transposed`.
    """
    if not transposed:
        return nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    y = torch.mm(flat, weight) if bias is None else torch.addmm(bias, flat, weight)
    return y.view(*x.shape[:-1], weight.shape[1])


@dataclass(frozen=True)
class Factors:
    """What is frozen in a layer besides its weight.

    Attributes:
        left: L, (m, r).
        right: R, (k, r). Both `by_columns`.
        pattern: where C is trained.
        transposed: the layer stores its weight as (k, m).
        start: lambda_0, (r,), where L diag(lambda_0) R^T is to stand for W on the way back; else
            None, and the way back goes over W.
    """

    left: Tensor
    right: Tensor
    pattern: CorePattern
    transposed: bool
    start: Tensor | None = None


def _save(ctx: Any, factors: Factors, *tensors: Tensor | None) -> None:
    """Keeps L and R among the saved tensors, which checkpointing can drop: not as attributes.

    Autocast makes half-precision copies of both, which would live as long as the loss; lambda_0 is
    the layer's own.
    """
    ctx.save_for_backward(factors.left, factors.right, *tensors)
    ctx.pattern, ctx.transposed, ctx.start = factors.pattern, factors.transposed, factors.start


def _saved(ctx: Any) -> tuple[Factors, tuple[Any, ...]]:
    left, right, *tensors = ctx.saved_tensors
    return Factors(left, right, ctx.pattern, ctx.transposed, ctx.start), tuple(tensors)


@torch.no_grad()
def factors_give_weight(weight: Tensor, factors: Factors, start: Tensor) -> bool:
    """Whether L diag(lambda_0) R^T gives W to roundoff of their type, told by one probe.

    Not where a V is singular that was not made by us, or where the factors were rounded to another
    type than they are held in.

    Args:
        weight: W, as the layer stores it.
        start: lambda_0, (r,).
    """
    weight = weight.T if factors.transposed else weight
    steps = torch.arange(1, weight.shape[1] + 1, dtype=weight.dtype, device=weight.device)
    probe = torch.sin(steps * steps)  # entries of mean square 1/2, without a direction of their own
    off = weight @ probe - factors.left @ (start * (factors.right.T @ probe))
    size = torch.linalg.vector_norm(weight) * 0.5**0.5  # of W p, were the rows random
    allowed = MAX_ROUNDOFF * torch.finfo(weight.dtype).eps * size
    return bool(torch.linalg.vector_norm(off) <= allowed)


def merged_weight(weight: Tensor, values: Tensor, factors: Factors) -> Tensor:
    """W + L C R^T as the layer stores it; at least float32 until the sum is rounded to W's type.

    C is applied to the smaller of L and R.
    """
    work = torch.promote_types(values.dtype, weight.dtype)
    left, right = factors.left.to(work), factors.right.T.to(work)  # (m, r), (r, k)
    if left.shape[0] <= right.shape[1]:
        left = factors.pattern.transposed_times(values, left.T).T
    else:
        right = factors.pattern.times(values, right)
    change = (right.T, left.T) if factors.transposed else (left, right)
    return torch.addmm(weight.to(work), *change).to(weight.dtype)


class MergedLinear(torch.autograd.Function):
    """y = (W + L C R^T) x + b, from a weight that is formed already."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, merged: Tensor, factors: Factors
    ) -> Tensor:
        """Saves x and the merged weight. `values` are C's, (r + nnz,), read in `merged` alone."""
        _save(ctx, factors, x, merged)
        ctx.values_dtype = values.dtype
        return linear(x, merged, bias, factors.transposed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dC = L^T (dy^T x) R on the trained places; dx = (W + L C R^T)^T dy.

        dC is summed over tokens, or over the layer's rows: what takes fewer multiply-adds.
        """
        factors, (x, merged) = _saved(ctx)
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        grad_x = grad_values = None
        if needs_x:
            grad_x = grad @ (merged.T if factors.transposed else merged)
        if needs_values:
            inputs, left, right = x.reshape(-1, x.shape[-1]), factors.left.T, factors.right.T
            rank, rows = left.shape
            if sums_over_tokens(len(flat), rows, right.shape[1], rank):
                pair = left @ flat.T, right @ inputs.T  # (r, T) both
            else:
                pair = left, right @ (inputs.T @ flat)  # (r, m) both
            grad_values = factors.pattern.gradient(*pair).to(ctx.values_dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None


class FactoredLinear(torch.autograd.Function):
    """y = W x + b + L C R^T x."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, weight: Tensor, factors: Factors
    ) -> Tensor:
        """Saves z = R^T x and C's values, and W where the way back goes over it; not x.

        `weight` is W as the layer stores it.
        """
        z = factors.right.T @ x.reshape(-1, x.shape[-1]).T  # (r, T)
        _save(ctx, factors, z, values, weight if factors.start is None else None)
        y = linear(x, weight, bias, factors.transposed)
        turned = factors.pattern.times(values, z)
        y.view(-1, y.shape[-1]).addmm_(turned.T, factors.left.T)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """h = L^T dy; dC = h z^T on the trained places; dx = W^T dy + R C^T h.

        Or dx = R (diag(lambda) + S)^T h, without W, where the factors give W.
        """
        factors, (z, values, weight) = _saved(ctx)
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        h = factors.left.T @ flat.T  # (r, T)
        grad_x = grad_values = None
        if needs_x:
            grad_x = _way_back(factors, values, h, flat, weight)
            grad_x = grad_x.view(*grad.shape[:-1], grad_x.shape[1])
        if needs_values:
            grad_values = factors.pattern.gradient(h, z).to(values.dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None


def _way_back(
    factors: Factors, values: Tensor, h: Tensor, grad: Tensor, weight: Tensor | None
) -> Tensor:
    """dx (T, k) of dy (T, m) and h = L^T dy, (r, T); without W where `factors.start` is given."""
    right, pattern, start = factors.right.T, factors.pattern, factors.start
    if start is not None:
        trained = torch.cat([values[: len(start)] + start, values[len(start) :]])
        return pattern.transposed_times(trained, h).T @ right
    assert weight is not None
    grad_x = grad @ (weight.T if factors.transposed else weight)
    return grad_x.addmm_(pattern.transposed_times(values, h).T, right)
