"""Memory and FLOPs of one training step, run on tensors that have shapes and no values.

The step runs the code that trains, and a dispatch mode sees every tensor that it makes. FLOPs are
counted by torch's own formulas, which cover neither fused attention nor sparse products: so
attention is eager and FRoD's C written out, as it is on an accelerator.
"""

import gc
import warnings
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from frod_bench.frod import FrodLinear
from frod_bench.plan.shapes import Options

Batch = dict[str, Tensor]
# Garbage is collected only before a new peak that exceeds the last one by this factor. The factor
# is near 1 because the numbers of a few layers are extrapolated, and with them a missed peak.
GROWTH = 1.0005
# torch counts no products that are added in place, as FRoD's factored form adds them.
flop_registry.setdefault(torch.ops.aten.addmm_, flop_registry[torch.ops.aten.addmm])
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Load:
    """What a step is run on."""

    rows: int  # of one micro-batch
    mixed_precision: str  # no, bf16 or fp16
    accumulates: bool  # whether other micro-batches come before it in the step
    on_accelerator: bool  # on a CPU the optimizer updates one parameter after another
    options: Options | None = None  # that a row ranks; None if rows are classified
    checkpointing: bool = False  # whether activations are computed again in the backward pass


@dataclass(frozen=True)
class Step:
    """Cost of one optimizer step with one micro-batch; phases: forward, backward, optimizer.

    A multiply-add counts as two FLOPs. Lasting is what a backward pass does not free: FRoD's merged
    weights, and what the loss refers to, which the loop holds until the next one. A CPU's sparse
    patterns, about 32 bytes per trained place, are left out.
    """

    forward_flops: int
    flops: int  # of forward and backward pass
    forming_flops: int  # the part that forms FRoD's merged weights, once for all micro-batches
    weight_bytes: int  # of parameters and buffers, without `factor_bytes`
    factor_bytes: int  # of what FRoD freezes besides the backbone: U, V, lambda_0, supports
    gradient_bytes: int  # of all trained parameters
    optimizer_bytes: int  # of AdamW's two moments
    activation_bytes: tuple[int, ...]  # peak of everything else, the batch included, by phase
    lasting_bytes: int  # the part of it that lasts
    phase_bytes: tuple[int, ...]  # peak of all together, by phase

    @property
    def peak_bytes(self) -> int:
        """Peak over the phases."""
        return max(self.phase_bytes)


def trace_step(
    model: nn.Module, make_batch: Callable[[], tuple[Batch, Tensor]], load: Load
) -> Step:
    """Run a step of `model` on fake tensors, which replace its tensors on the meta device.

    `make_batch` returns the inputs and the labels (B,) of one micro-batch. If nothing of the model
    is trained, the step is a forward pass without gradients.
    """
    with FakeTensorMode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # FRoD's layers ask for data pointers
        materialise(model)
        batch = make_batch()
        layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
        for one in layers if load.mixed_precision != "no" else ():
            one.hold_U()  # as the first step of a run does
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, foreach=load.on_accelerator) if trained else None
        if optimizer is not None:  # a first step, so that moments exist
            for parameter in trained:
                parameter.grad = torch.empty_like(parameter)
            optimizer.step()
        states = optimizer.state.values() if optimizer else ()
        moments = [tensor for state in states for tensor in state.values()]
        inputs = [*batch[0].values(), batch[1]]
        weights = [*model.parameters(), *model.buffers()]
        existing = [*weights, *moments, *inputs]
        if load.accumulates:
            existing += [p.grad for p in trained if p.grad is not None]
        else:
            model.zero_grad()
        live = LiveBytes(existing)
        for parameter in () if load.accumulates else trained:
            parameter.register_post_accumulate_grad_hook(live.note_gradient)
        forward_flops, loss_bytes = _run(model, batch, optimizer, live, load.mixed_precision)
        merged = sum(byte_count([kept]) for one in layers for kept, _ in one._kept.values())
        factors = byte_count(
            b for one in layers for b in (*one.buffers(recurse=False), *one.shared.buffers())
        )
        with FlopCounterMode(display=False) as forming:
            for one in layers:
                for what, (kept, _) in list(one._kept.items()):
                    one._kept.clear()  # so that it is formed again
                    one._formed_once(what, kept.dtype, one._core_values())
    if load.accumulates:  # the loss of the micro-batch before is alive, too
        live.peaks[0] += loss_bytes
        live.activation_peaks[0] += loss_bytes
    return Step(
        forward_flops=forward_flops,
        flops=live.flops,
        forming_flops=forming.get_total_flops(),
        weight_bytes=byte_count(weights) - factors,
        factor_bytes=factors,
        gradient_bytes=byte_count(trained),
        optimizer_bytes=byte_count(moments),
        activation_bytes=tuple(peak + byte_count(inputs) for peak in live.activation_peaks),
        lasting_bytes=merged + loss_bytes,
        phase_bytes=tuple(live.existing + peak for peak in live.peaks),
    )


def _run(
    model: nn.Module,
    batch: tuple[Batch, Tensor],
    optimizer: torch.optim.Optimizer | None,
    live: "LiveBytes",
    mixed_precision: str,
) -> tuple[int, int]:
    """Return FLOPs of the forward pass, and the bytes that the loss keeps alive until the end."""
    trains = optimizer is not None
    autocast = torch.autocast(
        "cpu", AUTOCAST.get(mixed_precision), enabled=mixed_precision in AUTOCAST
    )
    model.train(trains)
    with live:
        with autocast, torch.set_grad_enabled(trains):
            loss = functional.cross_entropy(model(**batch[0]), batch[1])
        forward_flops = live.flops
        live.start_phase()
        if trains:
            loss.backward()
        live.start_phase()
        if optimizer is not None:
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
            optimizer.step()
        gc.collect()
        before = live.now
        del loss
        gc.collect()
    return forward_flops, before - live.now


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages that are made while it is active, and FLOPs.

    FLOPs are counted here, because torch's counter keeps the graph, and so its tensors, alive.
    `existing` is what existed before, `now` what was made and is alive.
    """

    def __init__(self, existing: Iterable[Tensor]) -> None:
        super().__init__()
        self.peaks, self.activation_peaks = [0], [0]  # by phase; the latter without gradients
        self.now = self.flops = self._gradients = 0
        self._existing = {id(s): s for s in (t.untyped_storage() for t in existing)}
        self.existing = sum(storage.nbytes() for storage in self._existing.values())
        self._made: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._watch(tensor.untyped_storage())
        activations = self.now - self._gradients
        if self.now > GROWTH * self.peaks[-1] or activations > GROWTH * self.activation_peaks[-1]:
            gc.collect()  # fake tensors are in reference cycles, unlike real ones
            self.peaks[-1] = max(self.peaks[-1], self.now)
            activations = self.now - self._gradients
            self.activation_peaks[-1] = max(self.activation_peaks[-1], activations)
        return out

    def __enter__(self) -> Self:
        gc.freeze()  # collections skip what existed before, and what is garbage of it
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        gc.unfreeze()

    def start_phase(self) -> None:
        """Look for the peak of another phase from now on."""
        self.peaks.append(0)
        self.activation_peaks.append(0)

    def note_gradient(self, parameter: Tensor) -> None:
        """Count a parameter's gradient, which is complete, as such."""
        if parameter.grad is not None:
            self._gradients += byte_count([parameter.grad])

    def _watch(self, storage: Any) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._existing or key in self._made:
            return

        def freed(_: object) -> None:
            self.now -= size
            del self._made[key]

        self.now += size
        self._made[key] = weakref.ref(storage, freed)


def byte_count(tensors: Iterable[Tensor]) -> int:
    """Bytes of the tensors, each counted once."""
    return sum(t.nbytes for t in {id(t): t for t in tensors}.values())


def materialise(model: nn.Module) -> None:
    """Replace meta tensors by fake CPU ones: `to_empty` without FRoD's comparison of values."""
    made: dict[int, Tensor] = {}

    def fake(tensor: Tensor) -> Tensor:
        if id(tensor) not in made:
            shape, stride = tensor.size(), tensor.stride()
            empty = torch.empty_strided(shape, stride, dtype=tensor.dtype, device="cpu")
            if isinstance(tensor, nn.Parameter):
                empty = nn.Parameter(empty, requires_grad=tensor.requires_grad)
            made[id(tensor)] = empty
        return made[id(tensor)]

    for module in model.modules():
        for held in (module._parameters, module._buffers):
            held |= {name: fake(t) for name, t in held.items() if t is not None}
