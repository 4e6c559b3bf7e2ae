"""One process at a time per cell: a lock file that the system releases when its holder dies. It is
removed on release, with the folders made for it, so that refused input leaves nothing; `filelock`
leaves them, and on a file system without locks its file outlives its holder.
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
def locked(path: Path, label: str, *, wait: bool = True) -> Iterator[bool]:
    """Run the body with the lock at `path`; yields True. While another process has it, wait with a
    message about `label`, or without `wait` yield False (a lock that this process holds already
    counts as held). On a file system without locks the body runs without one, with a warning.
    Raises OSError if the file cannot be made.
    """
    if path in _held and not wait:
        yield True
        return
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
                with suppress(OSError):  # something was left in it, or another process removed it
                    for folder in made:
                        folder.rmdir()
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
