"""Checkpoints of a running cell: tensors as safetensors, the rest as JSON, nothing pickled.

A checkpoint is a folder that appears by one rename, so that a run that dies while writing leaves
the one before it in place.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

TENSORS, STATE = "state.safetensors", "state.json"


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: dict[str, Any],
) -> None:
    """Keep the trained parameters, the optimizer's state and `progress`, replacing older ones."""
    final = folder / f"step-{step:08d}"
    partial = folder / f"{final.name}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(parameter_tensors(model) | optimizer_tensors(optimizer), partial / TENSORS)
    (partial / STATE).write_text(json.dumps({"step": step, **progress}))
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    for other in folder.glob("step-*"):
        if other != final:
            shutil.rmtree(other, ignore_errors=True)


def restore(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Load the newest readable checkpoint into model and optimizer; None where there is none."""
    for checkpoint in sorted(folder.glob("step-*[0-9]"), reverse=True):
        try:
            tensors = load_file(checkpoint / TENSORS)
            progress: dict[str, Any] = json.loads((checkpoint / STATE).read_text())
        except (OSError, ValueError, SafetensorError):  # cut short by a full disk: the one before
            continue
        load_parameters(model, tensors)
        load_optimizer_tensors(optimizer, tensors)
        return progress
    return None


def save_parameters(file: Path, model: nn.Module) -> None:
    """Write the trained parameters alone, by one rename."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    save_file(parameter_tensors(model), partial)
    partial.rename(file)


def restore_parameters(file: Path, model: nn.Module) -> None:
    """Load what `save_parameters` wrote into a model that trains the same parameters."""
    load_parameters(model, load_file(file))


def parameter_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that require a gradient: `model/<name>` -> values."""
    return {
        f"model/{name}": p.detach().contiguous()
        for name, p in model.named_parameters()
        if p.requires_grad
    }


@torch.no_grad()
def load_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Inverse of `parameter_tensors`."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(tensors[f"model/{name}"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat names: `optimizer/<parameter's number>/<key>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{number}/{key}": torch.as_tensor(value)
        for number, entries in state.items()
        for key, value in entries.items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Inverse of `optimizer_tensors`."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})
