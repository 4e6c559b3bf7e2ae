"""The adapted layer, y = W x + U (diag(lambda - lambda_0) + S) V^T x + bias.

With the basis on the outputs, U and V change roles (docs/explanation/method.md, sections 2 and 8).
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

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

TORCH_ALIGNMENT = 64  # bytes, of the memory that torch allocates

# The basis tensors of all adapted models in this process, by id; removed with their last model.
_bases: WeakValueDictionary[int, Tensor] = WeakValueDictionary()


def _deduplicated(basis: Tensor) -> Tensor:
    """Return `basis`, or an equal tensor that another model holds: V is never written to."""
    if basis.is_meta:
        return basis
    for other in list(_bases.values()):
        is_alike = (other.dtype, other.device) == (basis.dtype, basis.device)
        if is_alike and torch.equal(other, basis):
            return other
    _bases[id(basis)] = basis
    return basis


class SharedBasis(nn.Module):
    """What the layers of one category share, as a child of each: V and the support of S.

    Its buffers are not in the state dict. Models that are adapted separately over equal weights
    hold the same V (docs/explanation/method.md, section 9).

    Attributes:
        category: role of the layers in the model.
        config: settings of the adapter.
        basis: V, (r, r), in the type of the base weights; its width is r.
        on_outputs: whether r = m and W = V diag(lambda) U^T; else r = k and W = U diag(lambda) V^T.
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
        super().__init__()
        self.category = category
        self.config = config
        self.on_outputs = on_outputs
        self.width = len(basis)
        self.register_buffer("basis", _deduplicated(by_columns(basis)), persistent=False)
        self.pattern = CorePattern(len(basis), support).to(basis.device)

    @property
    def support(self) -> Tensor:
        """Sorted flat indices row * r + column of S, int64 (nnz,)."""
        return self.pattern.indices[self.width :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SharedBasis":
        """Move or cast, and share the new V with models that did the same."""
        before = self.basis
        super()._apply(fn, recurse)
        if self.basis is not before:
            self.basis = _deduplicated(self.basis)
        return self

    def extra_repr(self) -> str:
        return f"category={self.category!r}, width={self.width}"


class Fingerprint:
    """What a result was computed from: a weight, and values that are compared as a whole.

    In-place changes of the weight show in its address, version counter or diagonal; writes through
    `.data` leave the counter unchanged.
    """

    def __init__(self, weight: Tensor, *values: Tensor) -> None:
        self.memory = _address_and_version(weight)
        self.values = [value.detach().clone() for value in (weight.diagonal(), *values)]

    def fits(self, weight: Tensor, *values: Tensor) -> bool:
        """Whether nothing has changed."""
        return self.memory == _address_and_version(weight) and all(
            kept.device == value.device and torch.equal(kept, value)
            for kept, value in zip(self.values, (weight.diagonal(), *values), strict=True)
        )


def _address_and_version(weight: Tensor) -> tuple[int, int]:
    return weight.data_ptr(), 0 if weight.is_inference() else weight._version


class FrodLinear(nn.Module):
    """A frozen linear layer with a trained change of its weight (FRoD, arXiv 2512.23485).

    The layer adds a change to W x, unlike the paper's y = U (diag(lambda) + S) V^T x, so that its
    output before the first step is that of the plain layer, bit for bit in every type. lambda and S
    are float32 or wider whatever the type of the base, also after the model is cast.

    Attributes:
        base_layer: nn.Linear or transformers' Conv1D with W, (m, k), which is never written to.
        shared: V and the support, one object per category.
        transposed: whether the plain layer stores its weight as (k, m).
        in_features: k.
        out_features: m.
        lambda_: (r,), trained, initialized to lambda_0.
        rotation: S on its sorted support, (nnz,), trained, initialized to 0.
        left: U, (m, k), or (k, m) if V is on the outputs; in the type of the base.
        start: lambda_0, (r,), the `scale` that the layer is built with.
    """

    left: Tensor
    start: Tensor

    def __init__(
        self,
        base_layer: nn.Linear,
        shared: SharedBasis,
        left: Tensor,
        scale: Tensor,
        transposed: bool,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.shared = shared
        self.transposed = transposed
        shape = left.shape if shared.on_outputs else left.shape[::-1]
        self.in_features, self.out_features = shape
        weight = self.weight
        start = scale.to(weight.device, _trained_dtype(weight.dtype))
        left = by_columns(left.to(weight))
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("start", start, persistent=False)
        self.lambda_ = nn.Parameter(start.clone())
        self.rotation = nn.Parameter(start.new_zeros(len(shared.pattern.indices) - shared.width))
        self._merged: tuple[Tensor, Fingerprint] | None = None
        self._verdict: tuple[Fingerprint, bool] | None = None  # for which W: do factors give it?
        self.training = base_layer.training

    @property
    def weight(self) -> Tensor:
        """Weight of the plain layer, as the layer stores it."""
        return self.base_layer.weight

    @property
    def bias(self) -> Tensor | None:
        """Bias of the plain layer."""
        return self.base_layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Compute (..., k) -> (..., m); the choice of contraction affects rounding only."""
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
        # The probe of the factors is only evaluated if its result can matter.
        spares_weight = not merges(spares_weight=True) and self._spares_weight(dtype)
        # In float16, V^T x can overflow although W x does not.
        if dtype == torch.float16 or merges(spares_weight=spares_weight):
            return MergedLinear.apply(x, values, bias, self.merged(dtype), self._factors(dtype))
        factors = self._factors(dtype, self.start if spares_weight else None)
        return FactoredLinear.apply(x, values, bias, self.weight.to(dtype), factors)

    def merged(self, dtype: torch.dtype | None = None) -> Tensor:
        """Return the adapted weight as the plain layer stores it, in `dtype` or the base's type.

        It is kept until W or a trained value changes. The trained values themselves are compared:
        fused optimizers and `tensor.data` change them without advancing a version counter. A
        compiled graph cannot branch on values and forms the weight in every call.
        """
        dtype = dtype or self.weight.dtype
        if torch.compiler.is_compiling():
            return self._form_merged(dtype)
        sources = self.weight, self.lambda_, self.rotation
        if self._merged is not None:
            merged, formed_from = self._merged
            if merged.dtype == dtype and formed_from.fits(*sources):
                return merged
        # An inference tensor could not be saved for a later backward pass.
        with torch.inference_mode(False):
            weight = self.weight.detach()
            # Some products round differently if W is not aligned as torch aligns its own memory,
            # e.g. in a view into a checkpoint file. Before the first step W itself is then kept.
            is_aligned = weight.data_ptr() % TORCH_ALIGNMENT == 0 or self.weight.is_inference()
            is_kept = not is_aligned and not bool(self._core_values().any())
            merged = weight.to(dtype) if is_kept else self._form_merged(dtype)
            self._merged = merged, Fingerprint(*sources)
        return merged

    @torch.no_grad()
    def _form_merged(self, dtype: torch.dtype) -> Tensor:
        with torch.autocast(self.weight.device.type, enabled=False):
            factors = self._factors(self.left.dtype)
            return merged_weight(self.weight, self._core_values(), factors).to(dtype)

    def _spares_weight(self, dtype: torch.dtype) -> bool:
        """Whether the factors can replace W in the backward pass (method.md, section 2)."""
        if torch.compiler.is_compiling() or dtype != self.weight.dtype:
            return False  # a graph cannot branch on values, nor ask for the precision
        if dtype != torch.float64 and not (dtype == torch.float32 and float32_is_full()):
            return False
        return self._factors_give_weight()

    def _factors_give_weight(self) -> bool:
        """Test the factors once for each W; assumed to be true on the meta device."""
        weight = self.weight.detach()
        if weight.is_meta:
            return True
        if self._verdict is None or not self._verdict[0].fits(weight):
            is_given = factors_give_weight(weight, self._factors(weight.dtype), self.start)
            self._verdict = Fingerprint(weight), is_given
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
        """Move or cast; trained values and lambda_0 remain float32 or wider."""
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
    """Return float32, or the type of the base if that is wider."""
    return torch.promote_types(base, torch.float32)
