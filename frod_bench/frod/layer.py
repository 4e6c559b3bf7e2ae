"""The adapted layer: y = W x + U (diag(lambda - lambda_0) + S) V^T x + bias.

On the outputs V and U change places: y = W x + V (diag(lambda - lambda_0) + S) U^T x + bias.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .config import FrodConfig
from .contraction import (
    FactoredLinear,
    Factors,
    MergedLinear,
    factors_give_weight,
    linear,
    merged_is_cheaper,
    merged_weight,
)
from .core import CorePattern, by_columns, float32_is_full
from .sharing import held_once

TORCH_ALIGNMENT = 64  # bytes, of all memory that torch allocates


class SharedBasis(nn.Module):
    """What the layers of one category share: V, and where C is trained. Held once.

    It is a child of every layer of its category, the same object, so that moving, copying or
    pickling the model keeps one copy; its buffers are not in the state dict. Models that are
    adapted apart but over equal weights hold the same V, also after the same moves and casts. A
    deep copy or a pickle has a V of its own until it is next moved or cast.
    """

    basis: Tensor

    def __init__(
        self,
        category: str,
        config: FrodConfig,
        basis: Tensor,
        support: Tensor,
        *,
        on_outputs: bool = False,
    ) -> None:
        """
        Args:
            category: the role its layers play.
            config: the settings it was made with.
            basis: V, (r, r), in the base's type.
            support: sorted places row * r + column of S, int64 (nnz,).
            on_outputs: V is on the layers' outputs, so that r is m and W = V diag(lambda) U^T,
                and not on their inputs, where r is k and W = U diag(lambda) V^T.
        """
        super().__init__()
        self.category = category
        self.config = config
        self.on_outputs = on_outputs
        self.register_buffer("basis", held_once(by_columns(basis)), persistent=False)
        self.pattern = CorePattern(len(basis), support).to(basis.device)

    @property
    def width(self) -> int:
        """r."""
        return self.basis.shape[0]

    @property
    def support(self) -> Tensor:
        """Sorted places row * r + column of S, int64 (nnz,)."""
        return self.pattern.places[self.width :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SharedBasis":
        """Move or cast; what comes of V is shared with other models that did the same."""
        before = self.basis
        super()._apply(fn, recurse)
        if self.basis is not before:
            self.basis = held_once(self.basis)
        return self

    def extra_repr(self) -> str:
        return f"category={self.category!r}, width={self.width}"


@dataclass(frozen=True)
class WeightMark:
    """What tells W from what a write makes of it: its place, its version, and its diagonal.

    A version counter stays where it is when W is written through `.data`.
    """

    place: int
    version: int
    diagonal: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> "WeightMark":
        """The mark of W as it is now."""
        return cls(*_counted(weight), weight.detach().diagonal().clone())

    def fits(self, weight: Tensor) -> bool:
        """Whether W is as it was."""
        if (self.place, self.version) != _counted(weight):
            return False
        return torch.equal(self.diagonal, weight.detach().diagonal())


@dataclass(frozen=True)
class KeptWeight:
    """A merged weight, and what it was formed from."""

    merged: Tensor
    mark: WeightMark
    lambda_: Tensor
    rotation: Tensor

    def holds(self, dtype: torch.dtype, weight: Tensor, lambda_: Tensor, rotation: Tensor) -> bool:
        """Whether it is what would be formed now."""
        return (
            self.merged.dtype == dtype
            and self.mark.fits(weight)
            and self.lambda_.device == lambda_.device
            and torch.equal(self.lambda_, lambda_)
            and torch.equal(self.rotation, rotation)
        )


class FrodLinear(nn.Module):
    """A frozen linear layer, and the trained change of its weight (FRoD, arXiv 2512.23485).

    Written as a change, unlike y = U (diag(lambda) + S) V^T x, so that before the first step the
    output is the plain layer's bit for bit in every type. lambda and S are float32 at least,
    whatever the base's type, and stay so when the model is cast.

    Attributes:
        base_layer: the plain layer, W (m, k); never written to.
        shared: V and the support, one for the category.
        lambda_: (r,), trained, starts at lambda_0.
        rotation: S on its sorted support, (nnz,), trained, starts at 0.
        left: U, (m, k), or (k, m) where V is on the outputs; in the base's type.
        start: lambda_0, (r,).
    """

    left: Tensor
    start: Tensor

    def __init__(
        self,
        base_layer: nn.Module,
        shared: SharedBasis,
        left: Tensor,
        scale: Tensor,
        transposed: bool,
    ) -> None:
        """
        Args:
            base_layer: nn.Linear, or transformers' Conv1D.
            left: U, (m, k), or (k, m) where V is on the outputs.
            scale: lambda_0, (r,).
            transposed: the weight is stored (k, m).
        """
        super().__init__()
        self.base_layer = base_layer
        self.shared = shared
        self.transposed = transposed
        weight = self.weight
        start = scale.to(weight.device, _trained_dtype(weight.dtype))
        left = by_columns(left.to(weight))
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("start", start, persistent=False)
        self.lambda_ = nn.Parameter(start.clone())
        self.rotation = nn.Parameter(start.new_zeros(len(shared.pattern.places) - shared.width))
        self._merged: KeptWeight | None = None
        self._verdict: tuple[WeightMark, bool] | None = None  # whether the factors give which W
        self.training = base_layer.training

    @property
    def weight(self) -> Tensor:
        """The plain layer's weight, as it stores it."""
        return self.base_layer.weight  # type: ignore[return-value]

    @property
    def bias(self) -> Tensor | None:
        """The plain layer's bias."""
        return self.base_layer.bias  # type: ignore[return-value]

    @property
    def in_features(self) -> int:
        """k."""
        return self.left.shape[0 if self.shared.on_outputs else 1]

    @property
    def out_features(self) -> int:
        """m."""
        return self.left.shape[1 if self.shared.on_outputs else 0]

    def forward(self, x: Tensor) -> Tensor:
        """(..., k) -> (..., m). Which contraction runs changes the result by rounding only."""
        dtype, bias = self.weight.dtype, self.bias
        if torch.is_autocast_enabled(x.device.type) and dtype != torch.float64:  # as torch does
            dtype = torch.get_autocast_dtype(x.device.type)
            x, bias = x.to(dtype), None if bias is None else bias.to(dtype)
        if not torch.is_grad_enabled() and not torch.compiler.is_compiling():
            return linear(x, self.merged(dtype), bias, self.transposed)
        values, width = self._core_values(), self.in_features
        counts = x.numel() // width, self.out_features, width, self.shared.width
        merges = partial(
            merged_is_cheaper, *counts, sparse=self.shared.pattern.is_sparse_on(x.device, dtype)
        )
        # Asked only where it makes a difference.
        spares_weight = not merges(spares_weight=True) and self._spares_weight(dtype)
        # In float16, V^T x may overflow where W x does not.
        if dtype == torch.float16 or merges(spares_weight=spares_weight):
            return MergedLinear.apply(x, values, bias, self.merged(dtype), self._factors(dtype))
        factors = self._factors(dtype, self.start if spares_weight else None)
        return FactoredLinear.apply(x, values, bias, self.weight.to(dtype), factors)

    def merged(self, dtype: torch.dtype | None = None) -> Tensor:
        """The adapted weight as the plain layer stores it, in `dtype` (the base's, if not given).

        Formed once and kept until a value changes: once a step in training, however many
        micro-batches it has, and once in evaluation. The trained values themselves are compared,
        because fused optimizers and `tensor.data` change them without a version counter moving.
        A compiled graph can't branch on values, so there it is formed at every call.
        """
        dtype = dtype or self.weight.dtype
        if torch.compiler.is_compiling():
            return self._form_merged(dtype)
        lambda_, rotation = self.lambda_.detach(), self.rotation.detach()
        kept = self._merged
        if kept is None or not kept.holds(dtype, self.weight, lambda_, rotation):
            # An inference tensor could not be saved for a later backward pass.
            with torch.inference_mode(False):
                plain = self.weight.detach().to(dtype) if self._is_plain_and_askew() else None
                merged = self._form_merged(dtype) if plain is None else plain
                mark = WeightMark.of(self.weight)
                kept = KeptWeight(merged, mark, lambda_.clone(), rotation.clone())
            self._merged = kept
        return kept.merged

    def _is_plain_and_askew(self) -> bool:
        """Whether W has to stand for the merged weight, which equals it, to give the same output.

        Before the first step, where W does not begin where torch's own memory does (a checkpoint's
        is a view into its file): some products round by where their operands begin.
        """
        weight = self.weight
        if weight.data_ptr() % TORCH_ALIGNMENT == 0 or weight.is_inference():
            return False
        return not bool(self._core_values().any())

    @torch.no_grad()
    def _form_merged(self, dtype: torch.dtype) -> Tensor:
        with torch.autocast(self.weight.device.type, enabled=False):
            factors = self._factors(self.left.dtype)
            return merged_weight(self.weight, self._core_values(), factors).to(dtype)

    def _spares_weight(self, dtype: torch.dtype) -> bool:
        """Whether the way back may do without W, because the factors give it to roundoff.

        Not where products are rounded to more than that, nor in a compiled graph, which can't
        branch on values.
        """
        if torch.compiler.is_compiling() or dtype != self.weight.dtype:
            return False
        if dtype != torch.float64 and not (dtype == torch.float32 and float32_is_full()):
            return False
        return self._factors_give_weight()

    def _factors_give_weight(self) -> bool:
        """Asked once for each W; taken for granted of one without values."""
        weight = self.weight.detach()
        if weight.is_meta:
            return True
        if self._verdict is None or not self._verdict[0].fits(weight):
            given = factors_give_weight(weight, self._factors(weight.dtype), self.start)
            self._verdict = WeightMark.of(weight), given
        return self._verdict[1]

    def _factors(self, dtype: torch.dtype, start: Tensor | None = None) -> Factors:
        shared = self.shared
        left, right = self.left.to(dtype), shared.basis.to(dtype)
        if shared.on_outputs:
            left, right = right, left
        return Factors(left, right, shared.pattern, self.transposed, start)

    def _core_values(self) -> Tensor:
        """Trained entries of C = diag(lambda - lambda_0) + S; exactly 0 before the first step."""
        return torch.cat([self.lambda_ - self.start, self.rotation])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FrodLinear":
        """Move or cast; what is trained, and lambda_0, are not cast below float32."""
        if recurse:
            for child in self.children():
                child._apply(fn)

        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            dtype = moved.dtype if tensor is self.left else _trained_dtype(moved.dtype)
            return moved if moved.dtype == dtype else tensor.to(moved.device, dtype)

        self._merged = self._verdict = None
        return super()._apply(move, recurse=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_merged": None, "_verdict": None}  # a copy forms its own

    def extra_repr(self) -> str:
        return f"category={self.shared.category!r}, nnz={self.rotation.numel()}"


def _trained_dtype(base: torch.dtype) -> torch.dtype:
    """float32, or the base's type where that is wider."""
    return torch.promote_types(base, torch.float32)


def _counted(tensor: Tensor) -> tuple[int, int]:
    """Place and version, of which most ways of writing to it move one."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version
