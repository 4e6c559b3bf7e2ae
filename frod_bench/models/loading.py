"""Errors of a backbone's files, told in one way: absent, gated, unreachable, damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from frod_bench.common.errors import InputError


@contextmanager
def readable(backbone: str | Path, part: str, needed_for: str) -> Iterator[None]:
    """Turn what `transformers` raises while it reads a checkpoint into one InputError.

    Args:
        backbone: a folder or a Hub id.
        part: what is being read, `tokenizer` say.
        needed_for: ends "A task on ... needs ...", for a checkpoint of the wrong kind.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        told = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"backbone: {backbone} has no {part} that can be read ({told}). {needed_for}; check "
            "backbones, model_root and, for a gated repository, that you are logged in."
        ) from error
