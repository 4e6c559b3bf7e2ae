"""Atomic writes: readers of a file see its old content or all of its new content."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".partial"  # of the temporary files; a writer that is killed leaves one


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file, unique to its writer, that replaces `path` if the body succeeds.

    It is in the folder of `path`, which is made if it is missing, and is flushed to the disk
    before it is renamed. It is removed if the body raises. Raises OSError if the folder or the
    file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=SUFFIX)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.chmod(0o644)  # mkstemp makes files that their owner alone can read
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text`, in UTF-8."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
