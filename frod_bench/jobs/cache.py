"""`frod-bench cache`: list the cache of joint bases (time, size, key), or clear it.

The key is the SHA-256 of an entry's inputs. Exit status 1 if the folder cannot be read or cleared.
"""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from frod_bench.cli.arguments import parse
from frod_bench.common.paths import cache_dir

BASES = "frod_basis"  # frod_bench.frod's folder, repeated because importing it loads torch


def start(words: Sequence[str]) -> None:
    """Do what `frod-bench cache WORDS` asks for."""
    clears = parse("cache", words).action == "clear"
    folder = cache_dir() / BASES
    try:
        entries = find_entries(folder)
        if clears:
            clear(folder)
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}. FROD_BENCH_CACHE sets another folder.")
    if not clears:
        for written, path, size in entries:
            when = datetime.fromtimestamp(written)
            print(f"{when:%Y-%m-%d %H:%M}  {f'{size / 1e6:.1f} MB':>10}  {path.stem}")
    total = sum(size for _, _, size in entries) / 1e6
    print(f"{len(entries)} entries, {total:.1f} MB, {'removed from' if clears else 'in'} {folder}")


def find_entries(folder: Path) -> list[tuple[float, Path, int]]:
    """(when written, file, bytes) of each entry, the oldest first; none without the folder."""
    entries = []
    for path in folder.glob("*.safetensors"):
        try:
            stat = path.stat()
        except FileNotFoundError:  # another process has cleared it
            continue
        entries.append((stat.st_mtime, path, stat.st_size))
    return sorted(entries)


def clear(folder: Path) -> None:
    """Remove all entries and the partial files of writers that died; nothing else.

    A basis that is being written is lost; its writer warns and continues.
    """
    for pattern in ("*.safetensors", "*.partial"):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
