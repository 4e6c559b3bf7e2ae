"""Two exact ways to run an adapted layer, and the choice between them.

The layer is y = W x + U C V^T x + b with C = diag(lambda - lambda_0) + S, (k x k).

- merged, for many tokens: W + U C V^T is formed once a step, then one ordinary linear layer;
- factored, for few tokens: z = V^T x, then C, then U, on top of the frozen layer.

Each is one autograd function, so that no more than it needs is kept for the backward pass: the
input and the merged weight there, z alone here. Shapes: T tokens, x (T, k), y (T, m), U (m, k),
V (k, k); the values of C are (k + nnz,).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .core import CorePattern


def merged_is_cheaper(tokens: int, rows: int, width: int, *, sparse: bool) -> bool:
    """Whether a training step of the merged form takes fewer multiply-adds than the factored one.

    Counted forward and backward. The merged form pays m k^2 to form the weight and 3 m k a token,
    and min(T, m) k^2 for the gradient of C; the factored form 4 m k + 2 k^2 a token. Products with
    a sparse C are small and left out; where C is not `sparse` they are min(m, k) k^2 +
    min(T, m) k^2, and 3 k^2 a token.
    """
    fewer = min(tokens, rows)
    merged = 3 * tokens * rows * width + (rows + fewer) * width**2
    factored = tokens * (4 * rows * width + 2 * width**2)
    if not sparse:
        merged += (min(rows, width) + fewer) * width**2
        factored += 3 * tokens * width**2
    return merged < factored


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
        left: U, (m, k), in memory column by column: its transpose is contiguous.
        basis: V, (k, k).
        pattern: where C is trained.
        transposed: the layer stores its weight as (k, m).
    """

    left: Tensor
    basis: Tensor
    pattern: CorePattern
    transposed: bool


def merged_weight(weight: Tensor, values: Tensor, factors: Factors) -> Tensor:
    """W + U C V^T as the layer stores it; at least float32 until the sum is rounded to W's type.

    C is applied to the smaller of U and V.
    """
    work = torch.promote_types(values.dtype, weight.dtype)
    left, right = factors.left.to(work), factors.basis.T.to(work)  # (m, k), (k, k)
    if left.shape[0] < left.shape[1]:
        left = factors.pattern.transposed_times(values, left.T).T
    else:
        right = factors.pattern.times(values, right)
    change = (right.T, left.T) if factors.transposed else (left, right)
    return torch.addmm(weight.to(work), *change).to(weight.dtype)


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
        """dC = U^T (dy^T x) V on the trained places; dx = (W + U C V^T)^T dy.

        dC is summed over tokens, or over the layer's rows: over the fewer of them.
        """
        x, merged = ctx.saved_tensors
        factors: Factors = ctx.factors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        grad_x = grad_values = None
        if needs_x:
            grad_x = grad @ (merged.T if factors.transposed else merged)
        if needs_values:
            inputs, left, right = x.reshape(-1, x.shape[-1]), factors.left.T, factors.basis.T
            if len(flat) < left.shape[1]:
                pair = left @ flat.T, right @ inputs.T  # (k, T) both
            else:
                pair = left, right @ (inputs.T @ flat)  # (k, m) both
            grad_values = factors.pattern.gradient(*pair).to(ctx.values_dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None


class FactoredLinear(torch.autograd.Function):
    """y = W x + b + U C V^T x."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, weight: Tensor, factors: Factors
    ) -> Tensor:
        """Saves z = V^T x and C's values; not x."""
        z = factors.basis.T @ x.reshape(-1, x.shape[-1]).T  # (k, T)
        ctx.save_for_backward(z, values, weight)
        ctx.factors = factors
        y = linear(x, weight, bias, factors.transposed)
        turned = factors.pattern.times(values, z)
        y.view(-1, y.shape[-1]).addmm_(turned.T, factors.left.T)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """h = U^T dy; dC = h z^T on the trained places; dx = W^T dy + V C^T h."""
        z, values, weight = ctx.saved_tensors
        factors: Factors = ctx.factors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        h = factors.left.T @ flat.T  # (k, T)
        grad_x = grad_values = None
        if needs_x:
            grad_x = grad @ (weight.T if factors.transposed else weight)
            turned = factors.pattern.transposed_times(values, h)
            grad_x.view(-1, grad_x.shape[-1]).addmm_(turned.T, factors.basis.T)
        if needs_values:
            grad_values = factors.pattern.gradient(h, z).to(values.dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None
