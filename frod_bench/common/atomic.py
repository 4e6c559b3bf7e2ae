"""Atomic writes: readers of a file see its old content or all of its new content."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARIES = ".*.partial"  # pattern of the names that `temporary` gives


def temporary(path: Path) -> Path:
    """A new name in the folder of `path`, which no other writer has on any machine."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`, in a folder made if needed, that replaces `path` if the
    body succeeds, once flushed to the disk; only a writer that is killed leaves it behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = temporary(path)
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
