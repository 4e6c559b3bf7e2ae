"""What runs that were killed leave in a results folder: checkpoints that nobody resumes from,
temporary files, locks, and the files that were set aside. Whether a process still needs one of them
is decided by the lock of its cell.
"""

import os
import re
import shutil
import time
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from frod_bench.cells.cell import Cell
from frod_bench.common import atomic, locks
from frod_bench.common.paths import is_published
from frod_bench.records import store

CHECKPOINT, ASIDE = "checkpoint", "set aside"
TEMPORARY, LOCK = "temporary", "lock"
BEST = "best*.safetensors"  # the best step's parameters, of no use without a checkpoint
UNNAMED = ".tmp??????"  # what safetensors writes first, beside the file that it is to make
TEMPORARIES = (atomic.TEMPORARIES, UNNAMED)
# Locks that are not a cell's, below the results root and in the cache. Others make them there:
# `sweep.job_list` and `embedded.mirror`.
JOBS_LOCK, MIRROR_LOCK = Path("jobs", "jobs.lock"), Path(".embedded_mirror.lock")
STALE_SEC = 3600.0  # since the last write to a temporary file that is not a cell's
_ASIDE = re.compile(r".+\.json\.(invalid|failed|diverged)-\d+(\..+)?|.+\.\w+\.invalid-\d+")
_KINDS = ("records", "checkpoints", "adapters")


class Place(NamedTuple):
    """Where a cell's files are, by their names alone."""

    results_dir: Path  # <results root>/<profile>
    task: str
    method: str
    stem: str  # <seed>-<hash>

    def folder(self, kind: str) -> Path:
        """The folder of the cell's files of a kind, which cells of one task and method share."""
        return self.results_dir / kind / self.task / self.method

    @property
    def lock(self) -> Path:
        """As `Cell.lock_path`."""
        return self.folder("checkpoints") / f"{self.stem}.lock"

    @property
    def checkpoints(self) -> Path:
        """As `Cell.place("checkpoints")`."""
        return self.folder("checkpoints") / self.stem


class Leftover(NamedTuple):
    """A file, or a folder of checkpoints or in a file's place, that may be deleted."""

    path: Path
    kind: str  # CHECKPOINT | ASIDE | TEMPORARY | LOCK
    lock: Path | None  # that its writer holds, of its cell or not
    place: Place | None  # of its cell
    size_bytes: int


def remove_temporaries(cell: Cell) -> None:
    """Remove the temporary files of earlier tries of a cell, whose lock the caller has."""
    place = Place(cell.results_dir, cell.task, cell.method, cell.record_path.stem)
    beside = [place.folder(kind).glob(f".{place.stem}{atomic.TEMPORARIES}") for kind in _KINDS]
    within = [place.checkpoints.glob(pattern) for pattern in TEMPORARIES]
    for found in (*beside, *within):
        for path in found:
            path.unlink(missing_ok=True)


def find(root: Path) -> list[Leftover]:
    """All leftovers below `root` that no process holds, in order of path."""
    found = []
    for name, folders, files in os.walk(root):
        folder = Path(name)
        if is_published(folder):
            folders.clear()
            continue
        for path in (folder, *(folder / file for file in files)):
            if (one := _leftover(path, root)) is not None and not _is_used(one):
                found.append(one)
    found += _lone_locks(root / JOBS_LOCK)
    inside = {one.path for one in found if one.kind == CHECKPOINT}
    return sorted(one for one in found if one.path.parent not in inside)


def find_in_cache(folder: Path) -> list[Leftover]:
    """The temporary files and folders in a cache that nobody writes to, and its locks that nobody
    holds, in order of path.
    """
    found = (
        Leftover(path, TEMPORARY, None, None, _size_bytes(path))
        for pattern in TEMPORARIES
        for path in folder.rglob(pattern)
    )
    unused = [one for one in found if not _is_used(one)]
    return sorted([*unused, *_lone_locks(folder / MIRROR_LOCK)])


def remove(leftover: Leftover) -> bool:
    """Remove a leftover under its lock, if it has one; False if a process needs it by now."""
    lock = leftover.lock
    if lock is None:
        _delete(leftover.path)
        return True
    with locks.locked(lock, lock.stem, wait=False) as is_ours:
        place = leftover.place
        if not is_ours or (place and _kind(leftover.path, place) != leftover.kind):
            return False
        _delete(leftover.path)
    return True


def _delete(path: Path) -> None:
    if path.is_dir():  # checkpoints, half a data set, or a folder in the place of a file
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def place_of(path: Path, root: Path) -> Place | None:
    """The cell that a file or a folder of checkpoints below `root` belongs to; None if it is not a
    cell's, or if its name does not say.
    """
    in_method, in_cell = path, path.parent  # it is in the folder of a method, or of a cell
    for own in (in_cell,) if _is_unnamed(path) else (in_method, in_cell):
        above = own.parents
        if len(above) > 3 and above[2].name in _KINDS and above[2].is_relative_to(root):
            stem = own.name.removeprefix(".").partition(".")[0]
            return Place(above[3], above[1].name, above[0].name, stem)
    return None


def _leftover(path: Path, root: Path) -> Leftover | None:
    place = place_of(path, root)
    kind = _kind(path, place)
    if kind is None:
        return None
    return Leftover(path, kind, place and place.lock, place, _size_bytes(path))


def _lone_locks(path: Path) -> list[Leftover]:
    """A lock that is not a cell's, or what its lease left, if it is there and nobody holds it."""
    files = filter(os.path.isfile, locks.files_of(path))
    found = [Leftover(file, LOCK, path, None, _size_bytes(file)) for file in files]
    return [one for one in found if not _is_used(one)]


def _size_bytes(path: Path) -> int:
    """The size of a file, or of all in a folder; 0 if its writer has removed it by now."""
    size_bytes = 0
    for one in (path, *path.rglob("*")):
        with suppress(FileNotFoundError):
            size_bytes += one.stat().st_size if one.is_file() else 0
    return size_bytes


def _kind(path: Path, place: Place | None) -> str | None:
    """What sort of leftover a path is; None if it is not one."""
    if fnmatchcase(path.name, atomic.TEMPORARIES) or _is_unnamed(path):
        return TEMPORARY
    if place is None:
        return None
    if path.name.startswith(f"{place.stem}.lock") and path.parent == place.lock.parent:
        return LOCK
    beside = (place.folder("records"), place.folder("adapters"))
    if path.parent in beside and _ASIDE.fullmatch(path.name):
        return ASIDE
    if path == place.checkpoints and path.is_dir() and _is_useless(place):
        return CHECKPOINT
    return None


def _is_unnamed(path: Path) -> bool:
    in_kinds = not {"checkpoints", "adapters"}.isdisjoint(path.parent.parts)
    return in_kinds and fnmatchcase(path.name, UNNAMED) and path.is_file()


def _is_useless(place: Place) -> bool:
    """Whether no run resumes from a cell's checkpoints.

    That is so if the cell has its record, or if there are no checkpoints. But checkpoints that are
    newer than the record are needed: the cell runs again, e.g. to keep its trained values.
    """
    record = place.folder("records") / f"{place.stem}.json"
    try:
        files = list(place.checkpoints.iterdir())
        if store.status_at(record) in ("ok", "diverged"):
            written_sec = record.stat().st_mtime
            return all(file.stat().st_mtime <= written_sec for file in files)
        names = {path.name for path in files}
    except OSError:  # what cannot be read may be needed
        return False
    useless = (BEST, *TEMPORARIES)
    return all(any(fnmatchcase(name, pattern) for pattern in useless) for name in names)


def _is_used(leftover: Leftover) -> bool:
    if leftover.lock is not None:
        try:
            return locks.is_held(leftover.lock)
        except OSError:  # it cannot be asked
            return True
    try:
        return time.time() - leftover.path.stat().st_mtime < STALE_SEC
    except FileNotFoundError:  # its writer has removed it by now
        return True
