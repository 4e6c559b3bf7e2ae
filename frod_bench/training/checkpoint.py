"""Checkpoints of a run: safetensors files with the progress as JSON metadata, nothing pickled. If
several processes train one model, all of them call these functions and one of them writes, the file
that a single process would write: tensors that FSDP shards are put together.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from frod_bench.common import atomic

logger = logging.getLogger(__name__)


class CheckpointError(ValueError):
    """A checkpoint that is incomplete, or that does not fit the model."""


class TrainingState(NamedTuple):
    """What a checkpoint restores, besides the progress of the run."""

    model: nn.Module
    optimizer: Optimizer
    scaler: GradScaler | None  # of gradients in fp16


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one run: the newest, and the parameters of the best step so far."""

    folder: Path
    every_steps: int  # between two checkpoints

    @property
    def best(self) -> Path:
        """The file with the parameters of the best step so far."""
        return self.folder / "best.safetensors"

    def file(self, step: int) -> Path:
        """The checkpoint of a step."""
        return self.folder / f"step-{step:08d}.safetensors"

    def save(
        self, step: int, state: TrainingState, progress: dict[str, Any], *, writes: bool
    ) -> None:
        """Write the trained parameters, the state of optimizer and gradient scaler, and `progress`;
        then remove older checkpoints.
        """
        tensors = _gathered(_trained(state.model) | _optimizer_tensors(state.optimizer), writes)
        if not writes:
            return
        content = {
            "step": step,
            "scaler": _scaler_state(state.scaler),
            "tensors": sorted(tensors),
            "progress": progress,
        }
        with atomic.replacing(self.file(step)) as partial:
            save_file(tensors, partial, metadata={"state": json.dumps(content)})
        for other in self.folder.glob("step-*.safetensors"):
            if other != self.file(step):
                other.unlink()

    def restore(
        self, state: TrainingState, progress_fields: Iterable[str]
    ) -> tuple[int, dict[str, Any]] | None:
        """Load the newest usable checkpoint; return its step and its progress, with exactly
        `progress_fields`. Others are skipped with a warning. None, and nothing is changed, if there
        is none.
        """
        for file in sorted(self.folder.glob("step-*.safetensors"), reverse=True):
            try:
                tensors, content = _read(file)
                _check_parameters(state.model, tensors)
                _check_optimizer(state.optimizer, tensors)
                _check_names("scaler", content["scaler"], _scaler_state(state.scaler))
                _check_names("progress", content["progress"], progress_fields)
                if content["progress"]["best"] is not None:  # the run ends by restoring it
                    _check_parameters(state.model, load_file(self.best))
            except (OSError, ValueError, SafetensorError) as error:
                logger.warning(
                    "The checkpoint %s can't be used (%s). The run resumes from the one before it, "
                    "or starts over.",
                    file,
                    error,
                )
                continue
            _load_parameters(state.model, tensors)
            _load_optimizer_tensors(state.optimizer, tensors)
            if state.scaler is not None:
                state.scaler.load_state_dict(content["scaler"])
            return content["step"], content["progress"]
        return None


def save_parameters(
    file: Path, model: nn.Module, extra: Mapping[str, Tensor] | None = None, *, writes: bool = True
) -> None:
    """Write the trained parameters alone, and small `extra` tensors, by one rename."""
    tensors = _gathered(_trained(model), writes)
    if writes:
        with atomic.replacing(file) as partial:
            save_file(tensors | dict(extra or {}), partial)


def restore_parameters(file: Path, model: nn.Module) -> dict[str, Tensor]:
    """Load what `save_parameters` wrote into such a model, and return the extra tensors. Raises
    CheckpointError for another model, OSError or SafetensorError if the file cannot be read.
    """
    tensors = load_file(file)
    _check_parameters(model, tensors)
    _load_parameters(model, tensors)
    return {name: value for name, value in tensors.items() if not name.startswith("model/")}


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a checkpoint, all that were saved, and the rest of its state."""
    with safe_open(file, "pt") as opened:
        content = json.loads((opened.metadata() or {}).get("state", "{}"))
    _check_names("state", content, ("step", "scaler", "tensors", "progress"))
    tensors = load_file(file)
    _check_names("file", tensors, content["tensors"])
    return tensors, content


def _check_names(where: str, found: Iterable[str], expected: Iterable[str]) -> None:
    """Raise CheckpointError, with the first name that is missing or unknown, unless all match."""
    lacking, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    if lacking:
        raise CheckpointError(f"{where} lacks {lacking[0]}")
    if unknown:
        raise CheckpointError(f"{where} has an unknown {unknown[0]}")


def _check_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError unless `model/<name>` are the trained parameters in shape and type."""
    expected = _trained(model)
    _check_names("model", (name for name in tensors if name.startswith("model/")), expected)
    for name, parameter in expected.items():
        found, needed = ((t.dtype, tuple(t.shape)) for t in (tensors[name], parameter))
        if found != needed:
            raise CheckpointError(f"{name} is {found}; the model's is {needed}")


def _check_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError unless every state is a number or has the shape of its parameter."""
    shapes = {str(number): p.shape for number, p in enumerate(_parameters_of(optimizer))}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            shape = shapes.get(name.split("/")[1])
            if shape is None or tensor.shape not in (shape, torch.Size()):
                raise CheckpointError(f"{name} is {tuple(tensor.shape)}; its parameter is {shape}")


def _scaler_state(scaler: GradScaler | None) -> dict[str, float]:
    return {} if scaler is None else scaler.state_dict()


def _parameters_of(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that require a gradient: `model/<name>` -> values."""
    return {f"model/{name}": p.detach() for name, p in model.named_parameters() if p.requires_grad}


def _gathered(tensors: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Return the tensors contiguous and unsharded; without `keep`, only send their shards."""
    whole = (
        (name, t.full_tensor().cpu() if isinstance(t, DTensor) else t.contiguous())
        for name, t in tensors.items()
    )
    return {name: tensor for name, tensor in whole if keep}


def _sharded_like(value: Tensor, parameter: Tensor) -> Tensor:
    if isinstance(parameter, DTensor) and value.shape == parameter.shape:
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


@torch.no_grad()
def _load_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(_sharded_like(tensors[f"model/{name}"], parameter))


def _optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state: `optimizer/<number of the parameter>/<key>` -> values."""
    return {
        f"optimizer/{number}/{key}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for key, value in entries.items()
    }


def _load_optimizer_tensors(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = _parameters_of(optimizer)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = _sharded_like(tensor, parameters[int(number)])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
