"""SHA-256 of large files, kept in the user's cache by path, size and times, so that a plan does not
read 27 GB of weights again. A damaged line is as good as none: the file is then read.
"""

import functools
import json
import re
import time
from contextlib import suppress
from pathlib import Path

from frod_bench.common.atomic import append_line
from frod_bench.common.paths import cache_dir
from frod_bench.data.checksums import hash_file

FILE = "file_hashes.jsonl"
LEAST_BYTES = 16 * 1024**2  # smaller files are read faster than they are looked up
# A file that was written just now could be written again within the resolution of its time.
SETTLED_SEC = 2.0
State = tuple[str, int, int, int]  # path, size, time of the content and of the entry in ns


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file. Raises OSError if it cannot be read."""
    found = file.stat()
    state = (str(file.resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _sha256(state, cache_dir())


@functools.lru_cache(maxsize=4096)
def _sha256(state: State, cache: Path) -> str:
    path, size, _, changed_ns = state
    if size < LEAST_BYTES:
        return hash_file(Path(path))
    if (known := _known(cache / FILE).get(state)) is not None:
        return known
    digest = hash_file(Path(path))
    if time.time() - changed_ns / 1e9 > SETTLED_SEC:
        with suppress(OSError):  # a cache that cannot be written is slow, not wrong
            append_line(cache / FILE, json.dumps([*state, digest]))
    return digest


def _known(path: Path) -> dict[State, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[State, str] = {}
    for line in lines:
        with suppress(ValueError, TypeError, RecursionError):
            name, size, content_ns, entry_ns, digest = json.loads(line)
            if re.fullmatch("[0-9a-f]{64}", digest):
                found[name, size, content_ns, entry_ns] = digest
    return found
