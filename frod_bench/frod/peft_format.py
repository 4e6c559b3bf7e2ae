"""PEFT's file format (`peft.FrodConfig`, 0.21): adapter_config.json and adapter_model.safetensors.

docs/explanation/method.md (section 6) says why only PEFT's own basis is written.

    base_model.frod_V.<category>                             V (k, k)
    base_model.frod_s_indices.<category>                     rows and columns of S, int64 (2, nnz)
    base_model.frod_s_size.<category>                        (k, k), int64 (2,)
    base_model.model.<layer>.frod_lambda_l                   lambda (k,)
    base_model.model.<layer>.frod_lambda_s_values            values of S (nnz,)
    base_model.model.<any other>                             modules saved with the adapter
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..common.atomic import write_bytes
from ..common.errors import InputError
from . import storage
from .adapter import build_layers, plain_targets
from .config import FrodConfig
from .layer import FrodLinear
from .storage import Stored
from .targets import Target

logger = logging.getLogger(__name__)

TENSORS_NAME = "adapter_model.safetensors"
SETTINGS_NAME = "adapter_config.json"
SHARED, LAYER = "base_model.", "base_model.model."
# Fields of `FrodConfig` that PEFT's has under another name.
THEIR_NAMES = {"seed": "projection_prng_key", "regularization": "regularization_alpha"}
LAMBDA, ROTATION = ".frod_lambda_l", ".frod_lambda_s_values"
# V V^T of PEFT's float32 V equals the stack's Gram matrix to about 1e-6; of another base it is off
# by 1.
GRAM_TOLERANCE = 1e-3


def write(layers: dict[str, FrodLinear], folder: Path, base_name: str | None) -> None:
    """Write the adapter of `layers` as PEFT would, if PEFT could have attached to them."""
    config = next(iter(layers.values())).shared.config
    if config.basis != "peft":
        raise InputError(
            f"format='peft' needs an adapter with basis='peft', not {config.basis!r}: on loading, "
            "PEFT computes U from a V of its own, so only PEFT's basis gives the same outputs. "
            "Attach with FrodConfig(basis='peft') before training, or save with format='native'."
        )
    split = sorted({x.shared.category for x in layers.values() if "@" in x.shared.category})
    if split:
        raise InputError(
            f"format='peft' does not support the categories {', '.join(split)}: PEFT stacks all "
            "layers of one role, but these have different input widths. Save with format='native'."
        )
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        category, width, support = layer.shared.category, layer.in_features, layer.shared.support
        indices = torch.stack([support // width, support % width])
        tensors |= {
            f"{LAYER}{name}{LAMBDA}": layer.lambda_,
            f"{LAYER}{name}{ROTATION}": layer.rotation,
            f"{SHARED}frod_V.{category}": layer.shared.V,
            f"{SHARED}frod_s_indices.{category}": indices,
            f"{SHARED}frod_s_size.{category}": torch.tensor([width, width]),
        }
    settings = {
        "peft_type": "FROD",
        "task_type": None,
        "base_model_name_or_path": base_name or None,
        "inference_mode": True,
        "target_modules": config.target_modules,
        "projection_prng_key": config.seed,
        "sparse_rate": config.sparse_rate,
        "regularization_alpha": config.regularization,
        "save_projection": True,
        "fan_in_fan_out": any(layer.transposed for layer in layers.values()),
        "progressbar": False,
    }
    write_bytes(folder / TENSORS_NAME, save(storage.contents(tensors), metadata={"format": "pt"}))
    write_bytes(folder / SETTINGS_NAME, json.dumps(settings, indent=2).encode())


def read(model: nn.Module, folder: Path) -> tuple[dict[str, FrodLinear], dict[str, Tensor]]:
    """Return layers for the plain `model`, with the trained values of PEFT's adapter in `folder`.

    And the values of other saved parameters and buffers by name (`modules_to_save`).
    """
    settings = _settings(folder / SETTINGS_NAME)
    path = folder / TENSORS_NAME
    stored = Stored(path, storage.tensors_in(path, storage.read_bytes(path)))
    names = [
        key[len(LAYER) : -len(LAMBDA)]
        for key in stored.tensors
        if key.startswith(LAYER) and key.endswith(LAMBDA)
    ]
    targets = settings.get("target_modules", "")
    others = ("layers_to_transform", "exclude_modules")  # settings that select layers, too
    if isinstance(targets, str) or any(settings.get(field) is not None for field in others):
        # Also instead of a pattern from elsewhere, which could match without an end.
        targets = "|".join(re.escape(name) for name in names)
    try:
        config = FrodConfig(
            target_modules=targets,
            sparse_rate=settings.get("sparse_rate", 0.01),
            seed=settings.get("projection_prng_key", 0),
            regularization=settings.get("regularization_alpha", 1e-3),
            basis="peft",
        )
    except InputError as error:
        field, _, problem = str(error).partition("=")
        field = THEIR_NAMES.get(field, field)
        raise InputError(f"{folder / SETTINGS_NAME}: {field}={problem}") from None
    categories = plain_targets(model, config)
    found = {target.name for members in categories.values() for target in members}
    storage.check_layers(found, names, folder)
    given = {}
    for category, members in categories.items():
        given[category] = _basis_and_indices(category, members[0].width, stored)
        _check_base(category, members, given[category][0], folder)
    layers = build_layers(categories, config, given=given)
    with torch.no_grad():
        for name, layer in layers.items():
            lambda_ = stored.floats(f"{LAYER}{name}{LAMBDA}", *layer.lambda_0.shape)
            values = stored.floats(f"{LAYER}{name}{ROTATION}", *layer.rotation.shape)
            layer.delta.copy_(lambda_.to(layer.lambda_0) - layer.lambda_0)
            # The file's order of the entries of S is PEFT's; ours is sorted.
            layer.rotation.copy_(values[given[layer.shared.category][1].argsort()])
    return layers, _saved_modules(model, stored)


def _settings(path: Path) -> dict[str, Any]:
    settings = storage.read_json(path)
    kind = settings.get("peft_type") if isinstance(settings, dict) else None
    if kind != "FROD":
        raise InputError(
            f"{path} describes an adapter with peft_type={kind!r}; only 'FROD' is supported here. "
            "Load it with PEFT."
        )
    has_basis = settings.get("save_projection", True)
    if not isinstance(has_basis, bool):
        raise InputError(
            f"{path}: save_projection={has_basis!r} must be true or false. {storage.SAVE_AGAIN}"
        )
    if not has_basis:
        raise InputError(
            f"{path} has save_projection=False, so the folder contains no V to check the computed "
            "one against. Save the adapter again with save_projection=True."
        )
    if settings.get("bias", "none") != "none":
        raise InputError(
            f"{path} has bias={settings['bias']!r}; FRoD here does not train biases, only 'none' "
            "is supported. Load it with PEFT."
        )
    dropout = settings.get("frod_dropout", 0.0)
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
        raise InputError(
            f"{path}: frod_dropout={dropout!r} must be a number from 0 to 1. {storage.SAVE_AGAIN}"
        )
    if dropout:
        logger.warning("%s has a dropout, which is ignored: outputs in training differ.", path)
    return settings


def _basis_and_indices(category: str, width: int, stored: Stored) -> tuple[Tensor, Tensor]:
    """Return V and the flat indices row * k + column of S, in the file's order."""
    V = stored.floats(f"{SHARED}frod_V.{category}", width, width)
    name = f"{SHARED}frod_s_indices.{category}"
    found = stored.tensors.get(name)
    count = found.shape[-1] if found is not None and found.ndim == 2 else 0
    pairs = stored.integers(name, 2, count)
    is_support = (
        bool(((pairs >= 0) & (pairs < width)).all())
        and bool((pairs[0] != pairs[1]).all())
        and len((pairs[0] * width + pairs[1]).unique()) == count
    )
    if not is_support:
        raise InputError(
            f"{stored.source}: {name!r} is not a set of entries off the diagonal of a {width} x "
            f"{width} matrix. Load the base that the adapter was trained on, or save it again with "
            "save_projection=True."
        )
    name = f"{SHARED}frod_s_size.{category}"
    if (size := stored.integers(name, 2).tolist()) != [width, width]:
        raise InputError(
            f"{stored.source}: {name!r} is {size}, expected {[width, width]}. {storage.SAVE_AGAIN}"
        )
    return V, pairs[0] * width + pairs[1]


def _check_base(category: str, members: list[Target], V: Tensor, folder: Path) -> None:
    """Raise InputError unless V V^T is the Gram matrix of the weights that PEFT stacks.

    With fewer rows than k, V V^T is the identity, and nothing can be checked.
    """
    stacked = {target.block: target.weight for target in members}  # one per block, as PEFT stacks
    if sum(len(weight) for weight in stacked.values()) < len(V):
        return
    wanted = sum((w.double().cpu().T @ w.double().cpu() for w in stacked.values()), torch.zeros(()))
    V = V.double()
    error = float(torch.linalg.norm(V @ V.T - wanted))
    tolerance = max(GRAM_TOLERANCE, 4 * torch.finfo(members[0].weight.dtype).eps)
    if not error <= tolerance * float(torch.linalg.norm(wanted)):
        raise InputError(
            f"The adapter in {folder} was trained on another base: V of {category!r} does not "
            f"fit this model's weights (V V^T is off by {error:.1e}). "
            "Load the base that it was trained on, in the same type."
        )


def _saved_modules(model: nn.Module, stored: Stored) -> dict[str, Tensor]:
    """Return the values of parameters and buffers that are not the adapter's, by name."""
    shared = tuple(f"{SHARED}{kind}." for kind in ("frod_V", "frod_s_indices", "frod_s_size"))
    state = model.state_dict()
    found = {}
    for key, tensor in stored.tensors.items():
        if key.startswith(shared) or key.endswith((LAMBDA, ROTATION)):
            continue
        name = key.removeprefix(LAYER)
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(
                f"{stored.source} contains {key!r} of shape {tuple(tensor.shape)}, which the model "
                "does not have in that shape. Load the base that it was trained on, with the same "
                "head."
            )
        found[name] = stored.like(key, state[name])
    return found
