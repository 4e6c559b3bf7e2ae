"""Reading adapter files that may be damaged or of another model."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from ..common.errors import InputError


def read_bytes(path: Path) -> bytes:
    """The file's content; InputError where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path.parent} is not a FRoD adapter: {path} is missing. "
            "Name a folder that save_frod or PEFT wrote."
        ) from None


def tensors_in(path: Path, content: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file; InputError where it is damaged."""
    try:
        return owned(load(content))
    except SafetensorError:
        raise damaged(path) from None


def owned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same values in memory that torch allocates, which begins at a multiple of 64 bytes.

    What safetensors returns are views into the file, at any multiple of 8 bytes. Some processors'
    matrix products round differently there, so that what is read would not compute what was saved,
    bit for bit; they are slower there, too.
    """
    return {name: tensor.clone() for name, tensor in tensors.items()}


def damaged(path: Path) -> InputError:
    """The error for a file that is not as it was written."""
    return InputError(f"{path} is truncated or damaged. Save the adapter again, or copy it anew.")


def check_layers(found: Iterable[str], saved: Iterable[str], folder: Path) -> None:
    """Raise InputError unless a model's target layers are those of the adapter in `folder`."""
    odd = sorted(set(found) ^ set(saved))
    if odd:
        raise InputError(
            f"The adapter in {folder} adapts other layers than this model has; the first that "
            f"only one of them knows is {odd[0]!r}. Load the base that it was trained on."
        )
