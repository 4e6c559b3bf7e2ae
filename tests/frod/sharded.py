"""What each process of the tests of FSDP2 runs; apart, so that a process imports little."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from frod_bench.common.errors import InputError
from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    adapter_probes,
    attach_frod,
    check_adapter_probes,
    decay_to_zero,
    frod_parameters,
    merge_frod,
    save_frod,
    unmerge_frod,
)

from .helpers import Net, gaussian, leave_group

STEPS, MICRO_BATCHES = 3, 2
X, LABELS = gaussian(96, 12, 1), torch.arange(96) % 3
CONFIG = FrodConfig(["up", "down"], sparse_rate=0.1)


def wide_net() -> nn.Module:
    """A model with layers that hold no U: 32 outputs, 12 inputs."""
    return Net(hidden=32)


def layers_of(model: nn.Module) -> list[FrodLinear]:
    return [module for module in model.modules() if isinstance(module, FrodLinear)]


def train(model: nn.Module, x: Tensor, labels: Tensor, *, decay: str = "start") -> list[float]:
    """Three steps of two micro-batches each; returns the loss of each micro-batch."""
    trained = [p for group in frod_parameters(model).values() for p in group]
    optimizer = torch.optim.AdamW(trained, lr=0.02, weight_decay=0.1)
    if decay == "zero":
        decay_to_zero(model, optimizer)
    losses = []
    for _ in range(STEPS):
        for rows in torch.arange(len(x)).chunk(MICRO_BATCHES):
            loss = nn.functional.cross_entropy(model(x[rows]).float(), labels[rows])
            (loss / MICRO_BATCHES).backward()
            losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    return losses


def whole(tensor: Tensor) -> Tensor:
    """A tensor that no process holds a mere part of."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.detach().clone()


def shard(model: nn.Module, by: str, param_dtype: torch.dtype | None) -> None:
    """Shard the blocks of `wide_net`, or each of their adapted layers, and then the rest."""
    policy = MixedPrecisionPolicy(param_dtype=param_dtype)
    parts = model.blocks if by == "block" else layers_of(model)
    for part in parts:  # type: ignore[union-attr]
        fully_shard(part, mp_policy=policy)
    fully_shard(model, mp_policy=policy)


def train_in_both_types(rank: int, processes: int, folder: Path, by: str, decay: str) -> None:
    """Train with float32 and with bfloat16 parameters; the first process leaves what came out."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=processes
    )
    found = {
        name: train_sharded(rank, processes, folder / name, by, param_dtype, decay)
        for name, param_dtype in (("float32", None), ("bfloat16", torch.bfloat16))
    }
    if rank == 0:
        torch.save(found, folder / "found.pt")
    distributed.barrier()
    leave_group()


def train_sharded(
    rank: int, processes: int, folder: Path, by: str, param_dtype: torch.dtype | None, decay: str
) -> dict[str, Any]:
    """Train on every `processes`-th row from `rank` on, and save the adapter into `folder`."""
    model = attach_frod(wide_net(), CONFIG, use_cache=False)
    if param_dtype is not None:
        for layer in layers_of(model):
            layer.hold_U()
    shard(model, by, param_dtype)
    start = model(X).detach().float()
    losses = train(model, X[rank::processes], LABELS[rank::processes], decay=decay)
    trained = {name: whole(p) for name, p in model.named_parameters() if p.requires_grad}
    is_sharded = any(isinstance(p, DTensor) for p in model.parameters())
    with torch.no_grad():
        outputs = model.eval()(X).float()
    found = {"start": start, "losses": losses, "trained": trained, "outputs": outputs}
    save_frod(model, folder)
    probes = adapter_probes(model)
    check_adapter_probes(model, probes)
    refusals = {action.__name__: refusal(action, model) for action in (merge_frod, unmerge_frod)}
    return found | {"is_sharded": is_sharded, "probes": probes, "refusals": refusals}


def refusal(action: Callable[[nn.Module], nn.Module], model: nn.Module) -> str:
    """What `action` says when it refuses the model, which must be as it was; "" if it does not."""
    modules = list(model.modules())
    try:
        action(model)
    except InputError as error:
        assert list(model.modules()) == modules
        return str(error)
    return ""


def loaded_from(state: dict[str, Tensor], folder: Path) -> tuple[nn.Module, nn.Module]:
    """The model that a gathered state gives on one device, saved as an adapter, and merged."""
    model = attach_frod(wide_net(), CONFIG, use_cache=False)
    model.load_state_dict(state, strict=False)
    save_frod(model, folder)
    merged = attach_frod(wide_net(), CONFIG, use_cache=False)
    merged.load_state_dict(state, strict=False)
    return model, merge_frod(merged)
