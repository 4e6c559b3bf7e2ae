"""What the layers of a category share: V, the support of S, and P if they hold no U."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .config import FrodConfig
from .core import CorePattern, by_columns


class SharedBasis(nn.Module):
    """V and the support of S, as a child of each layer; its buffers are not in the state dict.

    Attributes:
        category: role of the layers in the model.
        config: settings of the adapter.
        basis: V, (r, r), in the type of the base weights; its width is r.
        inverse: P, (r, r), if the layers have no U of their own: U = W P diag(lambda_0)^-1.
        on_outputs: whether r = m and W = V diag(lambda) U^T; else r = k and W = U diag(lambda) V^T.
    """

    basis: Tensor
    inverse: Tensor | None

    def __init__(
        self,
        category: str,
        config: FrodConfig,
        basis: Tensor,
        support: Tensor,
        *,
        inverse: Tensor | None = None,
        on_outputs: bool = False,
    ) -> None:
        super().__init__()
        self.category = category
        self.config = config
        self.on_outputs = on_outputs
        self.width = len(basis)
        self.register_buffer("basis", by_columns(basis), persistent=False)
        inverse = None if inverse is None else by_columns(inverse.to(basis.device))
        self.register_buffer("inverse", inverse, persistent=False)
        self.pattern = CorePattern(len(basis), support).to(basis.device)
        largest = 1.0 if basis.is_meta else float(basis.abs().sum(dim=0, dtype=torch.float32).max())
        self._float16_scale = 2.0 ** math.ceil(math.log2(max(1.0, largest)))
        self._casts: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def basis_in(self, dtype: torch.dtype) -> tuple[Tensor, float]:
        """Return V / scale in `dtype`, cast once for all layers of the category, and the scale.

        In float16, V^T x could overflow although W x does not: the scale is then the power of two
        that bounds V^T x / scale by the largest entry of x. In other types it is 1.
        """
        basis = self.basis
        if dtype == basis.dtype != torch.float16:
            return basis, 1.0
        scale = self._float16_scale if dtype == torch.float16 and not self.on_outputs else 1.0
        if torch.compiler.is_compiling():  # a graph keeps nothing
            return (self.basis / scale).to(dtype), scale
        key = self.basis.device, dtype
        if key not in self._casts:
            with torch.inference_mode(False), torch.no_grad():  # a later step may save it
                self._casts[key] = (self.basis / scale).to(dtype)
        return self._casts[key], scale

    @property
    def support(self) -> Tensor:
        """Sorted flat indices row * r + column of S, int64 (nnz,)."""
        return self.pattern.indices[self.width :]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SharedBasis":
        """Move or cast; P stays float32 or wider: layers that are cast need it for U."""
        self._casts.clear()
        kept = self.inverse
        super()._apply(fn, recurse)
        moved = self.inverse
        if kept is not None and moved is not None and moved.dtype.itemsize < kept.dtype.itemsize:
            self.inverse = kept.to(moved.device, trained_dtype(moved.dtype))
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_casts": {}}

    def extra_repr(self) -> str:
        return f"category={self.category!r}, width={self.width}"


def has_form_on_inputs(config: FrodConfig, weights: Sequence[Tensor], *, on_outputs: bool) -> bool:
    """Whether layers with these W (m, k) do without U: W (x + E x) is then at least as cheap.

    Only with an exact basis on the inputs, and not in half precision, where x + E x would round
    small changes away.
    """
    return (
        not on_outputs
        and config.basis == "exact"
        and all(
            weight.shape[0] > 2 * weight.shape[1]
            and weight.dtype.itemsize >= torch.float32.itemsize
            for weight in weights
        )
    )


def trained_dtype(base: torch.dtype) -> torch.dtype:
    """Return float32, or the type of the base if that is wider."""
    return torch.promote_types(base, torch.float32)
