"""Checkpoints of a running cell: tensors as safetensors, the rest as JSON, nothing pickled.

A checkpoint is a folder that appears by one rename, so that a run that dies while writing leaves
the one before it in place. It is checked whole before a value of it is used.

Where several processes train one cell all of them call these functions, one `writes`, and what is
written is what one process alone would write: tensors that FSDP holds in parts are put together.
"""

import json
import logging
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from frod_bench.common import atomic

logger = logging.getLogger(__name__)

TENSORS, STATE = "state.safetensors", "state.json"
BEST = "best.safetensors"  # beside the checkpoints: the parameters of the best step so far


class CheckpointError(ValueError):
    """A checkpoint that does not fit the model, or is not whole."""


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: GradScaler | None,
    *,
    progress: dict[str, Any],
    writes: bool = True,
) -> None:
    """Keep the trained parameters, the state of optimizer and gradient scaler (fp16 has one) and
    `progress`, replacing older ones.
    """
    tensors = _gathered(_trained(model) | optimizer_tensors(optimizer), writes)
    if not writes:
        return
    final = folder / f"step-{step:08d}"
    partial = final.with_name(f"{final.name}.{uuid.uuid4().hex}.part")  # unique to this process
    state = {
        "step": step,
        "scaler": _scaler_state(scaler),
        "tensors": sorted(tensors),
        "progress": progress,
    }
    partial.mkdir(parents=True)
    try:
        save_file(tensors, partial / TENSORS)
        (partial / STATE).write_text(json.dumps(state))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for other in folder.glob("step-*"):
        if other != final:
            shutil.rmtree(other, ignore_errors=True)


def restore(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: GradScaler | None,
    *,
    progress_fields: Iterable[str],
) -> tuple[int, dict[str, Any]] | None:
    """Load the newest usable checkpoint into model, optimizer and scaler.

    Returns its step and its progress, which has exactly `progress_fields`; None, and all is as it
    was, where there is no usable one. An unusable one is told and passed over.
    """
    for checkpoint in sorted(folder.glob("step-*[0-9]"), reverse=True):
        try:
            tensors, state = _read(checkpoint)
            check_parameters(model, tensors)
            _check_optimizer(optimizer, tensors)
            _check_names("scaler", state["scaler"], _scaler_state(scaler))
            _check_names("progress", state["progress"], progress_fields)
            if state["progress"].get("best") is not None:  # it is put back when the run ends
                check_parameters(model, load_file(folder / BEST))
        except (OSError, ValueError, SafetensorError) as error:
            logger.warning(
                "The checkpoint %s can't be used (%s); the run goes on from the one before it, "
                "or starts over.",
                checkpoint,
                error,
            )
            continue
        load_parameters(model, tensors)
        load_optimizer_tensors(optimizer, tensors)
        if scaler is not None:
            scaler.load_state_dict(state["scaler"])
        return state["step"], state["progress"]
    return None


def _read(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A checkpoint's tensors, which are those that were saved, and its state."""
    tensors = load_file(checkpoint / TENSORS)
    state = json.loads((checkpoint / STATE).read_text())
    _check_names(STATE, state, ("step", "scaler", "tensors", "progress"))
    _check_names(TENSORS, tensors, state["tensors"])
    return tensors, state


def _check_names(where: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Raise CheckpointError, naming the first that is too few or too many, unless all are there."""
    lacking, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    if lacking:
        raise CheckpointError(f"{where} lacks {lacking[0]}")
    if unknown:
        raise CheckpointError(f"{where} has an unknown {unknown[0]}")


def _check_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError where a state is of no parameter, or not of its shape (or a number)."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    shapes = {str(number): p.shape for number, p in enumerate(parameters)}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            shape = shapes.get(name.split("/")[1])
            if shape is None or tensor.shape not in (shape, torch.Size()):
                raise CheckpointError(f"{name} is {tuple(tensor.shape)}; its parameter is {shape}")


def _scaler_state(scaler: GradScaler | None) -> dict[str, float]:
    """Scale, its growth and its steps since the last overflow: plain numbers."""
    return {} if scaler is None else scaler.state_dict()


def save_parameters(
    file: Path,
    model: nn.Module,
    beside: Mapping[str, Tensor] | None = None,
    *,
    writes: bool = True,
) -> None:
    """Write the trained parameters alone, and small tensors `beside` them, by one rename."""
    tensors = _gathered(_trained(model), writes)
    if not writes:
        return
    with atomic.replacing(file) as partial:
        save_file(tensors | dict(beside or {}), partial)


def restore_parameters(file: Path, model: nn.Module) -> dict[str, Tensor]:
    """Load what `save_parameters` wrote into a model that trains the same parameters.

    Returns what was saved beside them. Raises CheckpointError for those of another model, OSError
    or SafetensorError for a bad file.
    """
    tensors = load_file(file)
    check_parameters(model, tensors)
    load_parameters(model, tensors)
    return {name: value for name, value in tensors.items() if not name.startswith("model/")}


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that require a gradient: `model/<name>` -> values."""
    return {f"model/{name}": p.detach() for name, p in model.named_parameters() if p.requires_grad}


def _gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """The tensors, contiguous and whole; without `keep` none: what this process has is handed to
    the one that keeps them.
    """
    whole = (
        (name, t.full_tensor().cpu() if isinstance(t, DTensor) else t.contiguous())
        for name, t in tensors.items()
    )
    return {name: tensor for name, tensor in whole if keep}


def _held_as(value: Tensor, parameter: Tensor) -> Tensor:
    """A value of a parameter's shape in the parts in which this process holds the parameter."""
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def check_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError unless the `model/<name>` are the trained parameters, in their shape
    and type.
    """
    expected = _trained(model)
    _check_names("model", (name for name in tensors if name.startswith("model/")), expected)
    for name, parameter in expected.items():
        found, needed = ((t.dtype, tuple(t.shape)) for t in (tensors[name], parameter))
        if found != needed:
            raise CheckpointError(f"{name} is {found}; the model's is {needed}")


@torch.no_grad()
def load_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give the trained parameters the values `model/<name>`."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(_held_as(tensors[f"model/{name}"], parameter))


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat names: `optimizer/<parameter's number>/<key>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{number}/{key}": torch.as_tensor(value)
        for number, entries in state.items()
        for key, value in entries.items()
    }


def load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = _held_as(tensor, parameters[int(number)])
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})
