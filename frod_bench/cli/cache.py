"""The cache of joint bases, seen and emptied from the command line.

    frod-bench cache          its entries: when each was written, its size, its key
    frod-bench cache clear    remove them all

The key is the SHA-256 of what an entry was computed from. Whatever is removed is made again when
it is needed. Exit status: 0, 1 where the folder can't be read or emptied, 2 for bad input.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from frod_bench.cli.arguments import parse, usage_errors
from frod_bench.common.paths import cache_dir

BASES = "frod_basis"  # where frod_bench.frod keeps them, which this can't ask without torch


@dataclass(frozen=True)
class Entry:
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
    """Entries of the cache, the oldest first; none where there is no folder."""
    entries = []
    for path in folder.glob("*.safetensors"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # another process has cleared it
            continue
        entries.append(Entry(path, stat.st_size, datetime.fromtimestamp(stat.st_mtime)))
    return sorted(entries, key=lambda entry: (entry.written_at, entry.path))


def clear(folder: Path) -> None:
    """Remove all entries, and what writers that died have left; nothing else.

    A basis that is being written meanwhile is not kept; its writer says so and goes on.
    """
    for pattern in ("*.safetensors", "*.partial"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
