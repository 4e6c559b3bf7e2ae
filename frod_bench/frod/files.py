"""Save the trained values of an adapter, and attach it again to its base.

Our own format has fingerprints, too, that detect another base or basis (docs/explanation/method.md,
section 6, describes the two files of a folder); `peft_format` reads and writes PEFT's.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..common.atomic import write_bytes
from ..common.errors import InputError, did_you_mean
from . import peft_format, storage
from .adapter import GivenBasis, attached_layers, build_layers, install, plain_targets
from .config import FrodConfig
from .core import SharedBasis, support_size
from .layer import FrodLinear
from .storage import SAVE_AGAIN, Stored, tensor_digest

M = TypeVar("M", bound=nn.Module)

AdapterFormat = Literal["native", "peft"]

SCHEMA_VERSION = 3
READABLE = (2, 3)  # version 2 stores lambda instead of its difference from lambda_0
TENSORS_NAME = "frod_adapter.safetensors"
SETTINGS_NAME = "frod_adapter.json"
FIELDS: dict[str, type] = {
    "config": dict,
    "layers": dict,
    "supports": dict,
    "include_basis": bool,
    "tensors_sha256": str,
}
KINDS = {dict: "a mapping", bool: "true or false", str: "a text"}
U_PROBES = 4  # numbers stored per U
DIGEST_BYTES = 32  # of SHA-256


def save_frod(
    model: nn.Module,
    folder: Path | str,
    *,
    include_basis: bool = False,
    format: AdapterFormat = "native",
) -> None:
    """Write the adapter of `model` into `folder`, each file atomically.

    A head that was trained with it is not part of the adapter: save its state dict separately.
    If FSDP2 shards the model, every process must call this; each writes the same files.

    Args:
        model: the adapted model, also inside `torch.compile`, DDP or DataParallel.
        folder: created if it does not exist.
        include_basis: whether to store V and the support too (4 k^2 bytes per category in float32),
            so that the adapter can be loaded where V is computed differently. PEFT's format always
            contains them.
        format: `native`, or `peft` for a folder that `peft.PeftModel.from_pretrained` opens.

    Raises:
        InputError: FRoD is not attached; the format is unknown; or it is `peft` and the basis of
            the adapter is not the one that PEFT computes.
    """
    formats = get_args(AdapterFormat)
    if format not in formats:
        raise InputError(f"format={format!r} is unknown.{did_you_mean(str(format), formats)}")
    model = _unwrapped(model)
    layers = attached_layers(model)
    folder = Path(folder)
    if format == "peft":
        peft_format.write(layers, folder, base_name=getattr(model, "name_or_path", None))
    else:
        _write(layers, folder, include_basis=include_basis)


def load_frod(base_model: M, folder: Path | str, *, cache_dir: Path | None = None) -> M:
    """Attach the adapter in `folder`, in either format, to its base model in place.

    From a folder in PEFT's format V is read, and U is computed from this V, which PEFT itself does
    not do. Modules that were saved with the adapter (`modules_to_save`) are copied into the model.

    Args:
        base_model: the plain base.
        folder: what `save_frod` or PEFT wrote.
        cache_dir: as for `attach_frod`.

    Returns:
        The same model.

    Raises:
        InputError: a file is missing, damaged or of another schema; the base's weights are not
            those that the adapter was trained on; or the basis computed from them is not the one it
            was trained with. The model is then left unchanged.
    """
    folder = Path(folder)
    names = SETTINGS_NAME, peft_format.SETTINGS_NAME
    ours, theirs = ((folder / name).exists() for name in names)
    if ours and theirs:
        raise InputError(
            f"{folder} contains two adapters, one in our format ({names[0]}) and one in PEFT's "
            f"({names[1]}). Keep them in separate folders."
        )
    saved_modules: dict[str, Tensor] = {}
    if theirs:
        layers, saved_modules = peft_format.read(base_model, folder)
    else:
        layers = _read(base_model, folder, cache_dir)
    state = base_model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, value in saved_modules.items():
            state[name].copy_(value)
    install(base_model, layers)
    return base_model


def adapter_probes(model: nn.Module) -> dict[str, Tensor]:
    """Return small tensors that identify V, the U and the supports of `model`.

    Store them with the trained values if these are saved by other means than `save_frod`. If FSDP2
    shards the model, every process must call this.

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
    stored = Stored("the saved probes", kept)
    supports = {
        name: bytes(stored.integers(f"support_sha256.{name}", DIGEST_BYTES).tolist()).hex()
        for name in _shared(layers)
    }
    if mismatch := _mismatch(layers, supports, layers, stored):
        raise InputError(
            f"{mismatch} computed here is not the one that the saved values were trained with. "
            "Load them with the library versions and thread count that they were saved with."
        )


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside the wrappers of `torch.compile`, DDP and DataParallel."""
    while True:
        if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _write(layers: dict[str, FrodLinear], folder: Path, *, include_basis: bool) -> None:
    """Write an adapter in our format."""
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        tensors |= {f"{name}.delta": layer.delta, f"{name}.rotation": layer.rotation}
    tensors |= _probes(layers)
    bases = _shared(layers)
    if include_basis:
        for category, shared in bases.items():
            tensors |= {f"basis.{category}": shared.V, f"support.{category}": shared.support}
    content = save(storage.contents(tensors))
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


def _read(model: nn.Module, folder: Path, cache_dir: Path | None) -> dict[str, FrodLinear]:
    """Return layers for the plain `model` with the trained values of an adapter in our format.

    If U computed from a stored V is another U, both are computed from the weights.
    """
    settings, config = _settings(folder / SETTINGS_NAME)
    saved, supports, has_basis = (settings[key] for key in ("layers", "supports", "include_basis"))
    path = folder / TENSORS_NAME
    content = storage.read_bytes(path)
    if hashlib.sha256(content).hexdigest() != settings["tensors_sha256"]:
        raise storage.damaged(path)
    stored = Stored(path, storage.tensors_in(path, content))
    searched = config
    if isinstance(config.target_modules, str):  # matching an untrusted pattern may never end
        names = "|".join(map(re.escape, saved))  # full names only: a list would match suffixes, too
        searched = replace(config, target_modules=names or list(saved))
    try:
        categories = plain_targets(model, searched)
    except InputError:
        if searched is not config:  # its message would quote a pattern that nobody wrote
            existing = dict(model.named_modules())
            storage.check_layers((name for name in saved if name in existing), saved, folder)
        raise
    found = _described(
        (target.name, category, target.module.weight)
        for category, members in categories.items()
        for target in members
    )
    _check_base(found, saved, folder)
    mismatch = ""
    if has_basis:
        widths = {name: members[0].width for name, members in categories.items()}
        given = {
            name: _given(stored, name, width, support_size(width, config.sparse_rate))
            for name, width in widths.items()
        }
        layers = build_layers(categories, config, given=given)
        mismatch = _mismatch(layers, supports, saved, stored)
    if mismatch or not has_basis:
        layers = build_layers(categories, config, storage.basis_cache_dir(cache_dir))
        mismatch = _mismatch(layers, supports, saved, stored)
    if mismatch:
        raise InputError(
            f"{mismatch} computed here is not the one that the adapter in {folder} was trained "
            "with. Load it where it was saved, with the same library versions and thread count, "
            "and save it with include_basis=True; adapters with basis='exact' depend on neither."
        )
    with torch.no_grad():
        for name, layer in layers.items():
            field = "lambda" if f"{name}.lambda" in stored.tensors else "delta"
            delta = stored.floats(f"{name}.{field}", *layer.lambda_0.shape)
            if field == "lambda":  # in version 2 of the format
                delta = delta.to(layer.lambda_0) - layer.lambda_0
            layer.delta.copy_(delta)
            layer.rotation.copy_(stored.floats(f"{name}.rotation", *layer.rotation.shape))
    return layers


def _settings(path: Path) -> tuple[dict[str, Any], FrodConfig]:
    """Return what an adapter's JSON file says, with all of `FIELDS`, and its config."""
    settings = storage.read_json(path)
    if not isinstance(settings, dict) or settings.get("schema_version") not in READABLE:
        raise InputError(
            f"{path}: schema_version must be one of {', '.join(map(str, READABLE))}. "
            "Save the adapter again."
        )
    for field, kind in FIELDS.items():
        if not isinstance(value := settings.get(field), kind):
            raise InputError(f"{path}: {field}={value!r} must be {KINDS[kind]}. {SAVE_AGAIN}")
    for name, entry in settings["layers"].items():
        described = entry if isinstance(entry, dict) else {}
        for field in ("category", "weight_sha256"):
            _check_text(described.get(field), f"layers[{name!r}][{field!r}]", path)
        category = described["category"]
        _check_text(settings["supports"].get(category), f"supports[{category!r}]", path)
    try:
        return settings, FrodConfig(**settings["config"])
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: config: {error}") from None


def _check_text(value: object, field: str, path: Path) -> None:
    if not isinstance(value, str):
        raise InputError(f"{path}: {field}={value!r} must be a text. {SAVE_AGAIN}")


def _given(stored: Stored, category: str, width: int, nnz: int) -> GivenBasis:
    """Return the stored V (r x r) and the support (nnz,) of a category."""
    support = stored.integers(f"support.{category}", nnz)
    if nnz and not 0 <= int(support.min()) <= int(support.max()) < width**2:
        raise InputError(
            f"{stored.source}: 'support.{category}' has entries outside of a {width} x {width} "
            f"matrix. {SAVE_AGAIN}"
        )
    return stored.floats(f"basis.{category}", width, width), support


def _described(layers: Iterable[tuple[str, str, Tensor]]) -> dict[str, dict[str, str]]:
    """Map the name of each layer to its category and the digest of its weight."""
    names, categories, weights = zip(*layers, strict=True)
    digests = storage.tensor_digests(weights)
    return {
        name: {"category": category, "weight_sha256": digest}
        for name, category, digest in zip(names, categories, digests, strict=True)
    }


def _check_base(found: dict[str, dict[str, str]], saved: dict[str, Any], folder: Path) -> None:
    """Raise InputError unless the model's target layers are those that were saved."""
    storage.check_layers(found, saved, folder)
    for name, described in found.items():
        if described != saved[name]:
            raise InputError(
                f"The adapter in {folder} was trained on another base: the weight of {name!r} "
                "differs (in value, shape or type). Load the base that it was trained on, in the "
                "same type."
            )


def _shared(layers: dict[str, FrodLinear]) -> dict[str, SharedBasis]:
    return {layer.shared.category: layer.shared for layer in layers.values()}


def _probes(layers: dict[str, FrodLinear]) -> dict[str, Tensor]:
    """Return the probes of every U and V, as a file stores them."""
    of_U = torch.stack([_U_probe(layer) for layer in layers.values()])
    of_V = {f"probe.{name}": _V_probe(shared) for name, shared in _shared(layers).items()}
    return {"left_probes": of_U, **of_V}


def _V_probe(shared: SharedBasis) -> Tensor:
    """Return V^T p (k,) in float64 for the fixed probe p_j = sin(j + 1), which identifies V."""
    V = shared.V.double().cpu()
    return V.T @ _sines(len(V), 1)[:, 0]


def _U_probe(layer: FrodLinear) -> Tensor:
    """Return q^T U A (4,) in float64 for fixed q (m,) and A (k x 4), which identifies U."""
    rows, width = layer.U.shape
    return _sines(rows, 1)[:, 0] @ layer.U.double().cpu() @ _sines(width, U_PROBES)


def _sines(length: int, count: int) -> Tensor:
    """sin((j + 1) (c + 1)), (length x count), float64."""
    steps = torch.arange(1, length + 1, dtype=torch.float64, device="cpu")
    return torch.sin(steps[:, None] * steps[:count])


def _mismatch(
    layers: dict[str, FrodLinear], supports: dict[str, str], saved: Iterable[str], stored: Stored
) -> str:
    """Name what differs from the saved V, U and supports; "" if nothing does.

    Raises InputError if a probe is missing or damaged.
    """
    bases = _shared(layers)
    of_U = stored.floats("left_probes", len(layers), U_PROBES)
    of_V = {name: stored.floats(f"probe.{name}", one.width) for name, one in bases.items()}
    for category, shared in bases.items():
        if tensor_digest(shared.support) != supports.get(category):
            return f"The support of {category!r}"
        errors = (_V_probe(shared) - of_V[category]).abs()
        # Relative to each column, since the small ones of a badly scaled V matter equally.
        norms = torch.linalg.vector_norm(shared.V.double().cpu(), dim=0)
        if not bool((errors <= _tolerance(shared.V) * norms).all()):
            return f"The basis of {category!r} (its probe is off by {float(errors.max()):.1e})"
    for name, probe in zip(saved, of_U, strict=True):
        layer = layers[name]
        error = float((_U_probe(layer) - probe).abs().max())
        # U (m x k) has columns of norm 1: a relative error e moves the probe by about e sqrt(k)
        if not error <= _tolerance(layer.weight) * layer.shared.width**0.5:
            return f"U of {name!r} (its probe is off by {error:.1e})"
    return ""


def _tolerance(factor: Tensor) -> float:
    return max(2e-5, 4 * torch.finfo(factor.dtype).eps)
