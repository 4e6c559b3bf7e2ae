"""Two exact ways to run an adapted layer, and the choice between them.

The layer is y = W x + U C V^T x + b with C = diag(lambda - lambda_0) + S, (k x k).

- merged, for many tokens: W + U C V^T is formed once a step, then one ordinary linear layer;
- factored, for few tokens: z = V^T x, then C, then U, on top of the frozen layer.

Each is one autograd function, so that no more than it needs is kept for the backward pass: the
input and the merged weight there, z alone here. Shapes: T tokens, x (T, k), y (T, m), U (m, k),
V (k, k). `places` are row * k + column of the trained entries of C: the k of the diagonal, then
the support of S.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def merged_is_cheaper(tokens: int, rows: int, width: int) -> bool:
    """Whether a training step of the merged form takes fewer multiply-adds than the factored one.

    Counted forward and backward, C as a dense matrix: the merged form pays k^3 + 3 m k^2 whatever
    the batch, and 3 m k a token; the factored form 4 m k + 5 k^2 a token.
    """
    fixed = width**3 + 3 * rows * width**2
    return fixed + 3 * tokens * rows * width < tokens * (4 * rows * width + 5 * width**2)


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


def core_matrix(values: Tensor, places: Tensor, width: int) -> Tensor:
    """C (k, k) from its trained entries (k + nnz,)."""
    return values.new_zeros(width * width).scatter_(0, places, values).view(width, width)


def core_gradient(left: Tensor, right: Tensor, places: Tensor) -> Tensor:
    """Entries at `places` of left^T right (k, k), for left and right (r, k)."""
    return (left.T @ right).view(-1)[places]


def merged_weight(
    weight: Tensor, left: Tensor, basis: Tensor, core: Tensor, transposed: bool
) -> Tensor:
    """W + U C V^T as the layer stores it; at least float32 until the sum is rounded to W's type."""
    work = torch.promote_types(core.dtype, weight.dtype)
    left, basis, core = left.to(work), basis.to(work), core.to(work)
    change = (basis @ core.T, left.T) if transposed else (left, core @ basis.T)
    return torch.addmm(weight.to(work), *change).to(weight.dtype)


@dataclass(frozen=True)
class Factors:
    """What is frozen in a layer besides its weight.

    Attributes:
        left: U, (m, k).
        basis: V, (k, k).
        places: of the trained entries of C, int64 (k + nnz,).
        transposed: the layer stores its weight as (k, m).
    """

    left: Tensor
    basis: Tensor
    places: Tensor
    transposed: bool


class MergedLinear(torch.autograd.Function):
    """y = (W + U C V^T) x + b, from a weight that is formed already."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, merged: Tensor, factors: Factors
    ) -> Tensor:
        """Saves x and the merged weight. `values` are C's, (k + nnz,), read in `merged` alone."""
        ctx.save_for_backward(x, merged)
        ctx.factors, ctx.values_dtype = factors, values.dtype
        return linear(x, merged, bias, factors.transposed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dC = U^T (dy^T x) V on the trained places; dx = (W + U C V^T)^T dy."""
        x, merged = ctx.saved_tensors
        factors: Factors = ctx.factors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        grad_x = grad_values = None
        if needs_x:
            grad_x = grad @ (merged.T if factors.transposed else merged)
        if needs_values:
            product = (flat.T @ x.reshape(-1, x.shape[-1])) @ factors.basis  # (m, k)
            grad_values = core_gradient(factors.left, product, factors.places)
            grad_values = grad_values.to(ctx.values_dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None


class FactoredLinear(torch.autograd.Function):
    """y = W x + b + U C V^T x."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, weight: Tensor, factors: Factors
    ) -> Tensor:
        """Saves z = V^T x and C; not x. `values` are C's, (k + nnz,)."""
        z = x.reshape(-1, x.shape[-1]) @ factors.basis
        core = core_matrix(values, factors.places, len(factors.basis)).to(x.dtype)
        ctx.save_for_backward(z, core, weight)
        ctx.factors, ctx.values_dtype = factors, values.dtype
        y = linear(x, weight, bias, factors.transposed)
        return y + ((z @ core.T) @ factors.left.T).view(y.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """h = U^T dy; dC = h z^T on the trained places; dx = W^T dy + V C^T h."""
        z, core, weight = ctx.saved_tensors
        factors: Factors = ctx.factors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        h = flat @ factors.left
        grad_x = grad_values = None
        if needs_x:
            grad_x = grad @ (weight.T if factors.transposed else weight)
            grad_x += ((h @ core) @ factors.basis.T).view(grad_x.shape)
        if needs_values:
            grad_values = core_gradient(h, z, factors.places).to(ctx.values_dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None
