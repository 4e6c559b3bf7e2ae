"""Atomic and durable writes.

Readers of a file see either its old content or all of its new content. Once a write has returned,
a power failure destroys neither the file nor the folders that were made for it.
"""

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARIES = ".*.partial"  # pattern of the names that `temporary` gives
# Errors of a file system that cannot flush folders, or of a user who may write to a folder but not
# read it.
NOT_FLUSHED = (errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES, errno.EPERM)


def temporary(path: Path) -> Path:
    """A new name in the folder of `path`, which no other writer has on any machine."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file next to `path`, which replaces `path` if the body succeeds.

    The folder is made if needed. The file is flushed to the disk before it replaces `path`. It is
    left behind only if the process is killed.
    """
    make_folder(path.parent)
    partial = temporary(path)
    partial.touch(exist_ok=False)
    mode = partial.stat().st_mode
    try:
        yield partial
        _flush(partial)
        partial.chmod(mode)  # some libraries write files that their owner alone can read
        partial.replace(path)
        flush_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the content of `path`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text`, in UTF-8."""
    write_bytes(path, text.encode())


def append_line(path: Path, line: str) -> None:
    """Add a line to a file that only its user can read, in one write, so that processes that add
    lines at once do not mix them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


@contextmanager
def writing_many() -> Iterator[Callable[[Path, bytes], None]]:
    """Yield a function that takes the place of `write_bytes` for thousands of files.

    All files appear when the body ends, in the order of the calls. The disk is flushed twice in
    total, and not once per file.
    """
    written: list[tuple[Path, Path]] = []

    def write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = temporary(path)
        written.append((partial, path))
        partial.write_bytes(content)

    try:
        yield write
        os.sync()
        for partial, path in written:
            partial.replace(path)
        os.sync()
    finally:
        for partial, _ in written:
            partial.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each of them flushed to the disk."""
    if folder.is_dir():
        return
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(made):  # the outermost first
        flush_folder(one.parent)


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, where the file system can."""
    try:
        _flush(folder)
    except OSError as error:
        if error.errno not in NOT_FLUSHED:
            raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
