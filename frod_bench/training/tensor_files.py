"""Safetensors files that are named after the SHA-256 of their content, so that damage of any kind
is found before anything in a file is interpreted.
"""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from frod_bench.common import atomic
from frod_bench.records.store import digest_of

ENDING = ".safetensors"


def write(
    folder: Path, stem: str, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> Path:
    """Write `<stem>-<SHA-256>.safetensors`, durably, and return its path. Raises OSError or
    SafetensorError if that fails, and leaves no file.
    """
    unnamed = atomic.temporary(folder / stem)  # its own: another process may write the same stem
    with atomic.replacing(unnamed) as partial:
        save_file(tensors, partial, metadata)
    try:
        return unnamed.rename(folder / f"{stem}-{digest_of(unnamed)['sha256']}{ENDING}")
    finally:
        unnamed.unlink(missing_ok=True)
        atomic.flush_folder(folder)


def find(folder: Path, stem: str) -> list[Path]:
    """The files that `write` named so, of any content, the last stem first."""
    return sorted(folder.glob(f"{stem}-*{ENDING}"), reverse=True)


def read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file. Raises ValueError if it is not as it was written,
    OSError if it cannot be read.
    """
    if digest_of(file)["sha256"] != file.stem.rpartition("-")[2]:
        raise ValueError("its content is not the one that its name has the SHA-256 of")
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata() or {}
    return load_file(file), metadata
