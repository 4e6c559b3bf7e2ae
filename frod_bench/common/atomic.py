"""Atomic writes: readers of a file see its old content or all of its new content."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file, unique to its writer, that replaces `path` if the body succeeds.

    It is in the folder of `path`, which is made if it is missing, and is flushed to the disk
    before it is renamed. It is removed if the body raises; only a writer that is killed leaves a
    file `.*.partial`. Raises OSError if the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    partial.touch(exist_ok=False)
    mode = partial.stat().st_mode
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.chmod(mode)  # some libraries write files that their owner alone can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of `path`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text`, in UTF-8."""
    write_bytes(path, text.encode())
