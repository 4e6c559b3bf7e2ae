"""Two exact ways to compute an adapted layer, and the choice between them.

The layer is y = W x + L C R^T x + b with C = diag(lambda - lambda_0) + S, (r x r). With the basis
on the inputs, as in the paper, L = U, R = V and r = k; on the outputs, L = V, R = U and r = m.
Shapes: T tokens, x (T, k), y (T, m), L (m, r), R (k, r); the values of C are (r + nnz,).
docs/explanation/method.md (section 2) derives both forms and counts their multiply-adds.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .core import CorePattern

# Largest distance of L diag(lambda_0) R^T from W, in units of roundoff of its type, at which it may
# replace W in the backward pass; for the exact basis it is 1 to 7 (docs/explanation/method.md).
MAX_ROUNDOFF = 64


def merged_is_cheaper(
    tokens: int, rows: int, width: int, rank: int, *, sparse: bool, spares_weight: bool
) -> bool:
    """Whether a training step takes fewer multiply-adds merged than factored.

    If it `spares_weight` in the backward pass, the factored form takes T m k fewer. Products with a
    sparse C are small and are ignored. A dense C adds (min(m, k) + n) r^2 to the merged form, where
    n is the number of tokens or weight rows that the gradient is summed over. It adds 3 T r^2 to
    the factored form.
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
    """Whether the merged form sums the gradient of C over tokens instead of weight rows."""
    return tokens * (rank * (rows + width) - rows * width) < rank * rows * width


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, transposed: bool) -> Tensor:
    """Compute a plain layer by its own call; the weight is (k, m) if `transposed`."""
    if not transposed:
        return nn.functional.linear(x, weight, bias)
    flat = x.reshape(-1, x.shape[-1])
    y = torch.mm(flat, weight) if bias is None else torch.addmm(bias, flat, weight)
    return y.view(*x.shape[:-1], weight.shape[1])


class Factors(NamedTuple):
    """Frozen parts of a layer other than its weight.

    Attributes:
        left: L, (m, r).
        right: R, (k, r). L and R are in column-major layout (`by_columns`), in the type of the
            products or of the base. They are cast when they are used; `stacked` is the only copy
            that is kept.
        pattern: which entries of C are trained.
        transposed: whether the layer stores its weight as (k, m).
        lambda_0: (r,), given if L diag(lambda_0) R^T replaces W in the backward pass.
        left_scale: a power of two that L is multiplied by when it is cast.
        on_identity: whether W is the identity: the function returns x + L C R^T x.
        rounds_once: whether W x + L C R^T x is one product, [W, L] [x; C R^T x]. Otherwise W x is
            rounded first. In half precision, a small change that is added to it is then lost.
        stacked: [W, L], (m, k + r), in the type of x, for `rounds_once`. If it is None, every
            forward pass casts W and L and forms it, and every backward pass casts W and L again.
    """

    left: Tensor
    right: Tensor
    pattern: CorePattern
    transposed: bool
    lambda_0: Tensor | None = None
    left_scale: float = 1.0
    on_identity: bool = False
    rounds_once: bool = False
    stacked: Tensor | None = None

    def cast(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return L and R in `dtype`."""
        right = self.right.to(dtype)
        if self.stacked is not None:
            return self.stacked[:, -self.left.shape[1] :], right
        left = self.left.to(dtype)
        return left if self.left_scale == 1 else left * self.left_scale, right

    def stack(self, weight: Tensor, dtype: torch.dtype) -> Tensor:
        """Return [W, L] in `dtype`."""
        if self.stacked is not None:
            return self.stacked
        weight = weight.T if self.transposed else weight
        return torch.cat([weight.to(dtype), self.cast(dtype)[0]], dim=1)


@torch.no_grad()
def factors_give_weight(weight: Tensor, factors: Factors, lambda_0: Tensor) -> bool:
    """Whether L diag(lambda_0) R^T equals W to roundoff, tested on one probe vector.

    False e.g. for a singular V from a file, and for factors that were rounded to another type.
    """
    weight = weight.T if factors.transposed else weight
    steps = torch.arange(1, weight.shape[1] + 1, dtype=weight.dtype, device=weight.device)
    probe = torch.sin(steps * steps)  # entries of mean square 1/2
    error = weight @ probe - factors.left @ (lambda_0 * (factors.right.T @ probe))
    size = torch.linalg.vector_norm(weight) * 0.5**0.5  # expected norm of W p for random rows
    allowed = MAX_ROUNDOFF * torch.finfo(weight.dtype).eps * size
    return bool(torch.linalg.vector_norm(error) <= allowed)


def merged_weight(weight: Tensor, values: Tensor, factors: Factors, dtype: torch.dtype) -> Tensor:
    """Return W + L C R^T in `dtype`, as the layer stores it.

    If W is wider than `dtype` (autocast), the change L C R^T is one product in `dtype`, added to W
    before the sum is rounded. Else the sum is formed in float32 at least and rounded once.
    """
    narrows = dtype.itemsize < weight.dtype.itemsize
    wide = torch.promote_types(values.dtype, weight.dtype)
    is_sparse = factors.pattern.is_sparse_on(weight.device, wide)
    left, right = factors.cast(dtype if narrows and not is_sparse else wide)
    right = right.T
    if left.shape[0] <= right.shape[1]:
        left = factors.pattern.times(values, left.T, transposed=True).T
    else:
        right = factors.pattern.times(values, right)
    change = (right.T, left.T) if factors.transposed else (left, right)
    if narrows:
        return (weight + change[0].to(dtype) @ change[1].to(dtype)).to(dtype)
    return torch.addmm(weight.to(wide), *change).to(dtype)


class MergedLinear(torch.autograd.Function):
    """y = (W + L C R^T) x + b, from the merged weight; on the identity, from L C R^T alone."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any, x: Tensor, values: Tensor, bias: Tensor | None, merged: Tensor, factors: Factors
    ) -> Tensor:
        """Save x and the merged weight, which already contains `values` of C, (r + nnz,)."""
        ctx.save_for_backward(x, merged)
        ctx.factors, ctx.values_dtype = factors, values.dtype
        if factors.on_identity:  # x is added, since 1 + a small entry would lose its digits
            flat = x.reshape(-1, x.shape[-1])
            return torch.addmm(flat, flat, merged.T).view(x.shape)
        return linear(x, merged, bias, factors.transposed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """dC = L^T (dy^T x) R on the trained entries; dx = (W + L C R^T)^T dy.

        dC is summed over tokens or over weight rows, whichever takes fewer multiply-adds.
        """
        factors: Factors = ctx.factors
        x, merged = ctx.saved_tensors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        grad_x = grad_values = None
        if needs_x:
            if factors.on_identity:
                grad_x = torch.addmm(flat, flat, merged).view(grad.shape)
            else:
                grad_x = grad @ (merged.T if factors.transposed else merged)
        if needs_values:
            left, right = (factor.T for factor in factors.cast(flat.dtype))
            inputs = x.reshape(-1, x.shape[-1])
            rank, rows = left.shape
            if sums_over_tokens(flat.shape[0], rows, right.shape[1], rank):
                pair = left @ flat.T, right @ inputs.T  # both (r, T)
            else:
                pair = left, right @ (inputs.T @ flat)  # both (r, m)
            grad_values = factors.pattern.gradient(*pair).to(ctx.values_dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None


class FactoredLinear(torch.autograd.Function):
    """y = W x + b + L C R^T x, from the factors; on the identity, y = x + L C R^T x."""

    @staticmethod
    def forward(  # noqa: PLR0917 -- autograd passes by position
        ctx: Any,
        x: Tensor,
        values: Tensor,
        bias: Tensor | None,
        weight: Tensor | None,
        factors: Factors,
    ) -> Tensor:
        """Save z = R^T x and the values of C, and W (as stored) if the backward pass needs it.

        Unless they are `stacked`, W and L are cast to the type of x here, and again in the backward
        pass.
        """
        right = factors.right.to(x.dtype)
        z = right.T @ x.reshape(-1, x.shape[-1]).T  # (r, T)
        ctx.save_for_backward(z, values, weight if factors.lambda_0 is None else None)
        ctx.factors = factors
        turned = factors.pattern.times(values, z)
        if factors.rounds_once:
            assert weight is not None
            both = torch.cat([x.reshape(-1, x.shape[-1]), turned.T], dim=1)
            y = nn.functional.linear(both, factors.stack(weight, x.dtype), bias)
            return y.view(*x.shape[:-1], y.shape[-1])
        if weight is None:
            y = x.clone(memory_format=torch.contiguous_format)
        else:
            y = linear(x, weight.to(x.dtype), bias, factors.transposed)
        y.view(-1, y.shape[-1]).addmm_(turned.T, factors.cast(x.dtype)[0].T)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """With h = L^T dy: dC = h z^T on the trained entries; dx = W^T dy + R C^T h.

        If the factors replace W: dx = R (diag(lambda) + S)^T h.
        """
        factors: Factors = ctx.factors
        z, values, weight = ctx.saved_tensors
        needs_x, needs_values, needs_bias, *_ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        left, right = factors.cast(flat.dtype)
        h = left.T @ flat.T  # (r, T)
        grad_x = grad_values = None
        if needs_x:
            pattern, lambda_0 = factors.pattern, factors.lambda_0
            if lambda_0 is None:
                if weight is None:
                    grad_x = flat.clone()
                elif factors.stacked is not None:
                    grad_x = flat @ factors.stacked[:, : right.shape[0]]
                else:
                    weight = weight.to(flat.dtype)
                    grad_x = flat @ (weight.T if factors.transposed else weight)
                grad_x.addmm_(pattern.times(values, h, transposed=True).T, right.T)
            else:
                width = lambda_0.shape[0]
                trained = torch.cat([values[:width] + lambda_0, values[width:]])
                grad_x = pattern.times(trained, h, transposed=True).T @ right.T
            grad_x = grad_x.view(*grad.shape[:-1], grad_x.shape[1])
        if needs_values:
            grad_values = factors.pattern.gradient(h, z).to(values.dtype)
        return grad_x, grad_values, flat.sum(dim=0) if needs_bias else None, None, None
