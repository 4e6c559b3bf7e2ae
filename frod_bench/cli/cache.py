"""`frod-bench cache`: list the cache of joint bases (time, size, key), or clear it.

The key is the SHA-256 of an entry's inputs. Removed entries are computed again when needed. Exit
status: 0, 1 if the folder cannot be read or cleared, 2 for bad input.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from frod_bench.cli.arguments import parse, usage_errors
from frod_bench.common.paths import cache_dir

BASES = "frod_basis"  # frod_bench.frod's folder, repeated because importing it loads torch


class Entry(NamedTuple):
    """A file of the cache; `path.stem` is its key."""

    path: Path
    size_bytes: int
    written_at: datetime  # local time


def start(words: Sequence[str]) -> None:
    """Do what `frod-bench cache WORDS` asks for."""
    with usage_errors():
        action = parse("cache", words).action or "list"
    folder = cache_dir() / BASES
    try:
        entries = find_entries(folder)
        if action == "clear":
            clear(folder)
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}. FROD_BENCH_CACHE sets another folder.")
    if action == "list":
        for entry in entries:
            size = f"{entry.size_bytes / 1e6:.1f} MB"
            print(f"{entry.written_at:%Y-%m-%d %H:%M}  {size:>10}  {entry.path.stem}")
    total = sum(entry.size_bytes for entry in entries) / 1e6
    done = "removed from" if action == "clear" else "in"
    print(f"{len(entries)} entries, {total:.1f} MB, {done} {folder}")


def find_entries(folder: Path) -> list[Entry]:
    """Entries of the cache, the oldest first; none if the folder does not exist."""
    entries = []
    for path in folder.glob("*.safetensors"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # another process has cleared it
            continue
        entries.append(Entry(path, stat.st_size, datetime.fromtimestamp(stat.st_mtime)))
    return sorted(entries, key=lambda entry: (entry.written_at, entry.path))


def clear(folder: Path) -> None:
    """Remove all entries and the partial files of writers that died; nothing else.

    A basis that is being written is lost; its writer warns and continues.
    """
    for pattern in ("*.safetensors", "*.partial"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
