"""Locks, so that one process at a time works on a cell.

A lock is a file that the system unlocks when its holder dies. If the locks of the file system do
not reach every machine, a lease is used instead (`leases`). Both are removed on release, with the
folders that were made for them, so that refused input leaves nothing. The package `filelock` does
not remove them, and on a file system without locks its file outlives its holder.
"""

import errno
import fcntl
import glob
import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from frod_bench.common import leases

logger = logging.getLogger(__name__)

MOST_TRIES = 1000  # to make the file while other processes remove its folder
POLL_SEC = 1.0  # between two looks at a lease that another process holds
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# File systems on which a lock can succeed and hold on this machine alone: with one of these options
# of the mount, or always.
LOCAL_LOCKS: Mapping[str, frozenset[str]] = {
    "nfs": frozenset({"local_lock=flock", "local_lock=all", "nolock"}),
    "nfs4": frozenset({"local_lock=flock", "local_lock=all", "nolock"}),
    "lustre": frozenset({"localflock"}),
    "cifs": frozenset({"nobrl"}),
    "smb3": frozenset({"nobrl"}),
    "beegfs": frozenset(),
    "fuse.sshfs": frozenset(),
}
MOUNTS = Path("/proc/self/mountinfo")
_held: set[Path] = set()  # by this process, which may ask for a lock that it already holds


@contextmanager
def locked(path: Path, label: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock at `path` while the body runs, and yield True.

    While another process has the lock, wait for it, with a message about `label`. Without `wait`,
    yield False at once if another process has it, and True if this process has it already. Raises
    OSError if the file cannot be made.
    """
    if path in _held and not wait:
        yield True
        return
    with ExitStack() as lock:
        lock.enter_context(leaving_no_folder(path.parent))
        try:
            is_ours = lock.enter_context(_flocked(path, label, wait))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            is_ours = lock.enter_context(_leased(path, label, wait))
        if is_ours:
            lock.callback(_held.discard, path)
            _held.add(path)
        yield is_ours


def is_held(path: Path) -> bool:
    """Whether a process, this one included, has the lock at `path`."""
    if path in _held or leases.is_held(_lease_path(path)):
        return True
    try:
        with path.open("r") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return False


def files_of(path: Path) -> list[Path]:
    """What may be left of the lock at `path`: its file, its lease, and leases to take that over."""
    lease = _lease_path(path)
    return [path, lease, *sorted(path.parent.glob(f"{glob.escape(lease.name)}{leases.GUARDS}*"))]


@contextmanager
def leaving_no_folder(folder: Path) -> Iterator[None]:
    """Remove `folder` and those around it when the body has ended, if they are empty and were not
    there before.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]  # the innermost first
    try:
        yield
    finally:
        with suppress(OSError):  # something is in it, or another process has removed it
            for one in made:
                one.rmdir()


def remove_empty(root: Path) -> None:
    """Remove `root` and the folders in it that are empty, except those of cells that run."""
    folders = [Path(name) for name, _, _ in os.walk(root)]  # others may remove some meanwhile
    for folder in sorted([root, *folders], reverse=True):
        lock = folder.with_name(f"{folder.name}.lock")
        if lock.exists() or _lease_path(lock).exists():  # it may be about to be written to
            continue
        with suppress(OSError):  # it holds something, or another process has removed it
            folder.rmdir()


@contextmanager
def _flocked(path: Path, label: str, wait: bool) -> Iterator[bool]:
    """As `locked`, by the system's lock. Raises OSError of `NO_LOCKS` if that does not do."""
    for tries_left in itertools.count(MOST_TRIES, -1):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_local_locks(path.parent)
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
            try:
                yield True
            finally:
                _remove(path, stream)
            return


def _remove(path: Path, stream: TextIO) -> None:
    """Remove a lock's file, if it is still this one.

    It is not an error if the file server does not answer: the work under the lock is done, and
    closing the file releases the lock.
    """
    try:
        if _is_at(stream, path):
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s: this lock cannot be removed (%s).", path, error)


def _take(stream: TextIO, label: str, wait: bool) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not wait:
            return False
        _say_that_it_waits(label)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in NO_LOCKS:  # nobody else can lock this file either
            Path(stream.name).unlink(missing_ok=True)
        raise
    return True


@contextmanager
def _leased(path: Path, label: str, wait: bool) -> Iterator[bool]:
    """As `locked`, by a lease."""
    lease = _lease_now(path)
    if lease is None and wait:
        _say_that_it_waits(label)
        while (lease := _lease_now(path)) is None:
            time.sleep(POLL_SEC)
    try:
        yield lease is not None
    finally:
        if lease is not None:
            lease.release()


def _lease_now(path: Path) -> leases.Lease | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return leases.take(_lease_path(path))
    except FileNotFoundError:  # the last holder removed its empty folder
        return None


def _say_that_it_waits(label: str) -> None:
    logger.warning("%s: another process works on it; this one waits for it.", label)


def _lease_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.lease")


def _refuse_local_locks(folder: Path) -> None:
    """Raise OSError (ENOLCK) if locks in a folder hold on this machine alone."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        of_mount, _, of_system = line.partition(" - ")  # proc(5)
        if of_mount.split()[2] != number:
            continue
        kind, _, options = of_system.split(" ", 2)
        needed = LOCAL_LOCKS.get(kind)
        if needed is not None and (not needed or needed & set(options.split(","))):
            raise OSError(errno.ENOLCK, f"locks of this {kind} hold on one machine", str(folder))


def _is_at(stream: TextIO, path: Path) -> bool:
    """Whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
