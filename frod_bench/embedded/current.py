"""Whether the inputs of the embedded profile are as they should be; every plan asks this.

The mirror has to hold the synthetic data of this version, and the shipped backbones have to match
their hashes.
"""

import json
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.data.checksums import hash_files

DEFAULT_SEED = 0
VERSION_FILE = "VERSION"
# Increased whenever a generator gives other rows: mirrors in users' caches are then written again.
# tests/embedded/test_mirror.py ties it to a digest of the rows.
ROWS_VERSION = 1
HASHES_FILE = "SHA256.json"
BACKBONES = ("decoder", "encoder", "vit")


def mirror_version(seed: int) -> str:
    """All that a mirror's rows depend on: the version of the generators, and the seed."""
    return f"rows {ROWS_VERSION}, seed {seed}"


def is_current(root: Path, seed: int = DEFAULT_SEED) -> bool:
    """Whether `root` is a mirror of this version and seed."""
    version = root / VERSION_FILE
    return version.is_file() and version.read_bytes().strip() == mirror_version(seed).encode()


def file_hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file of the backbones under `root`, by its path there."""
    return {
        f"{name}/{path}": digest
        for name in BACKBONES
        for path, digest in hash_files(root / name).items()
    }


def verify_backbones(root: Path = SHIPPED_BACKBONES_DIR) -> None:
    """Raise InputError if a file of the backbones is missing, was changed, or has no hash."""
    record = root / HASHES_FILE
    if not record.is_file():
        raise InputError(f"backbones: {record} is missing. Install the package again.")
    expected, found = json.loads(record.read_text(encoding="utf-8")), file_hashes(root)
    if wrong := sorted({name for name, _ in expected.items() ^ found.items()}):
        raise InputError(
            f"backbones: {', '.join(wrong)} under {root} differ from {HASHES_FILE}. Install the"
            " package again; in a clone, `python -m tools.pretrain_embedded` pretrains new ones."
        )
