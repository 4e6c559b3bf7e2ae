"""Adapters as files: the trained values, and what proves that they fit the base and the basis.

A folder holds `frod_adapter.safetensors` (lambda, S on its sorted support, and the probe V^T p of
every category) and `frod_adapter.json` (settings, the layers with the fingerprints of their
weights, and the checksum of the former). V, U and the support are made again on loading.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import InputError
from .adapter import attached_layers, build_layers, install
from .cache import tensor_digest
from .config import FrodConfig
from .layer import FrodLinear, SharedBasis

M = TypeVar("M", bound=nn.Module)

SCHEMA_VERSION = 1
TENSORS_NAME = "frod_adapter.safetensors"
SETTINGS_NAME = "frod_adapter.json"


def save_frod(model: nn.Module, folder: Path | str) -> None:
    """Write the adapter of `model` into `folder`, each file by a rename.

    Raises:
        InputError: FRoD is not attached.
    """
    layers = dict(attached_layers(model))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        tensors[f"{name}.lambda"] = layer.lambda_
        tensors[f"{name}.rotation"] = layer.rotation
        tensors[f"probe.{layer.shared.category}"] = basis_probe(layer.shared)
    content = save({name: tensor.detach().cpu() for name, tensor in tensors.items()})
    settings = {
        "schema_version": SCHEMA_VERSION,
        "config": next(iter(layers.values())).shared.config.as_dict(),
        "layers": {name: _described(layer) for name, layer in layers.items()},
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    _write(folder / TENSORS_NAME, content)
    _write(folder / SETTINGS_NAME, json.dumps(settings, indent=1).encode())


def load_frod(model: M, folder: Path | str, *, cache_dir: Path | None = None) -> M:
    """Attach the adapter in `folder` to its base model, in place.

    Args:
        model: the plain base.
        cache_dir: as for `attach_frod`.

    Returns:
        The same model.

    Raises:
        InputError: a file is missing, damaged or of another schema; the base's weights are not
            those that the adapter was trained on; or the basis made from them is not the one it
            was trained in. The model is then left as it was.
    """
    folder = Path(folder)
    settings, tensors = _read(folder)
    layers = build_layers(model, FrodConfig(**settings["config"]), cache_dir)
    _check_base(layers, settings["layers"], folder)
    _check_basis(layers, tensors, folder)
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lambda_.copy_(tensors[f"{name}.lambda"])
            layer.rotation.copy_(tensors[f"{name}.rotation"])
    install(model, layers)
    return model


def basis_probe(shared: SharedBasis) -> Tensor:
    """V^T p (k,) in float64 for the fixed probe p_j = sin(j + 1): tells two bases apart."""
    basis = shared.basis.double().cpu()
    return basis.T @ torch.sin(torch.arange(1, len(basis) + 1, dtype=torch.float64))


def _described(layer: FrodLinear) -> dict[str, Any]:
    return {"category": layer.shared.category, "weight_sha256": tensor_digest(layer.weight)}


def _check_base(layers: dict[str, FrodLinear], saved: dict[str, Any], folder: Path) -> None:
    if layers.keys() != saved.keys():
        odd = sorted(layers.keys() ^ saved.keys())
        raise InputError(
            f"The adapter in {folder} adapts other layers than this model has; the first that "
            f"only one of them knows is {odd[0]!r}. Load the base that it was trained on."
        )
    for name, layer in layers.items():
        if _described(layer) != saved[name]:
            raise InputError(
                f"The adapter in {folder} was trained on another base: the weight of {name!r} "
                "differs (in value, shape or type). Load the base that it was trained on, in the "
                "same type."
            )


def _check_basis(layers: dict[str, FrodLinear], tensors: dict[str, Tensor], folder: Path) -> None:
    for shared in {layer.shared for layer in layers.values()}:
        saved = tensors[f"probe.{shared.category}"]
        tolerance = max(2e-5, 4 * torch.finfo(shared.basis.dtype).eps)
        error = (basis_probe(shared) - saved).abs().max()
        if not bool(error <= tolerance * saved.abs().max()):
            raise InputError(
                f"The basis of {shared.category!r} computed here is not the one that the adapter "
                f"in {folder} was trained in (the probe is off by {float(error):.1e}). Load it "
                "where the basis is cached, or with the versions it was saved with; with "
                "basis='exact' this does not depend on threads or platform."
            )


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        settings = json.loads((folder / SETTINGS_NAME).read_bytes())
        content = (folder / TENSORS_NAME).read_bytes()
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is not a FRoD adapter: {error.filename} is missing. "
            "Name a folder that save_frod wrote."
        ) from None
    except ValueError:
        raise InputError(_damaged(folder / SETTINGS_NAME)) from None
    if not isinstance(settings, dict) or settings.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{folder / SETTINGS_NAME} is not of schema version {SCHEMA_VERSION}, the only one "
            "that this version reads. Save the adapter again."
        )
    if hashlib.sha256(content).hexdigest() != settings.get("tensors_sha256"):
        raise InputError(_damaged(folder / TENSORS_NAME))
    return settings, load(content)


def _damaged(path: Path) -> str:
    return f"{path} is truncated or damaged: it does not match its checksum. Save it again."


def _write(path: Path, content: bytes) -> None:
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
