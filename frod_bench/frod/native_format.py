"""Our format: the trained values, and what proves that they fit the base and the basis.

A folder holds `frod_adapter.safetensors` (lambda, S on its sorted support, and the probes) and
`frod_adapter.json` (settings, fingerprints of the target weights and supports, checksum of the
former). V, U and the support are made again on loading, unless V and the support are in it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..common.atomic import write_bytes
from ..common.errors import InputError
from .adapter import GivenBasis, attached_layers, build_layers, plain_targets
from .cache import basis_cache_dir, tensor_digest, tensor_digests
from .config import FrodConfig
from .layer import FrodLinear, SharedBasis
from .storage import check_layers, damaged, read_bytes, tensors_in
from .targets import Target

SCHEMA_VERSION = 2
TENSORS_NAME = "frod_adapter.safetensors"
SETTINGS_NAME = "frod_adapter.json"
LEFT_PROBES = 4  # numbers kept of every U


def write(layers: dict[str, FrodLinear], folder: Path, *, include_basis: bool) -> None:
    """Write the adapter of `layers`; with `include_basis`, V and the supports too."""
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        tensors |= {f"{name}.lambda": layer.lambda_, f"{name}.rotation": layer.rotation}
    tensors |= _probes(layers)
    bases = _shared(layers)
    for category, shared in bases.items():
        if include_basis:
            tensors[f"basis.{category}"] = shared.basis
            tensors[f"support.{category}"] = shared.support
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    settings = {
        "schema_version": SCHEMA_VERSION,
        "config": next(iter(layers.values())).shared.config.as_dict(),
        "include_basis": include_basis,
        "supports": {name: tensor_digest(shared.support) for name, shared in bases.items()},
        "layers": _described(
            {name: (layer.shared.category, layer.weight) for name, layer in layers.items()}
        ),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_bytes(folder / TENSORS_NAME, content)
    write_bytes(folder / SETTINGS_NAME, json.dumps(settings, indent=1).encode())


def adapter_probes(model: nn.Module) -> dict[str, Tensor]:
    """What tells V, U and the supports of `model` from others: small tensors, to be kept with the
    trained values where these are saved by other means than `save_frod`.

    Raises:
        InputError: FRoD is not attached.
    """
    layers = dict(attached_layers(model))
    digests = {
        f"support_sha256.{name}": torch.tensor(list(bytes.fromhex(tensor_digest(shared.support))))
        for name, shared in _shared(layers).items()
    }
    return _probes(layers) | digests


def check_adapter_probes(model: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """Raise InputError where V, U or the supports of `model` are not those that `kept` is of."""
    layers = dict(attached_layers(model))
    supports = {
        name: bytes(kept[f"support_sha256.{name}"].tolist()).hex() for name in _shared(layers)
    }
    misfit = _misfit(layers, supports, layers, kept)
    if misfit:
        raise InputError(
            f"{misfit} computed here is not the one that the saved values were trained in. Load "
            "them with the versions and threads that they were saved with."
        )


def read(model: nn.Module, folder: Path, cache_dir: Path | None) -> dict[str, FrodLinear]:
    """Layers for the plain `model`, with the trained values of the adapter in `folder`.

    Where V is in the folder, U is computed from it. Of an ill-conditioned V that gives another U,
    which the probes tell; both are then made from the weights, as where V is not in it.

    Raises:
        InputError: as `load_frod`.
    """
    settings, tensors = _files(folder)
    try:
        config = FrodConfig(**settings["config"])
        saved, supports, has_basis = (
            settings[field] for field in ("layers", "supports", "include_basis")
        )
    except (KeyError, TypeError):
        raise damaged(folder / SETTINGS_NAME) from None
    categories = plain_targets(model, config)
    _check_base(categories, saved, folder)
    layers, misfit = None, ""
    if has_basis:
        given = {
            name: GivenBasis(tensors[f"basis.{name}"], tensors[f"support.{name}"])
            for name in categories
        }
        layers = build_layers(categories, config, given=given)
        misfit = _misfit(layers, supports, saved, tensors)
    if layers is None or misfit:
        layers = build_layers(categories, config, basis_cache_dir(cache_dir))
        misfit = _misfit(layers, supports, saved, tensors)
    if misfit:
        raise InputError(
            f"{misfit} computed here is not the one that the adapter in {folder} was trained in. "
            "Load it where it was saved, with the same versions and threads, and save it with "
            "include_basis=True; an adapter with basis='exact' depends on neither."
        )
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lambda_.copy_(tensors[f"{name}.lambda"])
            layer.rotation.copy_(tensors[f"{name}.rotation"])
    return layers


def _probes(layers: dict[str, FrodLinear]) -> dict[str, Tensor]:
    left = torch.stack([left_probe(layer) for layer in layers.values()])
    bases = {f"probe.{name}": basis_probe(shared) for name, shared in _shared(layers).items()}
    return {"left_probes": left, **bases}


def basis_probe(shared: SharedBasis) -> Tensor:
    """V^T p (k,) in float64 for the fixed probe p_j = sin(j + 1): tells two bases apart."""
    basis = shared.basis.double().cpu()
    return basis.T @ _waves(len(basis), 1)[:, 0]


def left_probe(layer: FrodLinear) -> Tensor:
    """q^T U P (4,) in float64 for a fixed q (m,) and P (k x 4): tells two U apart."""
    rows, width = layer.left.shape
    return _waves(rows, 1)[:, 0] @ layer.left.double().cpu() @ _waves(width, LEFT_PROBES)


def _waves(length: int, count: int) -> Tensor:
    """sin((j + 1) (c + 1)), (length x count), float64."""
    steps = torch.arange(1, length + 1, dtype=torch.float64, device="cpu")
    return torch.sin(steps[:, None] * steps[:count])


def _shared(layers: dict[str, FrodLinear]) -> dict[str, SharedBasis]:
    return {layer.shared.category: layer.shared for layer in layers.values()}


def _described(layers: Mapping[str, tuple[str, Tensor]]) -> dict[str, dict[str, str]]:
    """What is kept of each layer, by name, to know its base by: its category and its weight."""
    digests = tensor_digests(weight for _, weight in layers.values())
    return {
        name: {"category": category, "weight_sha256": digest}
        for (name, (category, _)), digest in zip(layers.items(), digests, strict=True)
    }


def _check_base(categories: dict[str, list[Target]], saved: dict[str, Any], folder: Path) -> None:
    found = {
        target.name: (category, target.module.weight)
        for category, members in categories.items()
        for target in members
    }
    check_layers(found, saved, folder)
    for name, described in _described(found).items():  # type: ignore[arg-type]
        if described != saved[name]:
            raise InputError(
                f"The adapter in {folder} was trained on another base: the weight of {name!r} "
                "differs (in value, shape or type). Load the base that it was trained on, in the "
                "same type."
            )


def _misfit(
    layers: dict[str, FrodLinear],
    supports: dict[str, str],
    saved: Iterable[str],
    tensors: Mapping[str, Tensor],
) -> str:
    """What of V, U and the support is not as it was when the adapter was saved; "" if all is."""
    for category, shared in _shared(layers).items():
        if tensor_digest(shared.support) != supports[category]:
            return f"The support of {category!r}"
        errors = (basis_probe(shared) - tensors[f"probe.{category}"]).abs()
        # Column by column: the small ones of a badly scaled V tell as much as the large.
        norms = torch.linalg.vector_norm(shared.basis.double().cpu(), dim=0)
        if not bool((errors <= _tolerance(shared.basis) * norms).all()):
            return f"The basis of {category!r} (its probe is off by {float(errors.max()):.1e})"
    for name, probe in zip(saved, tensors["left_probes"], strict=True):
        layer = layers[name]
        error = float((left_probe(layer) - probe).abs().max())
        # U (m x k) has columns of norm 1: a relative error e moves the probe by about e sqrt(k)
        if not error <= _tolerance(layer.left) * layer.shared.width**0.5:
            return f"U of {name!r} (its probe is off by {error:.1e})"
    return ""


def _tolerance(factor: Tensor) -> float:
    return max(2e-5, 4 * torch.finfo(factor.dtype).eps)


def _files(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    path = folder / SETTINGS_NAME
    settings_content = read_bytes(path)
    try:
        settings = json.loads(settings_content)
    except ValueError:
        raise damaged(path) from None
    if not isinstance(settings, dict) or settings.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path} is not of schema version {SCHEMA_VERSION}, the only one that this version "
            "reads. Save the adapter again."
        )
    content = read_bytes(folder / TENSORS_NAME)
    if hashlib.sha256(content).hexdigest() != settings.get("tensors_sha256"):
        raise damaged(folder / TENSORS_NAME)
    return settings, tensors_in(folder / TENSORS_NAME, content)
