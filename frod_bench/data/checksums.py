"""What a mirror holds, with a SHA-256 for every file: `<root>/SHA256SUMS.json`.

    <root>/<hub id>/...          the files of a Hub snapshot
    <root>/SHA256SUMS.json       hub id -> where its files came from, and their hashes

A repository that is not listed is unfinished.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.names import is_hub_id, stays

SUMS_FILE = "SHA256SUMS.json"
_MEND = "No mirror is written so: take the entry out, and copy that repository again."


@dataclass(frozen=True)
class Entry:
    """A repository of the mirror.

    Attributes:
        kind: dataset or model.
        source: what the files are, for people and for a later run: a commit, or a wheel.
        revision: the revision that was asked for; None: the newest.
        configs: of a data set, those whose files were copied; sorted.
        files: path within the repository -> SHA-256.
    """

    kind: str
    source: str
    revision: str | None
    configs: list[str]
    files: dict[str, str]


def read_sums(root: Path) -> dict[str, Entry]:
    """Hub id -> entry; none where nothing was written yet.

    Raises InputError if the file cannot be read as one, or an entry leads out of `root`.
    """
    path = root / SUMS_FILE
    if not path.exists():
        return {}
    try:
        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entries = {hub_id: Entry(**entry) for hub_id, entry in noted.items()}
        for hub_id, entry in entries.items():
            _check_places(path, hub_id, list(entry.files.keys()))
    except InputError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as a mirror's checksums ({error}). Remove it and copy again: "
            "what is there is not fetched twice."
        ) from error
    return entries


def _check_places(path: Path, hub_id: str, files: list[str]) -> None:
    """Raise InputError if what is listed is no repository, or a file outside of it: files that are
    listed are read, and those that were changed are removed.
    """
    if not is_hub_id(hub_id):
        raise InputError(f"{path}: {hub_id!r} is no Hub id, NAME or OWNER/NAME. {_MEND}")
    if outside := [name for name in files if not name or not stays(name)]:
        raise InputError(
            f"{path}: {hub_id!r} lists the file {outside[0]!r}, which is not in the repository. "
            f"{_MEND}"
        )


def add_entry(root: Path, hub_id: str, entry: Entry) -> None:
    """List a finished repository; the list is replaced atomically."""
    entries = {**read_sums(root), hub_id: entry}
    noted = {name: dataclasses.asdict(entries[name]) for name in sorted(entries)}
    atomic.write_text(root / SUMS_FILE, json.dumps(noted, indent=1) + "\n")


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under `folder` by its path there; hidden folders are left out."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    seen = sorted(path for path in paths if not any(part[0] == "." for part in path.parts))
    return {path.as_posix(): hash_file(folder / path) for path in seen}


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damage(root: Path, hub_id: str, entry: Entry) -> dict[str, str]:
    """Path within the repository -> what is wrong with it; empty where all is as it was written."""
    found = hash_files(root / hub_id)
    problems = {
        name: "is missing" if name not in found else "has another SHA-256"
        for name, digest in entry.files.items()
        if found.get(name) != digest
    }
    return problems | dict.fromkeys(found.keys() - entry.files.keys(), "does not belong there")


def verify(root: Path) -> str:
    """Check every file of a mirror against its checksum; returns what was checked, in words.

    Raises InputError where there is no mirror, or a file is missing, was changed or was added.
    """
    entries = read_sums(root)
    if not entries:
        raise InputError(f"root={root}: has no {SUMS_FILE}, so nothing was copied to the end yet.")
    wrong = [
        f"{hub_id}/{name} {problem}"
        for hub_id, entry in entries.items()
        for name, problem in damage(root, hub_id, entry).items()
    ]
    if wrong:
        raise InputError(
            f"root={root}: {'; '.join(wrong)}. The command that wrote it mends what is missing or "
            "was changed; remove what does not belong there."
        )
    files = sum(len(entry.files) for entry in entries.values())
    return f"{root}: {len(entries)} repositories, {files} files, all as {SUMS_FILE} says"
