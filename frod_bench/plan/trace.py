"""One training step on tensors that have shapes and no values: what it takes of memory and FLOPs.

The step is run by the code that trains; a dispatch mode sees every tensor that it makes. Products
are counted by torch's own rules, which know neither fused attention nor sparse products: so
attention is eager and FRoD's C written out, as it is on an accelerator.
"""

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from frod_bench.frod import FrodLinear, core
from frod_bench.frod.layer import KeptWeight

Batch = dict[str, Tensor]
# A peak that is less than this above the last is not looked at. What is measured on a few layers is
# extrapolated, and what is missed with it.
GROWTH = 1.0005
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Step:
    """One optimizer step of one micro-batch.

    Attributes:
        forward_flops: a multiply-add is two.
        flops: of forward and backward.
        forming_flops: of them, what FRoD forms merged weights with: once for all micro-batches.
        weight_bytes: of parameters and buffers, but for the next.
        factor_bytes: of what FRoD freezes besides the backbone: U, V, lambda_0 and the supports;
            the sparse patterns that a CPU has besides, some 32 bytes a place, are not among them.
        gradient_bytes: of all trained parameters.
        optimizer_bytes: of AdamW's two moments.
        activation_bytes: most that is alive at once besides those, the batch among it, by phase
            (forward, backward, the optimizer's).
        lasting_bytes: of those, what a backward pass does not free: the merged weights that FRoD's
            layers keep, and what hangs on the loss, which the loop holds until there is another.
        phase_bytes: most that is alive at once, all counted, by phase.
    """

    forward_flops: int
    flops: int
    forming_flops: int
    weight_bytes: int
    factor_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: tuple[int, ...]
    lasting_bytes: int
    phase_bytes: tuple[int, ...]

    @property
    def peak_bytes(self) -> int:
        """Most that is alive at once."""
        return max(self.phase_bytes)


def trace_step(
    model: nn.Module,
    make_batch: Callable[[], tuple[Batch, Tensor]],
    *,
    mixed_precision: str,
    accumulates: bool,
    foreach: bool,
) -> Step:
    """Run a step of `model`, which is on the meta device, on fake tensors.

    Where nothing of it is trained that is a forward pass without gradients.

    Args:
        model: is changed: its parameters and buffers become fake ones.
        make_batch: makes the inputs and the labels (B,) of one micro-batch.
        mixed_precision: no, bf16 or fp16.
        accumulates: gradients of earlier micro-batches are alive before this one.
        foreach: the optimizer goes over all parameters at once, as it does on an accelerator.
    """
    with FakeTensorMode(), without_values(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # FRoD's layers ask for data pointers
        materialise(model)
        batch = make_batch()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = used_optimizer(trained, foreach) if trained else None
        moments = [] if optimizer is None else tensors_of(optimizer)
        inputs = [*batch[0].values(), batch[1]]
        standing = [*model.parameters(), *model.buffers(), *moments, *inputs]
        if accumulates:
            standing += [p.grad for p in trained if p.grad is not None]
        else:
            model.zero_grad()
        live = LiveBytes(standing)
        for parameter in () if accumulates else trained:
            parameter.register_post_accumulate_grad_hook(live.note_gradient)
        forward_flops, on_loss = run(model, batch, optimizer, live, mixed_precision)
        merged, factors = merged_bytes(model), factor_bytes(model)
        forming = forming_flops(model)
    if accumulates:
        live.phases[0].add(on_loss)  # the micro-batch before it has a loss too
    return Step(
        forward_flops=forward_flops,
        flops=live.flops,
        forming_flops=forming,
        weight_bytes=sum(map(byte_count, (*model.parameters(), *model.buffers()))) - factors,
        factor_bytes=factors,
        gradient_bytes=sum(map(byte_count, trained)),
        optimizer_bytes=sum(map(byte_count, moments)),
        activation_bytes=tuple(
            phase.activations + sum(map(byte_count, inputs)) for phase in live.phases
        ),
        lasting_bytes=merged + on_loss,
        phase_bytes=tuple(live.standing + phase.made for phase in live.phases),
    )


def used_optimizer(trained: list[nn.Parameter], foreach: bool) -> torch.optim.AdamW:
    """AdamW after a first step, with its moments; the gradients of that step are there too."""
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    optimizer = torch.optim.AdamW(trained, foreach=foreach)
    optimizer.step()
    return optimizer


def tensors_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What it keeps for each parameter."""
    return [tensor for state in optimizer.state.values() for tensor in state.values()]


def run(
    model: nn.Module,
    batch: tuple[Batch, Tensor],
    optimizer: torch.optim.Optimizer | None,
    live: "LiveBytes",
    mixed_precision: str,
) -> tuple[int, int]:
    """The three phases of a step, or the first one alone.

    Returns FLOPs of the first, and the bytes that are alive at the end because the loss is.
    """
    trains = optimizer is not None
    model.train(trains)
    with live:
        with autocast(mixed_precision), torch.set_grad_enabled(trains):
            loss = functional.cross_entropy(model(**batch[0]), batch[1])
        forward_flops = live.flops
        live.next_phase()
        if trains:
            loss.backward()
        live.next_phase()
        if optimizer is not None:
            parameters = optimizer.param_groups[0]["params"]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        gc.collect()
        before = live.now
        del loss
        gc.collect()
    return forward_flops, before - live.now


@dataclass
class Peak:
    """Most bytes that are alive at once in a phase: all that were made, and without gradients."""

    made: int = 0
    activations: int = 0

    def add(self, size: int) -> None:
        """Something of `size` bytes was alive all the while."""
        self.made += size
        self.activations += size


class LiveBytes(TorchDispatchMode):
    """The storages that are made while it is on, and the most of them that are alive at once; FLOPs
    too, because torch's counter keeps the graph alive, and what it holds.

    Attributes:
        standing: bytes of what was there before.
        phases: a peak for each phase so far.
        flops: so far.
        now: bytes that were made and are alive.
    """

    def __init__(self, standing: Sequence[Tensor]) -> None:
        super().__init__()
        self.phases = [Peak()]
        self.now = self._gradients = self.flops = 0
        self._held = {id(s): s for s in (t.untyped_storage() for t in standing)}
        self.standing = sum(storage.nbytes() for storage in self._held.values())
        self._made: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        for tensor in (out,) if isinstance(out, Tensor) else tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        peak = self.phases[-1]
        if self.now > GROWTH * peak.made or self._activations > GROWTH * peak.activations:
            gc.collect()  # fake tensors leave cycles behind, where real ones are gone at once
            peak.made = max(peak.made, self.now)
            peak.activations = max(peak.activations, self._activations)
        return out

    def next_phase(self) -> None:
        """From now on the peak of another phase is looked for."""
        self.phases.append(Peak())

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()  # what was there before is not looked at again and again
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        gc.unfreeze()

    @property
    def _activations(self) -> int:
        return self.now - self._gradients

    def note_gradient(self, parameter: Tensor) -> None:
        """A parameter's gradient is whole."""
        if parameter.grad is not None:
            self._gradients += byte_count(parameter.grad)

    def _see(self, storage: Any) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._held or key in self._made:
            return

        def freed(_: object) -> None:
            self.now -= size
            del self._made[key]

        self.now += size
        self._made[key] = weakref.ref(storage, freed)


def byte_count(tensor: Tensor) -> int:
    """Bytes of a tensor."""
    return tensor.numel() * tensor.element_size()


def forming_flops(model: nn.Module) -> int:
    """FLOPs of the weights that FRoD's layers have merged in the step just done."""
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    with FlopCounterMode(display=False) as counter:
        for one in layers:
            if one._merged is not None:
                one._merged = None  # else it is not formed anew
                one.merged()
    return counter.get_total_flops()


def merged_bytes(model: nn.Module) -> int:
    """Bytes of the merged weights that FRoD's layers keep now."""
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    return sum(byte_count(one._merged.merged) for one in layers if one._merged is not None)


def factor_bytes(model: nn.Module) -> int:
    """Bytes of the buffers of FRoD's layers, what they share counted once."""
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    buffers = [b for one in layers for b in (one.left, one.start, *one.shared.buffers())]
    return sum(map(byte_count, {id(b): b for b in buffers}.values()))


def materialise(model: nn.Module) -> None:
    """Put fake CPU tensors in the place of meta ones, within a `FakeTensorMode`.

    `nn.Module.to_empty` would do so by `_apply`, in which FRoD's layers compare values.
    """
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            empty = torch.empty_strided(
                tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu"
            )
            if isinstance(tensor, nn.Parameter):
                empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
            made[id(tensor)] = empty
        return made[id(tensor)]

    for module in model.modules():
        for held in (module._parameters, module._buffers):
            held |= {name: fake(t) for name, t in held.items() if t is not None}


@contextmanager
def without_values() -> Iterator[None]:
    """FRoD's C is written out, as where torch has no sparse kernels; merged weights are those of
    the values, which cannot be compared and do not change before the optimizer's step; and the
    factors give W, as they do where V is made from the weights (but for `frod_released`, whose
    layers take m k multiply-adds more a token in float32).
    """
    kernels, holds = core.has_sparse_kernels, KeptWeight.holds
    give_weight = FrodLinear._factors_give_weight
    try:
        core.has_sparse_kernels = lambda device, dtype: False  # noqa: ARG005
        KeptWeight.holds = _is_of  # type: ignore[method-assign,assignment]
        FrodLinear._factors_give_weight = lambda self: True  # type: ignore[method-assign] # noqa: ARG005
        yield
    finally:
        core.has_sparse_kernels, KeptWeight.holds = kernels, holds  # type: ignore[method-assign]
        FrodLinear._factors_give_weight = give_weight  # type: ignore[method-assign]


def _is_of(self: KeptWeight, dtype: torch.dtype, *_: Tensor) -> bool:
    """In place of `KeptWeight.holds`."""
    return self.merged.dtype == dtype


def autocast(mixed_precision: str) -> Any:
    """The trainer's autocast, as far as a CPU has it."""
    dtype = AUTOCAST.get(mixed_precision)
    return nullcontext() if dtype is None else torch.autocast("cpu", dtype=dtype)
