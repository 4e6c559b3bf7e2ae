"""Whether the embedded mirror is of this version, as every plan asks; if not, it is written."""

import sys
from pathlib import Path

from frod_bench.common import locks
from frod_bench.common.errors import InputError

DEFAULT_SEED = 0
VERSION_FILE = "VERSION"
# Increased whenever a generator gives other rows: mirrors in users' caches are then written again.
# tests/embedded/test_mirror.py ties it to a digest of the rows.
ROWS_VERSION = 1


def mirror_version(seed: int) -> str:
    """All that a mirror's rows depend on: the version of the generators, and the seed."""
    return f"rows {ROWS_VERSION}, seed {seed}"


def ensure_mirror(root: Path, seed: int = DEFAULT_SEED) -> Path:
    """Return `root`, after writing it if it is absent or of another version or seed.

    Processes that ask at the same time wait for the first, by a lock file next to `root`.
    """
    if is_current(root, seed):
        return root
    try:
        with locks.locked(root.parent / f".{root.name}.lock", "the synthetic data sets"):
            if not is_current(root, seed):
                from frod_bench.embedded.mirror import write_mirror  # its imports take seconds

                print("writing the synthetic data sets, once for all runs", file=sys.stderr)
                write_mirror(root, seed)
    except OSError as error:
        raise unwritable(root, error) from error
    return root


def unwritable(root: Path, error: OSError) -> InputError:
    """The error of a mirror that cannot be written."""
    return InputError(
        f"{root}: cannot be written ({error.strerror}). Name another folder by out=DIR, or another "
        "cache by FROD_BENCH_CACHE."
    )


def is_current(root: Path, seed: int = DEFAULT_SEED) -> bool:
    """Whether `root` is a mirror of this version and seed."""
    version = root / VERSION_FILE
    return version.is_file() and version.read_bytes().strip() == mirror_version(seed).encode()
