"""The embedded mirror: every stand-in data set, in the layout of a Hub snapshot.

    <root>/VERSION                                           version of the rows, and their seed
    <root>/<hub id>/README.md                                `configs:`: which file is which split
    <root>/<hub id>/<config>/<split>-00000-of-00001.parquet  with the Hub's features inside

so that `datasets.load_dataset(str(root / hub_id), config)` reads it as it reads the Hub.
"""

import contextlib
import fcntl
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from datasets import Dataset

from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import features_of
from frod_bench.embedded.sets import SETS

DEFAULT_SEED = 0
VERSION_FILE = "VERSION"
# Raised whenever a generator gives other rows: mirrors in users' caches are then written again.
# tests/embedded/test_mirror.py ties it to a digest of the rows.
ROWS_VERSION = 1


def mirror_version(seed: int) -> str:
    """What a mirror's rows depend on: the version of the generators, and the seed."""
    return f"rows {ROWS_VERSION}, seed {seed}"


def write_mirror(root: Path, seed: int = DEFAULT_SEED) -> Path:
    """Write all sets under `root`, replacing a mirror that is there; returns `root`.

    Everything is first written beside `root` and then renamed, so no reader sees half a mirror.

    Raises:
        InputError: `seed` is negative, or `root` holds something that is not a mirror, or it
            cannot be written.
    """
    if seed < 0:
        raise InputError(f"seed: {seed} is negative. Allowed: 0 and above.")
    _refuse_foreign(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{root.name}-", dir=root.parent))
    except OSError as error:
        raise InputError(
            f"root: {root} cannot be written ({error.strerror}). Name another."
        ) from error
    try:
        fresh = scratch / "fresh"
        for hub_id in sorted({hub_id for hub_id, _ in SETS}):
            _write_repository(fresh / hub_id, hub_id, seed)
        (fresh / VERSION_FILE).write_text(mirror_version(seed) + "\n")
        fresh.chmod(0o755)
        if root.exists():
            root.rename(scratch / "stale")
        fresh.rename(root)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return root


def ensure_mirror(root: Path, seed: int = DEFAULT_SEED) -> Path:
    """Return `root`, with the mirror of this version and `seed` in it.

    It is written if it is absent or of another version. Processes that ask at the same time wait
    for the first, by a lock file beside `root`.
    """
    if _is_current(root, seed):
        return root
    with _locked(root):
        if not _is_current(root, seed):
            print("writing the synthetic data sets, once for all runs", file=sys.stderr)
            write_mirror(root, seed)
    return root


def _is_current(root: Path, seed: int) -> bool:
    version = root / VERSION_FILE
    return version.is_file() and version.read_text().strip() == mirror_version(seed)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of the mirror at `root`; the system frees it if the process dies."""
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        handle = (root.parent / f".{root.name}.lock").open("w")
    except OSError as error:
        raise InputError(
            f"root: {root} cannot be written ({error.strerror}). Name another."
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _refuse_foreign(root: Path) -> None:
    """A folder that holds files but no VERSION was not written here, and is not ours to replace."""
    if not root.exists():
        return
    if not root.is_dir():
        raise InputError(f"root: {root} is a file. Name a folder.")
    if any(root.iterdir()) and not (root / VERSION_FILE).is_file():
        raise InputError(
            f"root: {root} holds files but no {VERSION_FILE}, so it is not an embedded mirror and"
            " is left alone. Name an empty or a new folder."
        )


def _write_repository(folder: Path, hub_id: str, seed: int) -> None:
    """Write all configurations of one Hub repository, and its card."""
    splits: dict[str, list[str]] = {}
    for (owner_id, config), generate in SETS.items():
        if owner_id == hub_id:
            splits[config] = _write_config(folder / config, hub_id, config, generate(seed))
    (folder / "README.md").write_text(_card(splits))


def _write_config(
    folder: Path, hub_id: str, config: str, rows_of: dict[str, list[dict[str, Any]]]
) -> list[str]:
    """Write one parquet file a split; returns the splits' names."""
    folder.mkdir(parents=True)
    features = features_of(hub_id, config)
    for split, rows in rows_of.items():
        table = Dataset.from_list(rows, features=features)
        path = folder / f"{split}-00000-of-00001.parquet"
        pq.write_table(table.with_format("arrow")[:], path)
    return list(rows_of)


def _card(splits: dict[str, list[str]]) -> str:
    """The README of a repository: YAML front matter that `datasets` finds the files by."""
    configs = []
    for number, (config, names) in enumerate(splits.items()):
        files = [{"split": name, "path": f"{config}/{name}-*"} for name in names]
        default = {"default": True} if number == 0 else {}
        configs.append({"config_name": config, **default, "data_files": files})
    front = yaml.safe_dump({"configs": configs}, sort_keys=False)
    return (
        f"---\n{front}---\n\nA generated stand-in with the schema of the data set of this name."
        " It is not the benchmark.\n"
    )
