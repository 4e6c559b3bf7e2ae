"""The adapted layer, y = W x + U (diag(lambda - lambda_0) + S) V^T x + bias.

With the basis on the outputs, U and V change roles (docs/explanation/method.md, sections 2 and 8).
"""

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from ..common.errors import InputError
from .contraction import (
    FactoredLinear,
    Factors,
    MergedLinear,
    factors_give_weight,
    linear,
    merged_is_cheaper,
    merged_weight,
)
from .core import (
    SharedBasis,
    by_columns,
    float32_is_full,
    is_captured,
    is_recorded,
    moved_wide,
    trained_dtype,
    whole,
)

TORCH_ALIGNMENT = 64  # bytes, of the memory that torch allocates
# Up to this many multiply-adds, a training step forms a weight anew. To find out that the kept one
# is out of date would take as long (0.15 ms on a CPU).
QUICKLY_FORMED = 2**23


class Fingerprint:
    """What a result was computed from: a weight and trained values.

    On a CPU, the trained values and the weight's diagonal are compared, because torch's fused
    optimizers and writes through `.data` do not change version counters. On an accelerator, a
    comparison would wait for the device. There, a change is detected by the steps of any optimizer,
    by the version counters, and by the identity of the tensors: other tensors, such as those that
    `functional_call` passes, may get the addresses of freed ones.
    """

    def __init__(self, weight: Tensor, *trained: Tensor) -> None:
        self.marks, values = _state(weight, trained)
        self.values = [value.clone() for value in values]
        kept = () if compares_values(weight.device) else trained
        self.trained = tuple(map(weakref.ref, kept))  # they may hold a graph

    def fits(self, weight: Tensor, *trained: Tensor) -> bool:
        """Whether nothing has changed."""
        marks, values = _state(weight, trained)
        are_same = all(ref() is one for ref, one in zip(self.trained, trained, strict=False))
        return are_same and marks == self.marks and all(map(torch.equal, self.values, values))


def compares_values(device: torch.device) -> bool:
    """Whether values are compared to find out whether they changed."""
    return device.type == "cpu"


Grids = frozenset[torch.dtype]


def grids_of(weight: Tensor, before: Grids = frozenset()) -> Grids:
    """Return the types of half precision that represent every value of a wider W exactly.

    There is one e.g. if a checkpoint in half precision was read into float32. Rounding W + U C V^T
    to that type then loses as much as it would with a W in half precision. Returns `before` if this
    process does not have the values of W.
    """
    weight = weight.detach()
    if weight.is_meta or isinstance(weight, DTensor):
        return before
    if weight.dtype.itemsize < torch.float32.itemsize:
        return frozenset()

    def has_all(dtype: torch.dtype) -> bool:
        parts = weight[:1], weight  # the first row rules out nearly every other W
        return all(torch.equal(part, part.to(dtype).to(part.dtype)) for part in parts)

    return frozenset(filter(has_all, (torch.bfloat16, torch.float16)))


_steps = Counter(taken=0, captured=0)  # by all optimizers in this process


@register_optimizer_step_post_hook
def _count_step(*_: object) -> None:
    """Count a step, and whether a CUDA graph captured it: replays of that one call no hook."""
    _steps.update(taken=1, captured=not torch.compiler.is_compiling() and is_captured())


def _state(weight: Tensor, trained: Sequence[Tensor]) -> tuple[tuple[int, ...], list[Tensor]]:
    """Return the addresses, versions and steps of a `Fingerprint`, and the values to compare."""
    if compares_values(weight.device):
        values = [weight.detach().diagonal(), *(one.detach() for one in trained)]
        return _address_and_version(weight), values
    marks = [mark for tensor in (weight, *trained) for mark in _address_and_version(tensor)]
    return (*marks, _steps["taken"] if trained else 0), []


def _address_and_version(tensor: Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


class FrodLinear(nn.Module):
    """A frozen linear layer with a trained change of its weight (FRoD, arXiv 2512.23485).

    The layer adds a change to W x, unlike the paper's y = U (diag(lambda) + S) V^T x. Its output
    before the first step is therefore that of the plain layer, bit for bit in every type. Of
    lambda, the difference from lambda_0 is trained. It starts at an exact 0 in every type, and
    weight decay draws it back to the start (see `decay_to_zero`). The trained values are float32 or
    wider, whatever the type of the base, also after the model is cast.

    Attributes:
        base_layer: nn.Linear or transformers' Conv1D with W, (m, k), which is never written to.
        shared: V and the support, one object per category.
        transposed: whether the plain layer stores its weight as (k, m).
        in_features: k.
        out_features: m.
        delta: lambda - lambda_0, (r,), trained, initialized to 0.
        rotation: S on its sorted support, (nnz,), trained, initialized to 0.
        held_U: U, (m, k), or (k, m) if V is on the outputs; in the type of the base. None if it is
            computed from the category's P when it is needed (`U`).
        lambda_0: (r,), lambda before training.
    """

    held_U: Tensor | None
    lambda_0: Tensor
    entry_scale: Tensor | None

    def __init__(
        self,
        base_layer: nn.Linear,
        shared: SharedBasis,
        U: Tensor | None,
        lambda_0: Tensor,
        transposed: bool,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.shared = shared
        self.transposed = transposed
        weight = self.weight
        self.in_features, self.out_features = weight.shape if transposed else weight.shape[::-1]
        lambda_0 = lambda_0.to(weight.device, trained_dtype(weight.dtype))
        held_U = None if U is None else by_columns(U.to(weight))
        self.register_buffer("held_U", held_U, persistent=False)
        self.register_buffer("lambda_0", lambda_0, persistent=False)
        entry_scale = None
        if U is None:  # 1 / lambda_0 for each trained entry of C, by its row
            entry_scale = lambda_0.reciprocal()[shared.pattern.indices // shared.width]
        self.register_buffer("entry_scale", entry_scale, persistent=False)
        self.delta = nn.Parameter(torch.zeros_like(lambda_0))
        self.rotation = nn.Parameter(lambda_0.new_zeros(len(shared.support)))
        self._kept: dict[str, tuple[Tensor, Fingerprint]] = {}  # what is formed once a step
        self._stacked: tuple[Tensor, Fingerprint] | None = None  # stays until W changes
        self._has_moved, self._steps_before = False, _steps["taken"]
        self.training = base_layer.training
        self._given, self._grids = self._weight_that_factors_give(), grids_of(self.weight)

    @property
    def weight(self) -> Tensor:
        """Weight of the plain layer, as the layer stores it."""
        return self.base_layer.weight

    @property
    def bias(self) -> Tensor | None:
        """Bias of the plain layer."""
        return self.base_layer.bias

    @property
    def lambda_(self) -> Tensor:
        """lambda = lambda_0 + delta, (r,); a new tensor, whole if FSDP2 shards delta (`whole`)."""
        return self.lambda_0 + whole(self.delta)

    def forward(self, x: Tensor) -> Tensor:
        """Compute y = W x + U C V^T x + b, (..., k) -> (..., m), in a form that is exact and cheap.

        The forms differ by rounding only (docs/explanation/method.md, section 2).
        """
        weight, bias = self.weight, self.bias
        dtype = weight.dtype
        is_half, is_on_inputs = self.is_half, self.is_on_inputs
        if torch.is_autocast_enabled(x.device.type) and dtype != torch.float64:  # as torch does
            dtype = torch.get_autocast_dtype(x.device.type)
            is_half |= dtype in self._grids
            x, bias = x.to(dtype), None if bias is None else bias.to(dtype)
        is_evaluation = not (self.training or torch.is_grad_enabled())
        values = self._core_values()
        if is_evaluation and not is_half and not is_recorded():
            merged = self._formed_once("merged", dtype, values)
            return linear(x, merged, bias, self.transposed)  # (W + U C V^T) x
        if is_on_inputs and dtype == weight.dtype and not is_half:
            return linear(self._changed_inputs(x, values), weight, bias, self.transposed)
        merges, spares_weight = (False, False) if is_half else self._choose_form(x, dtype)
        factors = self._factors(dtype, self.lambda_0 if spares_weight else None)
        if merges:  # (W + U C V^T) x
            merged = self._formed_once("merged", dtype, values)
            return MergedLinear.apply(x, values, bias, merged, factors)
        if not is_recorded():
            self._kept.pop("merged", None)  # what an evaluation formed
        return FactoredLinear.apply(x, values, bias, weight, factors)  # W x + U C V^T x

    @property
    def U(self) -> Tensor:
        """U, in the type of the base; computed unless the layer holds it."""
        held_U = self.held_U
        if held_U is not None:
            return held_U
        assert self.shared.P is not None
        if self.is_half:
            raise InputError(
                f"W of a layer of {self.shared.category!r} was cast to {self.weight.dtype} by a "
                "wrapper (e.g. FSDP2's param_dtype), and the layer holds no U. Call hold_U() of "
                "every FrodLinear before wrapping the model, or cast the model before attaching."
            )
        device = self.weight.device.type
        with torch.no_grad(), torch.inference_mode(False), torch.autocast(device, enabled=False):
            P, weight = self.shared.P, whole(self.weight.detach())
            if P.is_meta:  # the category has moved there, and this layer follows
                weight = weight.to(P.device)
            P, lambda_0 = P.to(weight), self.lambda_0.to(weight)
            weight = weight.T if self.transposed else weight
            return (P.T @ weight.T).T / lambda_0

    @property
    def is_on_inputs(self) -> bool:
        """Whether a step computes W (x + E x), with E (k, k); it does if the layer holds no U."""
        return self.held_U is None

    def hold_U(self) -> None:
        """Compute U now and keep it: before W changes, or is cast by a wrapper."""
        if self.held_U is None:
            self.held_U, self.entry_scale = by_columns(self.U), None
            self._forget()

    @property
    def is_half(self) -> bool:
        """Whether W is in half precision, where W + U C V^T would round small changes away."""
        return self.weight.dtype.itemsize < torch.float32.itemsize

    def _choose_form(self, x: Tensor, dtype: torch.dtype) -> tuple[bool, bool]:
        """Return whether to merge, and if not, whether the backward pass does without W.

        W is compared only if the result can matter. If merging is cheaper than the factored form
        that does without W, it is also cheaper than the factored form that uses W.
        """
        width, shared = self.in_features, self.shared
        counts = x.numel() // width, self.out_features, width, shared.width
        sparse = shared.pattern.is_sparse_on(x.device, dtype)
        merges = merged_is_cheaper(*counts, sparse=sparse, spares_weight=True)
        spares_weight = not merges and self._spares_weight(dtype)
        if not merges and not spares_weight:
            merges = merged_is_cheaper(*counts, sparse=sparse, spares_weight=False)
        return merges, spares_weight

    def merged(self) -> Tensor:
        """Return the adapted weight as the plain layer stores it.

        It is kept until W or a trained value changes (see `Fingerprint`). A graph cannot branch on
        values and forms the weight in every call.
        """
        return self._formed_once("merged", self.weight.dtype, self._core_values())

    def _changed_inputs(self, x: Tensor, values: Tensor) -> Tensor:
        """Return x + E x with E = P diag(lambda_0)^-1 C V^T; the layer is W (x + E x)."""
        factors, scaled = self._factors_of_change(values)
        if x.numel() > 2 * self.in_features**2:  # 3 T k^2 + 2 k^3 multiply-adds instead of 4 T k^2
            change = self._formed_once("change", self.weight.dtype, values)
            return MergedLinear.apply(x, scaled, None, change, factors)
        if not is_recorded():
            self._kept.clear()  # what an evaluation formed
        return FactoredLinear.apply(x, scaled, None, None, factors)

    def _factors_of_change(self, values: Tensor) -> tuple[Factors, Tensor]:
        """Return the frozen parts of E, P and V, and the entries of diag(lambda_0)^-1 C."""
        shared = self.shared
        assert shared.P is not None
        assert self.entry_scale is not None
        factors = Factors(shared.P, shared.V, shared.pattern, False, on_identity=True)
        return factors, values * self.entry_scale

    def _formed_once(self, what: str, dtype: torch.dtype, values: Tensor) -> Tensor:
        """Return the merged weight or E, kept until W or a trained value changes."""
        weight, values = self.weight.detach(), values.detach()
        compares = compares_values(weight.device)
        is_replayed = _steps["captured"] > 0 and not compares  # then values change unnoticed
        if (is_recorded() or is_replayed) or (
            self.training
            and compares
            and weight.numel() * self.shared.width <= QUICKLY_FORMED
            and weight.data_ptr() % TORCH_ALIGNMENT == 0
            and torch.is_grad_enabled()
        ):
            return self._form(what, dtype, values)
        sources = (weight, values) if compares else (weight, self.delta, self.rotation)
        if what in self._kept:
            formed, formed_from = self._kept[what]
            if formed.dtype == dtype and formed_from.fits(*sources):
                return formed
        # An inference tensor could not be saved for a later backward pass.
        with torch.inference_mode(False):
            # Some products round differently if W is not aligned as torch aligns its own memory,
            # e.g. in a view into a checkpoint file. Before the first step W itself is then kept.
            is_aligned = weight.data_ptr() % TORCH_ALIGNMENT == 0 or self.weight.is_inference()
            is_aligned |= not compares
            is_kept = what == "merged" and not is_aligned and not bool(values.any())
            formed = weight.to(dtype) if is_kept else self._form(what, dtype, values)
            self._kept = {what: (formed, Fingerprint(*sources))}
        return formed

    @torch.no_grad()
    def _form(self, what: str, dtype: torch.dtype, values: Tensor) -> Tensor:
        weight = self.weight
        with torch.autocast(weight.device.type, enabled=False):
            if what == "merged" and not (self.is_on_inputs and dtype == weight.dtype):
                return merged_weight(weight, values, self._factors(weight.dtype), dtype)
            factors, scaled = self._factors_of_change(values)
            right = factors.pattern.times(scaled, factors.right.T)
            change = factors.left @ right  # E, (k, k)
            if what == "change":
                return change
            pair = (change.T, weight) if self.transposed else (weight, change)
            return torch.addmm(weight, *pair)

    def _spares_weight(self, dtype: torch.dtype) -> bool:
        """Whether the factors can replace W in the backward pass (method.md, section 2)."""
        if is_recorded() or dtype != self.weight.dtype or self._given is None:
            return False  # a graph cannot compare values, nor ask for the precision
        is_full = dtype == torch.float64 or float32_is_full(self.weight.device)
        return is_full and self._given.fits(self.weight)

    def _weight_that_factors_give(self) -> Fingerprint | None:
        """Return W's fingerprint if the factors give it, tested when attached or moved."""
        weight = self.weight.detach()
        if self.is_half or self.is_on_inputs:
            return None
        if not weight.is_meta:  # on the meta device, the factors are assumed to give W
            factors = self._factors(weight.dtype)
            if not factors_give_weight(weight, factors, self.lambda_0.to(weight.dtype)):
                return None
        return Fingerprint(weight)

    def _factors(self, dtype: torch.dtype, lambda_0: Tensor | None = None) -> Factors:
        shared = self.shared
        V, scale = shared.V_in(dtype)
        if dtype != self.weight.dtype and not is_recorded():
            self.hold_U()  # half precision needs it at every step
        left, right = (V, self.U) if shared.on_outputs else (self.U, V)
        rounds_once = dtype.itemsize < torch.float32.itemsize and not self._is_at_start()
        factors = Factors(
            left, right, shared.pattern, self.transposed, lambda_0, scale, rounds_once=rounds_once
        )
        return factors._replace(stacked=self._stacked_once(factors, dtype))

    def _stacked_once(self, factors: Factors, dtype: torch.dtype) -> Tensor | None:
        """Return [W, U] in autocast's type on a CPU, kept until W changes.

        On a CPU, a cast takes as long as a product. Elsewhere memory matters more: then None is
        returned, and each pass casts W and U.
        """
        weight = self.weight.detach()
        if (
            dtype == weight.dtype
            or weight.device.type != "cpu"
            or not factors.rounds_once
            or self.shared.on_outputs
            or isinstance(weight, DTensor)
            or is_recorded()
        ):
            return None
        kept = self._stacked
        if kept is None or kept[0].dtype != dtype or not kept[1].fits(weight):
            with torch.inference_mode(False), torch.no_grad():  # a later step may save it
                kept = self._stacked = factors.stack(weight, dtype), Fingerprint(weight)
        return kept[0]

    def _is_at_start(self) -> bool:
        """Whether C is still 0: the output is then the plain layer's, bit for bit.

        On a CPU the values are read until they have changed once, and never again. On an
        accelerator, C counts as changed after a step of any optimizer, or if a version counter has
        changed.
        """
        if is_recorded() or self._has_moved:
            return False
        if compares_values(self.delta.device):
            self._has_moved = bool(self._core_values().detach().any())
        else:
            versions = [_address_and_version(one)[1] for one in (self.delta, self.rotation)]
            self._has_moved = any(versions) or _steps["taken"] != self._steps_before
        return not self._has_moved

    def _core_values(self) -> Tensor:
        """Trained entries of C = diag(lambda - lambda_0) + S; exactly 0 before the first step."""
        return torch.cat([self.delta, self.rotation])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FrodLinear":
        """Move or cast; trained values and lambda_0 remain float32 or wider."""
        if fn(self.weight.detach()[:0]).dtype.itemsize < torch.float32.itemsize:
            self.hold_U()
        if recurse:
            for child in self.children():
                child._apply(fn)

        def move(tensor: Tensor) -> Tensor:
            return fn(tensor) if tensor is self.held_U else moved_wide(fn, tensor)

        self._forget()
        super()._apply(move, recurse=False)
        self._given = self._weight_that_factors_give()
        self._grids = grids_of(self.weight, self._grids)
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Load, also what earlier versions saved: lambda instead of its difference."""
        old = state_dict.pop(f"{prefix}lambda_", None)
        if old is not None:
            lambda_0 = self.lambda_0
            is_lambda = old.shape == lambda_0.shape  # if not, torch reports the sizes
            state_dict[f"{prefix}delta"] = old.to(lambda_0) - lambda_0 if is_lambda else old
        own, other = self.weight, state_dict.get(f"{prefix}base_layer.weight")
        if self.is_on_inputs and other is not None:
            has_values = not own.is_meta and not other.is_meta and own.dtype == other.dtype
            if not (has_values and torch.equal(other.to(own.device), own)):
                self.hold_U()  # U is that of the weight that the adapter was attached to
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if {f"{prefix}delta", f"{prefix}rotation"} & set(state_dict):
            self.values_were_written()
        if isinstance(other, Tensor):  # it is loaded after this
            self._grids = grids_of(other, self._grids)

    def values_were_written(self) -> None:
        """Forget what was formed from the trained values: they were written in a way that no step
        and no version counter shows, as into the shards of FSDP or by another parameter.
        """
        self._kept = {}
        if not compares_values(self.delta.device):
            self._has_moved = True

    def __getstate__(self) -> dict[str, Any]:
        given = self._given is not None and self._given.fits(self.weight)
        moved = self._has_moved or not (is_recorded() or self._is_at_start())
        # A copy forms its own tensors. But only this layer knows whether the factors give W, and
        # whether C has changed.
        return self.__dict__ | {"_kept": {}, "_stacked": None, "_given": given, "_has_moved": moved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._steps_before = _steps["taken"]
        self._given = Fingerprint(self.weight.detach()) if state["_given"] is True else None

    def _replicate_for_data_parallel(self) -> "FrodLinear":
        replica: FrodLinear = super()._replicate_for_data_parallel()
        replica._forget()
        return replica

    def _forget(self) -> None:
        """Drop what was formed from W, U and the trained values."""
        self._kept, self._stacked = {}, None

    def extra_repr(self) -> str:
        return f"category={self.shared.category!r}, nnz={self.rotation.numel()}"
