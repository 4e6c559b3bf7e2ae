"""The list of a mirror's repositories, with a SHA-256 for every file: `<root>/SHA256SUMS.json`.

A repository, whose files are in `<root>/<hub id>/`, is incomplete until it is listed.
"""

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.names import is_hub_id, stays
from frod_bench.common.paths import read_file

SUMS_FILE = "SHA256SUMS.json"
_REPAIR = "The suite never writes this: remove the entry, and copy that repository again."


@dataclass(frozen=True)
class Entry:
    """A repository of the mirror."""

    kind: str  # dataset or model
    source: str  # a commit or a wheel, for people and for a later run
    revision: str | None  # the requested one; None: the newest
    configs: list[str]  # configurations of a data set whose files were copied, sorted
    files: dict[str, str]  # path within the repository -> SHA-256


def read_sums(root: Path) -> dict[str, Entry]:
    """Return Hub id -> entry. Raises InputError if the file is invalid, or leads out of `root`."""
    path = root / SUMS_FILE
    if not path.exists():
        return {}
    try:
        entries = _adapter().validate_json(read_file(path), strict=True)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: cannot be read as a mirror's checksums ({reason}). Remove it and copy again: "
            "complete files are not downloaded twice."
        ) from error
    for hub_id, entry in entries.items():  # listed files are read, and removed if they were changed
        if not is_hub_id(hub_id):
            raise InputError(f"{path}: {hub_id!r} is not a Hub id, NAME or OWNER/NAME. {_REPAIR}")
        if outside := [n for n in entry.files if not n or not n.isprintable() or not stays(n)]:
            raise InputError(
                f"{path}: {hub_id!r} lists the file {outside[0]!r}, which is not in the "
                f"repository. {_REPAIR}"
            )
    return entries


@functools.cache
def _adapter() -> TypeAdapter[dict[str, Entry]]:
    return TypeAdapter(dict[str, Entry])


def add_entry(root: Path, hub_id: str, entry: Entry) -> None:
    """List a finished repository; the list is replaced atomically."""
    entries = {**read_sums(root), hub_id: entry}
    noted = {name: dataclasses.asdict(entries[name]) for name in sorted(entries)}
    atomic.write_text(root / SUMS_FILE, json.dumps(noted, indent=1) + "\n")


def hash_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under `folder` by its path; hidden ones are left out."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    seen = sorted(path for path in paths if not any(part[0] == "." for part in path.parts))
    return {path.as_posix(): hash_file(folder / path) for path in seen}


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damage(root: Path, hub_id: str, entry: Entry) -> dict[str, str]:
    """Return path within the repository -> problem; empty if all files are as they were written."""
    found = hash_files(root / hub_id)
    problems = {
        name: "is missing" if name not in found else "has another SHA-256"
        for name, digest in entry.files.items()
        if found.get(name) != digest
    }
    return problems | dict.fromkeys(found.keys() - entry.files.keys(), "does not belong there")


def verify(root: Path) -> str:
    """Return a summary of a mirror. Raises InputError if a file is missing, changed or added."""
    entries = read_sums(root)
    if not entries:
        raise InputError(f"folder={root}: has no {SUMS_FILE}, so no copy is complete. Copy again.")
    wrong = [
        f"{hub_id}/{name} {problem}"
        for hub_id, entry in entries.items()
        for name, problem in damage(root, hub_id, entry).items()
    ]
    if wrong:
        raise InputError(
            f"root={root}: {'; '.join(wrong)}. The command that wrote the mirror repairs missing "
            "and changed files; remove those that do not belong there."
        )
    files = sum(len(entry.files) for entry in entries.values())
    return f"{root}: {len(entries)} repositories, {files} files, all match {SUMS_FILE}"
