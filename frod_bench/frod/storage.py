"""What is on disk: adapter files, which may be damaged or of another model, and joint bases.

Joint bases are cached by a hash of the weights and settings that they are computed from. An entry
is written atomically, with a checksum; a damaged one is computed again.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor
from torch.distributed.tensor import DTensor

from ..common.atomic import replacing
from ..common.errors import InputError
from ..common.paths import cache_dir
from .basis import JointBasis
from .config import FrodConfig
from .core import whole

FLOAT_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
SAVE_AGAIN = "Save the adapter again, or copy it again."

logger = logging.getLogger(__name__)

# Part of every key. Increase it if the same input gives another basis or another file.
ENTRY_VERSION = 5

_unwritable: set[Path] = set()  # folders about which this process has warned


def read_bytes(path: Path) -> bytes:
    """Return the content of an adapter's file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path.parent} is not a FRoD adapter: {path} is missing. "
            "Give a folder that save_frod or PEFT wrote."
        ) from None
    except OSError as error:  # a folder in place of a file, or the other way round
        raise InputError(f"{path} cannot be read ({error.strerror}). {SAVE_AGAIN}") from None


def read_json(path: Path) -> Any:
    """Return the content of an adapter's JSON file."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # the latter if it is nested too deeply
        raise damaged(path) from None


def tensors_in(path: Path, content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file."""
    try:
        return aligned(load(content))
    except (SafetensorError, KeyError, ValueError):  # KeyError: a type that torch does not have
        raise damaged(path) from None


@dataclass(frozen=True)
class Stored:
    """Tensors by name from a file, or another `source`, that need not be what they should be.

    Each getter returns a finite tensor of a shape and type, or raises InputError if it is missing
    or something else; the message names the source and the tensor.
    """

    source: Path | str
    tensors: Mapping[str, Tensor]

    def floats(self, name: str, *shape: int) -> Tensor:
        """Return a tensor of a floating-point type."""
        return self._checked(name, shape, FLOAT_TYPES, "a floating-point type")

    def integers(self, name: str, *shape: int) -> Tensor:
        """Return a tensor of int64."""
        return self._checked(name, shape, (torch.int64,), "int64")

    def like(self, name: str, wanted: Tensor) -> Tensor:
        """Return a tensor that can be copied into `wanted`: of its shape and kind of type."""
        if wanted.is_floating_point():
            return self.floats(name, *wanted.shape)
        return self._checked(name, tuple(wanted.shape), (wanted.dtype,), str(wanted.dtype))

    def _checked(
        self, name: str, shape: tuple[int, ...], types: tuple[torch.dtype, ...], expected: str
    ) -> Tensor:
        found = self.tensors.get(name)
        if found is None:
            problem = "is missing"
        elif tuple(found.shape) != shape:
            problem = f"has shape {tuple(found.shape)}, expected {shape}"
        elif found.dtype not in types:
            problem = f"is {found.dtype}, expected {expected}"
        elif not bool(found.isfinite().all()):
            problem = "has NaN or infinite values"
        else:
            return found
        raise InputError(f"{self.source}: {name!r} {problem}. {SAVE_AGAIN}")


def aligned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy views into a file to aligned memory: products of the views could round differently."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def contents(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as safetensors stores them: whole, contiguous, on the CPU."""
    return {name: whole(tensor.detach()).cpu().contiguous() for name, tensor in tensors.items()}


def damaged(path: Path) -> InputError:
    """Return the error for a file whose content is not what was written."""
    return InputError(f"{path} is truncated or damaged. {SAVE_AGAIN}")


def check_layers(found: Iterable[str], saved: Iterable[str], folder: Path) -> None:
    """Raise InputError unless the model's target layers are those of the adapter in `folder`."""
    unmatched = sorted(set(found) ^ set(saved))
    if unmatched:
        raise InputError(
            f"The adapter in {folder} adapts other layers than this model has: {unmatched[0]!r} is "
            "in only one of them. Load the base that it was trained on."
        )


def tensor_digest(tensor: Tensor) -> str:
    """Return the SHA-256 of a tensor's type, shape and row-major values, wherever these are."""
    digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    flat = whole(tensor.detach()).cpu().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tensor_digests(tensors: Iterable[Tensor]) -> list[str]:
    """Compute `tensor_digest` of each, in as many threads as torch uses.

    Sharded ones in turn: all processes must gather them in the same order.
    """
    tensors = list(tensors)
    if any(isinstance(tensor, DTensor) for tensor in tensors):
        return list(map(tensor_digest, tensors))
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return list(threads.map(tensor_digest, tensors))


def basis_cache_dir(folder: Path | None = None) -> Path:
    """Return `folder`, by default `frod_basis` in $FROD_BENCH_CACHE or the user's cache folder."""
    return cache_dir() / "frod_basis" if folder is None else Path(folder)


def basis_key(config: FrodConfig, blocks: list[int], weights: list[Tensor], *, by_P: bool) -> str:
    """Hash the weights of a category and the settings that affect its basis."""
    described: dict[str, object] = {
        "version": ENTRY_VERSION,
        "basis": config.basis,
        "regularization": config.regularization,
        "blocks": blocks,
        "by_inverse": by_P,
        "weights": tensor_digests(weights),
    }
    if config.basis == "random":
        described["seed"] = config.seed
    if config.basis == "peft":  # in float32, like PEFT: roundoff depends on these two
        described |= {"torch": str(torch.__version__), "threads": torch.get_num_threads()}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def cached_basis(key: str, build: Callable[[], JointBasis], folder: Path) -> JointBasis:
    """Return the entry `key` of `folder`, or the result of `build`, which is stored if possible."""
    path = folder / f"{key}.safetensors"
    found = _read(path)
    if found is not None:
        return found
    built = build()
    try:
        _write(path, built)
    except (OSError, SafetensorError) as error:  # the latter if the disk is full
        if folder not in _unwritable:
            logger.warning("Bases are not cached: %s cannot be written (%s).", folder, error)
            _unwritable.add(folder)
    return built


def _read(path: Path) -> JointBasis | None:
    """Return the entry at `path`, or None if it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as entry:
            checksum = (entry.metadata() or {}).get("sha256")
            tensors = aligned({name: entry.get_tensor(name) for name in entry.keys()})  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        logger.warning("Cannot read the cached basis %s (%s); computing it again.", path, error)
        return None
    if checksum != _checksum(path.stem, tensors):
        logger.warning("The cached basis %s has a wrong checksum; computing it again.", path)
        return None
    layers = range(sum(name.startswith("scale.") for name in tensors))
    P = tensors.get("inverse_transposed")
    return JointBasis(
        tensors["basis_transposed"].T,
        [tensors[f"left_transposed.{index}"].T for index in layers] if P is None else [],
        [tensors[f"scale.{index}"] for index in layers],
        None if P is None else P.T,
    )


def _write(path: Path, entry: JointBasis) -> None:
    """Write V (`basis`), the U_i (`left`) or P (`inverse`), and the lambda_i (`scale`)."""
    tensors = {"basis_transposed": entry.V.T}
    if entry.P is not None:
        tensors["inverse_transposed"] = entry.P.T
    tensors |= {f"left_transposed.{index}": U.T for index, U in enumerate(entry.U)}
    tensors |= {f"scale.{index}": lambda_0 for index, lambda_0 in enumerate(entry.lambda_0)}
    tensors = contents(tensors)
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={"sha256": _checksum(path.stem, tensors)})


def _checksum(key: str, tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of an entry: its key and its tensors' names, types, shapes and values."""
    digest = hashlib.sha256(f"{key};".encode())
    names = sorted(tensors)
    digests = tensor_digests(tensors[name] for name in names)
    for name, content in zip(names, digests, strict=True):
        digest.update(f"{name}:{content};".encode())
    return digest.hexdigest()
