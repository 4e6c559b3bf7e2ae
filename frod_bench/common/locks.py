"""One process at a time per cell: a lock file that the system releases when its holder dies.

The file is made when the lock is taken and removed, with the folders made for it, when it is
released, so that refused input leaves nothing. (`filelock` leaves its file and folders, and on a
file system without locks falls back to a file that blocks after its holder died.)
"""

import fcntl
import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

logger = logging.getLogger(__name__)

MOST_TRIES = 1000  # to make the file while other processes remove its folder
_held: set[Path] = set()  # by this process, which may ask for a lock that it already holds


@contextmanager
def locked(path: Path, label: str) -> Iterator[None]:
    """Hold the lock at `path`; wait, with a message about `label`, while another process has it.

    On a file system without locks the body runs without one, with a warning. Raises OSError if the
    file cannot be made.
    """
    with _opened(path, label, wait=True):
        yield


@contextmanager
def tried(path: Path, label: str) -> Iterator[bool]:
    """Yield whether this process holds the lock at `path` while the body runs, without waiting.

    True, too, if it held the lock before. Raises OSError if the file cannot be made.
    """
    if path in _held:
        yield True
        return
    with _opened(path, label, wait=False) as is_held:
        yield is_held


@contextmanager
def _opened(path: Path, label: str, wait: bool) -> Iterator[bool]:
    """Take the lock, run the body, release it; yield False if it is taken and `wait` is false."""
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    for tries_left in itertools.count(MOST_TRIES, -1):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a")
        except FileNotFoundError:  # the last holder removed its empty folder
            if tries_left <= 0:  # or it is a link that leads nowhere
                raise
            continue
        with stream:
            if not _take(stream, label, wait):
                yield False
                return
            if not _is_at(stream, path):  # the last holder has removed it
                continue
            _held.add(path)
            try:
                yield True
            finally:
                _held.discard(path)
                path.unlink(missing_ok=True)
                _remove_empty(made)
            return


def remove_empty(root: Path) -> None:
    """Remove `root` and the folders in it that are empty."""
    folders = [path for path in root.rglob("*") if path.is_dir()]
    for folder in sorted([root, *folders], reverse=True):
        with suppress(OSError):  # it holds something, or another process has removed it
            folder.rmdir()


def _take(stream: TextIO, label: str, wait: bool) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            return False
        logger.warning("%s: another process works on it; this one waits for it.", label)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        logger.warning("%s: %s cannot be locked (%s).", label, stream.name, error)
    return True


def _is_at(stream: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # something was left in it, or another process removed it
            return
