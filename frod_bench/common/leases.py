"""Leases: locks for file systems whose own locks are missing, or hold on one machine only.

A lease is a file that its holder creates exclusively and touches every few seconds. It names the
process that holds it. A lease is stale, and is taken over, once this process has ended; if the
process is on another machine, once the last touch is older than a limit.

A holder that is suspended for longer than the limit can lose its lease to another machine. It then
runs at the same time as the new holder, with a warning: a lease saves work, and does not guard
data.
"""

import errno
import glob
import hashlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from frod_bench.common import atomic

logger = logging.getLogger(__name__)

BEAT_SEC = 10.0  # between two touches
GUARDS = ".over-"  # in the names of leases that are held to take another one over
LIMIT_SEC = 120.0  # since the last touch, until the lease of another machine is stale
# Leases whose last touch is in the future -> the time of the touch, and this machine's monotonic
# time when the touch was first seen.
_from_the_future: dict[Path, tuple[float, float]] = {}


class Lease:
    """A lease that this process holds. A thread touches it until it is released."""

    def __init__(self, path: Path, content: str) -> None:
        self._path, self._content = path, content
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Remove the file, unless another process has taken the lease over.

        If the file server does not answer, this is tried again until this process ends; the lease
        then becomes stale. It is not an error, since the work under the lease is done.
        """
        self._ended.set()
        self._thread.join()
        try:
            self._remove()
        except OSError as error:
            logger.warning("%s: this lease cannot be removed yet (%s).", self._path, error)
            threading.Thread(target=self._remove_later, daemon=True).start()

    def _remove(self) -> None:
        if self._is_ours():
            self._path.unlink(missing_ok=True)
        with suppress(OSError):
            for guard in self._path.parent.glob(f"{glob.escape(self._path.name)}{GUARDS}*"):
                if _stale(guard) is not None:  # of who died after taking an earlier lease over
                    guard.unlink(missing_ok=True)

    def _remove_later(self) -> None:
        while True:
            time.sleep(BEAT_SEC)
            with suppress(OSError):
                self._remove()
                return

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SEC):
            with suppress(OSError):  # the file server is away; perhaps it is back at the next beat
                if not self._is_ours():
                    logger.warning("%s: another process has taken this lease over.", self._path)
                    return
                os.utime(self._path)  # without a time of ours, the file server takes its own

    def _is_ours(self) -> bool:
        try:
            return self._path.read_text(encoding="utf-8") == self._content
        except FileNotFoundError:
            return False


def take(path: Path) -> Lease | None:
    """Create the lease at `path`, in a folder that exists, or take over a stale one; None if
    another process has it.
    """
    content = json.dumps({**about_process(os.getpid()), "token": uuid.uuid4().hex})
    if _create(path, content) or _take_over(path, content):
        return Lease(path, content)
    return None


def is_held(path: Path) -> bool:
    """Whether a process holds the lease at `path`."""
    return path.exists() and _stale(path) is None


def about_process(pid: int) -> dict[str, Any]:
    """What tells a process of this machine from all others; `started` is None if it is gone."""
    return {**_place(), **_process(pid)}


def _create(path: Path, content: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as stream:
            try:
                stream.write(content)
                stream.flush()
            except OSError:  # no space: an empty lease would be in everybody's way
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        return False
    return True


def _take_over(path: Path, content: str) -> bool:
    """Replace a stale lease.

    Meanwhile the process holds a second lease, whose name belongs to this stale lease alone. It
    then checks again that the first lease is still the stale one, so that it does not replace the
    new lease of a faster process. A second lease whose holder died is taken over in the same way.
    """
    stale = _stale(path)
    if stale is None:
        return False
    guard = _guard_of(path, stale)
    if not (_create(guard, content) or _take_over(guard, content)):
        return False
    try:
        if _stale(path) != stale:
            return False
        ours = atomic.temporary(path)
        try:
            ours.write_text(content, encoding="utf-8")
            ours.replace(path)
        finally:
            ours.unlink(missing_ok=True)
    finally:
        with suppress(FileNotFoundError):
            if guard.read_text(encoding="utf-8") == content:  # nobody took it over in turn
                guard.unlink(missing_ok=True)
    return True


def _guard_of(path: Path, stale: str) -> Path:
    """The lease that is held while the `stale` one at `path` is replaced.

    The digest covers the name of `path`, too: a lease and its guard have the same content if both
    are empty, because their creators died before they wrote.
    """
    digest = hashlib.sha256(f"{path.name}\n{stale}".encode()).hexdigest()[:16]
    return path.with_name(f"{path.name.partition(GUARDS)[0]}{GUARDS}{digest}")


def _stale(path: Path) -> str | None:
    """The content of a lease that nobody holds any more; None if it is held or does not exist."""
    try:
        said = path.read_text(encoding="utf-8", errors="replace")
        noted = json.loads(said)
        is_here = {name: noted[name] for name in _place()} == _place()
        process = {name: noted[name] for name in _process(os.getpid())}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # its creator has not written it yet, or never will
        is_here = False
    if is_here:
        return said if _process(process["pid"]) != process else None
    age_sec = _age_sec(path)
    if age_sec < -LIMIT_SEC:  # the file server's clock was set back: it cannot tell for hours
        age_sec = _unchanged_sec(path)
    return said if age_sec > LIMIT_SEC else None


def _age_sec(path: Path) -> float:
    """The time since `path` was touched, by the clock of the file server alone; 0 if it cannot be
    asked, since nothing can be written there.
    """
    now = atomic.temporary(path)
    try:
        now.touch(exist_ok=False)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return 0.0
    try:
        with path.open("rb") as lease:  # on NFS only opening a file asks its server
            return now.stat().st_mtime - os.fstat(lease.fileno()).st_mtime
    except FileNotFoundError:  # it was released just now
        return 0.0
    finally:
        now.unlink(missing_ok=True)


def _unchanged_sec(path: Path) -> float:
    """How long this process has seen a lease with one and the same touch."""
    try:
        touched, now_sec = path.stat().st_mtime, time.monotonic()
    except FileNotFoundError:
        return 0.0
    known, since_sec = _from_the_future.get(path, (None, now_sec))
    if known != touched:
        _from_the_future[path] = touched, now_sec
        return 0.0
    return now_sec - since_sec


def _place() -> dict[str, str]:
    """Where process numbers mean the same: a machine since its start, or a container on it."""
    return {
        "host": socket.gethostname(),
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip(),
        "pid_namespace": str(Path("/proc/self/ns/pid").readlink()),
    }


def _process(pid: int) -> dict[str, Any]:
    """The number of a process and its start time, since numbers are used again. The start is None
    if the process has ended, even if its parent has not noticed this yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {"pid": pid, "started": None}
    state, *fields = stat.rpartition(")")[2].split()  # proc(5): a name with blanks comes before
    return {"pid": pid, "started": None if state in "ZX" else int(fields[18])}
