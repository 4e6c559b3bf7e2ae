"""Our file format: the trained values, and fingerprints that detect another base or basis.

docs/explanation/method.md (section 6) describes the two files of a folder.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..common.atomic import write_bytes
from ..common.errors import InputError
from .adapter import GivenBasis, attached_layers, build_layers, plain_targets
from .config import FrodConfig
from .core import support_size
from .layer import FrodLinear
from .shared import SharedBasis
from .storage import (
    FLOATS,
    INTEGERS,
    SAVE_AGAIN,
    basis_cache_dir,
    check_layers,
    contents,
    damaged,
    read_bytes,
    read_json,
    tensor_digest,
    tensor_digests,
    tensor_of,
    tensors_in,
)
from .targets import Target

SCHEMA_VERSION = 3
READABLE = (2, 3)  # version 2 stores lambda instead of its difference from lambda_0
TENSORS_NAME = "frod_adapter.safetensors"
SETTINGS_NAME = "frod_adapter.json"
FIELDS: dict[str, type] = {"config": dict, "layers": dict, "supports": dict, "include_basis": bool}
KINDS = {dict: "a mapping", bool: "true or false"}
LEFT_PROBES = 4  # numbers stored per U
DIGEST_BYTES = 32  # of SHA-256


def write(layers: dict[str, FrodLinear], folder: Path, *, include_basis: bool) -> None:
    """Write the adapter of `layers`; with `include_basis`, V and the supports too."""
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        tensors |= {f"{name}.delta": layer.delta, f"{name}.rotation": layer.rotation}
    tensors |= _probes(layers)
    bases = _shared(layers)
    if include_basis:
        for category, shared in bases.items():
            tensors |= {f"basis.{category}": shared.basis, f"support.{category}": shared.support}
    content = save(contents(tensors))
    settings = {
        "schema_version": SCHEMA_VERSION,
        "config": asdict(next(iter(layers.values())).shared.config),
        "include_basis": include_basis,
        "supports": {name: tensor_digest(shared.support) for name, shared in bases.items()},
        "layers": _described(
            (name, layer.shared.category, layer.weight) for name, layer in layers.items()
        ),
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    write_bytes(folder / TENSORS_NAME, content)
    write_bytes(folder / SETTINGS_NAME, json.dumps(settings, indent=1).encode())


def adapter_probes(model: nn.Module) -> dict[str, Tensor]:
    """Return small tensors that identify V, the U and the supports of `model`.

    Store them with the trained values if these are saved by other means than `save_frod`.

    Raises:
        InputError: FRoD is not attached.
    """
    layers = attached_layers(model)
    digests = {
        f"support_sha256.{name}": torch.tensor(list(bytes.fromhex(tensor_digest(shared.support))))
        for name, shared in _shared(layers).items()
    }
    return _probes(layers) | digests


def check_adapter_probes(model: nn.Module, kept: Mapping[str, Tensor]) -> None:
    """Raise InputError unless V, the U and the supports of `model` fit saved `adapter_probes`."""
    layers = attached_layers(model)
    bases = _shared(layers)
    source = "the saved probes"
    _check_probes(source, kept, {name: one.width for name, one in bases.items()}, len(layers))
    supports = {}
    for name in bases:
        digest = tensor_of(source, kept, f"support_sha256.{name}", (DIGEST_BYTES,), INTEGERS)
        supports[name] = bytes(digest.tolist()).hex()
    if mismatch := _mismatch(layers, supports, layers, kept):
        raise InputError(
            f"{mismatch} computed here is not the one that the saved values were trained with. "
            "Load them with the library versions and thread count that they were saved with."
        )


def read(model: nn.Module, folder: Path, cache_dir: Path | None) -> dict[str, FrodLinear]:
    """Return layers for the plain `model`, with the trained values of the adapter in `folder`.

    If U computed from a stored V is another U, both are computed from the weights.
    """
    settings, config = _settings(folder / SETTINGS_NAME)
    saved, supports, has_basis = (settings[key] for key in ("layers", "supports", "include_basis"))
    path = folder / TENSORS_NAME
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != settings.get("tensors_sha256"):
        raise damaged(path)
    tensors = tensors_in(path, content)
    searched = config
    if isinstance(config.target_modules, str):  # from elsewhere, it could match without an end
        searched = replace(config, target_modules=list(saved))
    categories = plain_targets(model, searched)
    _check_base(categories, saved, folder)
    widths = {name: members[0].width for name, members in categories.items()}
    _check_probes(path, tensors, widths, len(saved))
    mismatch = ""
    if has_basis:
        sizes = {name: support_size(width, config.sparse_rate) for name, width in widths.items()}
        given = {name: _given(path, tensors, name, widths[name], sizes[name]) for name in widths}
        layers = build_layers(categories, config, given=given)
        mismatch = _mismatch(layers, supports, saved, tensors)
    if mismatch or not has_basis:
        layers = build_layers(categories, config, basis_cache_dir(cache_dir))
        mismatch = _mismatch(layers, supports, saved, tensors)
    if mismatch:
        raise InputError(
            f"{mismatch} computed here is not the one that the adapter in {folder} was trained "
            "with. Load it where it was saved, with the same library versions and thread count, "
            "and save it with include_basis=True; adapters with basis='exact' depend on neither."
        )
    with torch.no_grad():
        for name, layer in layers.items():
            shape = tuple(layer.rotation.shape)
            layer.delta.copy_(_delta(path, tensors, name, layer.start))
            layer.rotation.copy_(tensor_of(path, tensors, f"{name}.rotation", shape, FLOATS))
    return layers


def _settings(path: Path) -> tuple[dict[str, Any], FrodConfig]:
    """Return what an adapter's JSON file says, with all of `FIELDS`, and its config."""
    settings = read_json(path)
    if not isinstance(settings, dict) or settings.get("schema_version") not in READABLE:
        raise InputError(
            f"{path}: schema_version must be one of {', '.join(map(str, READABLE))}. "
            "Save the adapter again."
        )
    for field, kind in FIELDS.items():
        if not isinstance(value := settings.get(field), kind):
            raise InputError(f"{path}: {field}={value!r} must be {KINDS[kind]}. {SAVE_AGAIN}")
    try:
        return settings, FrodConfig(**settings["config"])
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: config: {error}") from None


def _delta(path: Path, tensors: Mapping[str, Tensor], name: str, start: Tensor) -> Tensor:
    """Return lambda - lambda_0 of a layer; version 2 of the format stores lambda."""
    shape = tuple(start.shape)
    if f"{name}.lambda" in tensors:
        return tensor_of(path, tensors, f"{name}.lambda", shape, FLOATS).to(start) - start
    return tensor_of(path, tensors, f"{name}.delta", shape, FLOATS)


def _given(
    path: Path, tensors: Mapping[str, Tensor], category: str, width: int, nnz: int
) -> GivenBasis:
    """Return the stored V (r x r) and the support (nnz,) of a category."""
    support = tensor_of(path, tensors, f"support.{category}", (nnz,), INTEGERS)
    if nnz and not 0 <= int(support.min()) <= int(support.max()) < width**2:
        raise InputError(
            f"{path}: 'support.{category}' has entries outside of a {width} x {width} matrix. "
            f"{SAVE_AGAIN}"
        )
    return tensor_of(path, tensors, f"basis.{category}", (width, width), FLOATS), support


def _check_probes(
    path: Path | str, tensors: Mapping[str, Tensor], widths: Mapping[str, int], layers: int
) -> None:
    """Raise InputError unless all probes are there, in their shapes."""
    tensor_of(path, tensors, "left_probes", (layers, LEFT_PROBES), FLOATS)
    for category, width in widths.items():
        tensor_of(path, tensors, f"probe.{category}", (width,), FLOATS)


def _probes(layers: dict[str, FrodLinear]) -> dict[str, Tensor]:
    """Return the probes of every U and V, as a file stores them."""
    left = torch.stack([_left_probe(layer) for layer in layers.values()])
    bases = {f"probe.{name}": _basis_probe(shared) for name, shared in _shared(layers).items()}
    return {"left_probes": left, **bases}


def _basis_probe(shared: SharedBasis) -> Tensor:
    """Return V^T p (k,) in float64 for the fixed probe p_j = sin(j + 1), which identifies V."""
    basis = shared.basis.double().cpu()
    return basis.T @ _sines(len(basis), 1)[:, 0]


def _left_probe(layer: FrodLinear) -> Tensor:
    """Return q^T U P (4,) in float64 for fixed q (m,) and P (k x 4), which identifies U."""
    rows, width = layer.left.shape
    return _sines(rows, 1)[:, 0] @ layer.left.double().cpu() @ _sines(width, LEFT_PROBES)


def _sines(length: int, count: int) -> Tensor:
    """sin((j + 1) (c + 1)), (length x count), float64."""
    steps = torch.arange(1, length + 1, dtype=torch.float64, device="cpu")
    return torch.sin(steps[:, None] * steps[:count])


def _shared(layers: dict[str, FrodLinear]) -> dict[str, SharedBasis]:
    return {layer.shared.category: layer.shared for layer in layers.values()}


def _described(layers: Iterable[tuple[str, str, Tensor]]) -> dict[str, dict[str, str]]:
    """Map the name of each layer to its category and the digest of its weight."""
    names, categories, weights = zip(*layers, strict=True)
    return {
        name: {"category": category, "weight_sha256": digest}
        for name, category, digest in zip(names, categories, tensor_digests(weights), strict=True)
    }


def _check_base(categories: dict[str, list[Target]], saved: dict[str, Any], folder: Path) -> None:
    found = _described(
        (target.name, category, target.module.weight)
        for category, members in categories.items()
        for target in members
    )
    check_layers(found, saved, folder)
    for name, described in found.items():
        if described != saved[name]:
            raise InputError(
                f"The adapter in {folder} was trained on another base: the weight of {name!r} "
                "differs (in value, shape or type). Load the base that it was trained on, in the "
                "same type."
            )


def _mismatch(
    layers: dict[str, FrodLinear],
    supports: dict[str, str],
    saved: Iterable[str],
    tensors: Mapping[str, Tensor],
) -> str:
    """Name what differs from the saved V, U and supports; "" if nothing does."""
    for category, shared in _shared(layers).items():
        if tensor_digest(shared.support) != supports.get(category):
            return f"The support of {category!r}"
        errors = (_basis_probe(shared) - tensors[f"probe.{category}"]).abs()
        # Relative to each column, since the small ones of a badly scaled V matter equally.
        norms = torch.linalg.vector_norm(shared.basis.double().cpu(), dim=0)
        if not bool((errors <= _tolerance(shared.basis) * norms).all()):
            return f"The basis of {category!r} (its probe is off by {float(errors.max()):.1e})"
    for name, probe in zip(saved, tensors["left_probes"], strict=True):
        layer = layers[name]
        error = float((_left_probe(layer) - probe).abs().max())
        # U (m x k) has columns of norm 1: a relative error e moves the probe by about e sqrt(k)
        if not error <= _tolerance(layer.left) * layer.shared.width**0.5:
            return f"U of {name!r} (its probe is off by {error:.1e})"
    return ""


def _tolerance(factor: Tensor) -> float:
    return max(2e-5, 4 * torch.finfo(factor.dtype).eps)
