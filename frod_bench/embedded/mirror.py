"""The embedded mirror: every synthetic data set, in the layout of a Hub snapshot.

    <root>/VERSION                                           version of the rows, and their seed
    <root>/<hub id>/README.md                                `configs:`: which file is which split
    <root>/<hub id>/<config>/<split>-00000-of-00001.parquet  with the Hub's features inside

`datasets.load_dataset(str(root / hub_id), config)` reads it as it reads the Hub.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from datasets import Dataset

from frod_bench.common import locks
from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import features_of
from frod_bench.embedded import images, nlu, reasoning
from frod_bench.embedded.current import DEFAULT_SEED, VERSION_FILE, is_current, mirror_version

# (Hub id, Hub config) -> seed -> split -> rows, each a dict of values that fit the Hub's features.
SETS = images.SETS | nlu.SETS | reasoning.SETS


def ensure_mirror(root: Path, seed: int = DEFAULT_SEED) -> Path:
    """Return `root`, after writing it if it is absent or of another version or seed.

    Processes that ask at the same time wait for the first, by a lock file next to `root`.
    """
    if is_current(root, seed):
        return root
    try:
        with locks.locked(root.parent / f".{root.name}.lock", "the synthetic data sets"):
            if not is_current(root, seed):
                print("writing the synthetic data sets, once for all runs", file=sys.stderr)
                write_mirror(root, seed)
    except OSError as error:
        raise _unwritable(root, error) from error
    return root


def write_mirror(root: Path, seed: int = DEFAULT_SEED) -> Path:
    """Write all sets under `root`, replacing an existing mirror; returns `root`.

    Everything is first written next to `root` and then renamed, so no reader sees half a mirror.
    Raises InputError if `root` holds something that is not a mirror, or cannot be written.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file. Name a folder.")
    if root.exists() and any(root.iterdir()) and not (root / VERSION_FILE).is_file():
        raise InputError(
            f"{root}: holds files but no {VERSION_FILE}, so it is not an embedded mirror and is "
            "left alone. Name an empty or a new folder."
        )
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        # A temporary name, by which `frod-bench prune` finds what a killed process leaves.
        name = {"prefix": f".{root.name}.", "suffix": ".partial"}
        scratch = Path(tempfile.mkdtemp(**name, dir=root.parent))
    except OSError as error:
        raise _unwritable(root, error) from error
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


def _unwritable(root: Path, error: OSError) -> InputError:
    return InputError(
        f"{root}: cannot be written ({error.strerror}). Name another folder by out=DIR, or another "
        "cache by FROD_BENCH_CACHE."
    )


def _write_repository(folder: Path, hub_id: str, seed: int) -> None:
    """Write one parquet file per split, and the card by which `datasets` finds them."""
    configs: list[dict[str, Any]] = []
    of_repository = {config: make for (owner, config), make in SETS.items() if owner == hub_id}
    for config, generate in of_repository.items():
        (folder / config).mkdir(parents=True)
        rows_of, features = generate(seed), features_of(hub_id, config)
        for split, rows in rows_of.items():
            table = Dataset.from_list(rows, features=features).with_format("arrow")[:]
            pq.write_table(table, folder / config / f"{split}-00000-of-00001.parquet")
        files = [{"split": split, "path": f"{config}/{split}-*"} for split in rows_of]
        default = {} if configs else {"default": True}
        configs.append({"config_name": config, **default, "data_files": files})
    front = yaml.safe_dump({"configs": configs}, sort_keys=False)
    (folder / "README.md").write_text(
        f"---\n{front}---\n\nSynthetic data with the schema of the data set of this name."
        " It is not the benchmark.\n"
    )
