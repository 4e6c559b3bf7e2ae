"""Checkpoints of a run: safetensors files with the progress as JSON metadata, nothing pickled.

If several processes train one model, all of them call these functions, and one of them writes. It
writes the file that a single process would write: tensors that FSDP shards are put together.

A run never fails because of a checkpoint. A checkpoint that is damaged, or was made by other code,
is skipped. A checkpoint that cannot be written is left out.
"""

import errno
import json
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate.utils import broadcast_object_list
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from typing_extensions import TypedDict

from frod_bench.common import atomic
from frod_bench.frod.layer import FrodLinear
from frod_bench.records import store
from frod_bench.training import tensor_files

logger = logging.getLogger(__name__)

# Numbers of errors after which the same file may be readable again.
PASSING = (
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EACCES, errno.EPERM),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
)
STEP, BEST, SKETCH = "step", "best", "sketch"
STEPS_DONE = "step"  # of AdamW's states, a number; fewer than the run's if gradients overflowed
STATES = (STEPS_DONE, "exp_avg", "exp_avg_sq")
KEPT = 2  # checkpoints of a run: if the newest is damaged, the one before it is used


class CheckpointError(ValueError):
    """A checkpoint that is incomplete, or that does not fit the model or the run."""


class BestIsLostError(CheckpointError):
    """The file with the best step's parameters is gone or damaged: what a run ends with."""


class _OtherOriginError(CheckpointError):
    """A checkpoint of another cell, or made by other code or packages."""


class TrainingState(NamedTuple):
    """What a checkpoint restores, besides the progress of the run."""

    model: nn.Module
    optimizer: Optimizer
    scaler: GradScaler | None  # of gradients in fp16


@dataclass(frozen=True)
class Origin:
    """What a checkpoint belongs to and was made by; a run resumes only from ones of its origin."""

    names: Mapping[str, str] = field(default_factory=dict)  # of cell, method, versions of code
    # small tensors that identify what the method computes and does not train, and their check,
    # which raises ValueError if those of a checkpoint are not this model's
    sketches: Callable[[], dict[str, Tensor]] = dict
    check_sketches: Callable[[Mapping[str, Tensor]], None] = lambda _: None


class _State(TypedDict):
    """The metadata of a checkpoint."""

    step: int
    origin: dict[str, str]
    scaler: dict[str, float]
    progress: dict[str, Any]
    best: str | None  # the name of the file with the parameters of the best step so far


class _Kept(NamedTuple):
    """The files of a usable checkpoint."""

    file: Path
    best: Path | None


@dataclass
class Checkpoints:
    """The checkpoints of one run: the newest two, and for each the parameters of the best step that
    it knows of.
    """

    folder: Path
    every_steps: int  # between two checkpoints
    origin: Origin = field(default_factory=Origin)
    _kept: list[_Kept] = field(default_factory=list, init=False)  # that are usable, oldest first
    _best: Path | None = field(default=None, init=False)  # of the best step so far
    _best_held: dict[str, Tensor] | None = field(default=None, init=False)  # if no file holds it
    # Of another origin, or not readable just now: they stay.
    _others: set[Path] = field(default_factory=set, init=False)
    _has_warned: bool = field(default=False, init=False)

    def save(
        self, step: int, state: TrainingState, progress: dict[str, Any], *, writes: bool
    ) -> None:
        """Write the trained parameters, the state of optimizer and gradient scaler, and `progress`.

        If there are two checkpoints already, the older one is removed first. If the disk has no
        space, the run continues without this checkpoint, and there is one warning per run.
        """
        tensors = _trained(state.model) | _optimizer_tensors(state.optimizer)
        tensors |= {f"{SKETCH}/{name}": t for name, t in self.origin.sketches().items()}
        tensors = _gathered(tensors, writes)
        if not writes:
            return
        self._kept = self._kept[1 - KEPT :]
        self._remove_others()
        if self._best_held and not self._write_best(progress["best"], self._best_held):
            return  # without the best step's parameters it could not be resumed from
        content: _State = {
            "step": step,
            "origin": dict(self.origin.names),
            "scaler": _scaler_state(state.scaler),
            "progress": progress,
            "best": self._best.name if self._best else None,
        }
        metadata = {"state": json.dumps(content)}
        if file := self._written(_stem(STEP, step), tensors, metadata):
            self._kept.append(_Kept(file, self._best))

    def restore(
        self, state: TrainingState, progress_type: type
    ) -> tuple[int, dict[str, Any]] | None:
        """Load the newest usable checkpoint; return its step and its progress, with exactly the
        fields of the dataclass `progress_type`. Others are passed over with a warning. None, and
        nothing is changed, if there is none.
        """
        files = _found(self.folder, STEP)
        for place, file in enumerate(files):
            try:
                tensors, content = self._checked(file, state, progress_type)
            except Exception as error:  # whatever is wrong with a file costs the file alone
                logger.warning(
                    "The checkpoint %s can't be used (%s). The run resumes from the one before it, "
                    "or starts over.",
                    file,
                    str(error) or type(error).__name__,
                )
                if isinstance(error, _OtherOriginError | MemoryError) or (
                    isinstance(error, OSError) and error.errno in PASSING
                ):
                    self._keep(file)
                continue
            for older in files[place + 1 :]:
                if self._is_of_another_origin(older):
                    self._keep(older)
            _load_parameters(state.model, tensors)
            _load_optimizer_tensors(state.optimizer, tensors)
            if state.scaler is not None:
                state.scaler.load_state_dict(content["scaler"])
            self._best = self._best_of(content)
            self._kept = [_Kept(file, self._best)]
            return content["step"], content["progress"]
        return None

    def _keep(self, file: Path) -> None:
        """Let a checkpoint stay that is not resumed from, with the best step that it names."""
        named = _metadata(file).get("best", ...)  # null if it names none
        best = _found(self.folder, BEST) if named is ... else [self.folder / Path(named or "").name]
        self._others |= {file, *best}

    def _is_of_another_origin(self, file: Path) -> bool:
        return _metadata(file).get("origin", self.origin.names) != dict(self.origin.names)

    def save_best(self, best: Mapping[str, float], model: nn.Module, *, writes: bool) -> None:
        """Keep the trained parameters of the best point so far: in a file, or in the memory of the
        first process if the disk has no space.
        """
        self._best_held = None  # which takes as much memory as the new ones
        tensors = _gathered(_trained(model), writes)
        if writes and not self._write_best(best, tensors):
            self._best_held = {}
            while tensors:  # one after the other: all of them may be most of the memory
                name, values = tensors.popitem()
                self._best_held[name] = values.detach().cpu().clone()

    def restore_best(self, best: Mapping[str, float], model: nn.Module) -> None:
        """Load what `save_best` kept of the best point. Raises BestIsLostError if it is gone or
        damaged; no checkpoint that names it is then resumed from.
        """
        held = self._best_held or {}
        if _of_first(bool(held)):  # it sends one after the other
            _load_values(model, lambda name: _of_first(held.get(name)))
            return
        found = _found(self.folder, _stem(BEST, best["step"]))
        own = self._best if self._best in found else next(iter(found), None)
        name = _of_first(own and own.name)  # the one that writes: others do not know its newest
        if name is None:
            raise BestIsLostError(f"{self.folder}: the best step's parameters are gone.")
        try:
            tensors, _ = tensor_files.read(self.folder / name)
            _check_parameters(model, tensors)
        except (OSError, ValueError, SafetensorError) as error:
            raise BestIsLostError(
                f"{self.folder}: the best step's parameters are damaged ({error})."
            ) from error
        _load_parameters(model, tensors)

    def _checked(
        self, file: Path, state: TrainingState, progress_type: type
    ) -> tuple[dict[str, Tensor], _State]:
        """Return the tensors and the state of a checkpoint, and change nothing. Raises an error of
        any kind unless all of it fits.
        """
        tensors, metadata = tensor_files.read(file)
        text = metadata.get("state", "null")
        TypeAdapter(_State).validate_json(text, strict=True)
        content: _State = json.loads(text)  # numbers as they were written, to the last bit
        # First, since other code may know other progress, and its checkpoints are to stay.
        _check_origin(content["origin"], self.origin.names)
        progress = content["progress"]
        _check_names("progress", progress, [one.name for one in fields(progress_type)])
        TypeAdapter(progress_type).validate_json(json.dumps(progress), strict=True)
        _check_steps(file, content)
        _check_parameters(state.model, tensors)
        _check_optimizer(state.optimizer, tensors, content["step"])
        _check_names("scaler", content["scaler"], _scaler_state(state.scaler))
        sketches = {name: t for name, t in tensors.items() if name.startswith(f"{SKETCH}/")}
        self.origin.check_sketches({n.removeprefix(f"{SKETCH}/"): t for n, t in sketches.items()})
        _check_best(content)
        if file_of_best := self._best_of(content):  # the run ends by restoring it
            best, _ = tensor_files.read(file_of_best)
            _check_parameters(state.model, best)
        return tensors, content

    def _best_of(self, content: _State) -> Path | None:
        return self.folder / Path(content["best"]).name if content["best"] else None

    def _write_best(self, best: Mapping[str, float], tensors: dict[str, Tensor]) -> bool:
        """Write the parameters of the best point, and return whether they are on the disk.

        The file of the previous best point is removed first, unless a checkpoint names it.
        """
        stem = _stem(BEST, best["step"])
        if self._best not in {one.best for one in self._kept} | self._others:
            _remove(self._best)
        self._best = self._written(stem, tensors)
        if self._best is None:
            return False
        for other in _found(self.folder, stem):
            if other not in {self._best, *self._others}:  # of a run that ended after this step
                _remove(other)
        self._best_held = None
        return True

    def _written(
        self, stem: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
    ) -> Path | None:
        """Write a file; or warn, once in a run, that it cannot be written."""
        try:
            return tensor_files.write(self.folder, stem, tensors, metadata)
        except (OSError, SafetensorError) as error:
            if not self._has_warned:
                logger.warning(
                    "%s: a checkpoint cannot be written (%s). The run goes on; if it is "
                    "interrupted, it resumes from an older checkpoint, or starts over. Free some "
                    "space there.",
                    self.folder,
                    error,
                )
            self._has_warned = True
            return None

    def _remove_others(self) -> None:
        """Remove the checkpoints that are not kept, and the best steps that no kept one names.

        Checkpoints of another origin stay, for a return to that code or those packages. Checkpoints
        that could not be read stay, too.
        """
        kept = {self._best, *(path for one in self._kept for path in one), *self._others}
        for path in (*_found(self.folder, STEP), *_found(self.folder, BEST)):
            if path not in kept:
                _remove(path)


def save_parameters(
    file: Path, model: nn.Module, extra: Mapping[str, Tensor] | None = None, *, writes: bool = True
) -> None:
    """Write the trained parameters alone, and small `extra` tensors, by one rename."""
    tensors = _gathered(_trained(model), writes)
    if writes:
        store.make_way(file)
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


def _remove(path: Path | None) -> None:
    with suppress(OSError):  # it is e.g. a folder, which is passed over when it is read, too
        if path is not None:
            path.unlink()


def _stem(kind: str, step: float) -> str:
    return f"{kind}-{int(step):08d}"


def _found(folder: Path, stem: str) -> list[Path]:
    """The files of a kind, the newest first; none if the folder cannot be read."""
    try:
        return tensor_files.find(folder, stem)
    except OSError as error:
        logger.warning("%s: the checkpoints there cannot be read (%s).", folder, error)
        return []


def _metadata(file: Path) -> Mapping[str, Any]:
    """The state in a checkpoint's file, without a look at its values; empty if it has none."""
    try:
        with safe_open(file, "pt") as opened:
            state = json.loads((opened.metadata() or {})["state"])
    except Exception:  # whatever is wrong with a file costs the file alone
        return {}
    return state if isinstance(state, dict) else {}


def _check_origin(found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    for name in sorted({*found, *expected}):
        if found.get(name) != expected.get(name):
            raise _OtherOriginError(
                f"its {name} is {found.get(name)!r}; that of this run is {expected.get(name)!r}"
            )


def _check_steps(file: Path, content: _State) -> None:
    """Raise CheckpointError unless file, state and curve are of one step, and the curve has each
    step up to it.
    """
    curve, step = content["progress"]["curve"], content["step"]
    steps = {step, curve[-1]["step"], int(file.stem.split("-")[1])}
    if len(steps) > 1:
        raise CheckpointError(f"it is of several steps, {sorted(steps)}")
    if [point["step"] for point in curve] != list(range(len(curve))):
        raise CheckpointError(f"its curve does not have each of the steps 0 to {step} once")


def _check_best(content: _State) -> None:
    """Raise CheckpointError unless the best step is one of the curve, as it is there, and the file
    of its parameters is named after it.
    """
    best, name = content["progress"]["best"], content["best"]
    if (best is None) != (name is None):
        raise CheckpointError("progress.best and best: both or neither must be null")
    if best is None or name is None:
        return
    text = json.dumps(best)  # a score can be NaN, which is not equal to itself
    if text not in map(json.dumps, content["progress"]["curve"]):
        raise CheckpointError("progress.best is not a point of its curve")
    if not Path(name).name.startswith(f"{_stem(BEST, best['step'])}-"):
        raise CheckpointError(f"best is {name}, and the best step is {best['step']}")


def _check_names(where: str, found: Collection[str], expected: Collection[str]) -> None:
    """Raise CheckpointError, with the first name that is missing or unknown, unless all match."""
    lacking, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    if lacking:
        raise CheckpointError(f"{where} lacks {lacking[0]}")
    if unknown:
        raise CheckpointError(f"{where} has an unknown {unknown[0]}")


def _check_parameters(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Raise CheckpointError unless `model/<name>` are the trained parameters in shape and type."""
    expected = _trained(model)
    _check_names("model", [name for name in tensors if name.startswith("model/")], expected)
    for name, parameter in expected.items():
        found, needed = ((t.dtype, tuple(t.shape)) for t in (tensors[name], parameter))
        if found != needed:
            raise CheckpointError(f"{name} is {found}; the model's is {needed}")


def _check_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], step: int) -> None:
    """Raise CheckpointError unless the optimizer's states fit its parameters.

    A state must have the shape of its parameter, except for the number of its steps, which must be
    a single number of at most `step`. All parameters that have states must have states of the same
    names.
    """
    shapes = {str(number): p.shape for number, p in enumerate(_parameters_of(optimizer))}
    keys: dict[str, set[str]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            shape = shapes.get(number)
            if shape is None or tensor.shape != (torch.Size() if key == STEPS_DONE else shape):
                raise CheckpointError(f"{name} is {tuple(tensor.shape)}; its parameter is {shape}")
            if key == STEPS_DONE and not 0 <= tensor.item() <= step:
                raise CheckpointError(f"{name} is {tensor.item()}; the run had {step} steps")
            keys.setdefault(number, set()).add(key)
    every = set(STATES).union(*keys.values())
    for number, own in keys.items():
        if lacking := sorted(every - own):
            raise CheckpointError(f"file lacks optimizer/{number}/{lacking[0]}")


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


def _load_parameters(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    _load_values(model, tensors.__getitem__)


@torch.no_grad()
def _load_values(model: nn.Module, value_of: Callable[[str], Tensor]) -> None:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(_sharded_like(value_of(f"model/{name}"), parameter))
    for module in model.modules():
        if isinstance(module, FrodLinear):  # nothing that it keeps sees a write into shards
            module.values_were_written()


def _of_first(value: Any) -> Any:
    """What the first process has, of one or of several that train one model."""
    (found,) = broadcast_object_list([value])
    return found


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
            own = tensor.clone()  # a view would depend on the file, which is removed
            state.setdefault(int(number), {})[key] = _sharded_like(own, parameters[int(number)])
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
