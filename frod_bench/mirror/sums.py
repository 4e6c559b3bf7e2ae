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

from frod_bench.errors import InputError

SUMS_FILE = "SHA256SUMS.json"


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

    Raises InputError where the file cannot be read as one.
    """
    path = root / SUMS_FILE
    if not path.exists():
        return {}
    try:
        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {hub_id: Entry(**entry) for hub_id, entry in noted.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: cannot be read as a mirror's checksums ({error}). Remove it and copy again: "
            "what is there is not fetched twice."
        ) from error


def add_entry(root: Path, hub_id: str, entry: Entry) -> None:
    """List a finished repository, by one rename."""
    entries = {**read_sums(root), hub_id: entry}
    noted = {name: dataclasses.asdict(entries[name]) for name in sorted(entries)}
    partial = root / f".{SUMS_FILE}.partial"
    partial.write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")
    partial.rename(root / SUMS_FILE)


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
