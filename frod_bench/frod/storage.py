"""Adapter files, which may be missing, damaged or of another model; each raises InputError then."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..common.errors import InputError


def read_bytes(path: Path) -> bytes:
    """Return the content of an adapter's file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path.parent} is not a FRoD adapter: {path} is missing. "
            "Give a folder that save_frod or PEFT wrote."
        ) from None


def read_json(path: Path) -> Any:
    """Return the content of an adapter's JSON file."""
    content = read_bytes(path)
    try:
        return json.loads(content)
    except ValueError:
        raise damaged(path) from None


def tensors_in(path: Path, content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file."""
    try:
        return aligned(load(content))
    except SafetensorError:
        raise damaged(path) from None


def aligned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors from views into a file, aligned to 8 bytes, into memory that torch allocates.

    Matrix products with the views would round differently on some processors.
    """
    return {name: tensor.clone() for name, tensor in tensors.items()}


def contents(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as safetensors stores them: contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def damaged(path: Path) -> InputError:
    """Return the error for a file whose content is not what was written."""
    return InputError(f"{path} is truncated or damaged. Save the adapter again, or copy it again.")


def check_layers(found: Iterable[str], saved: Iterable[str], folder: Path) -> None:
    """Raise InputError unless the model's target layers are those of the adapter in `folder`."""
    unmatched = sorted(set(found) ^ set(saved))
    if unmatched:
        raise InputError(
            f"The adapter in {folder} adapts other layers than this model has: {unmatched[0]!r} is "
            "in only one of them. Load the base that it was trained on."
        )
