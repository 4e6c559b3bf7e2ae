"""Pretrain the three backbones, and check that the shipped ones are the ones that were made."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frod_bench.errors import InputError
from frod_bench.paths import SHIPPED_BACKBONES_DIR

HASHES_FILE = "SHA256.json"
PRETRAINERS = {
    "decoder": "pretrain_decoder",
    "encoder": "pretrain_encoder",
    "vit": "pretrain_vit",
}
WORKERS = 2  # processes at a time, of one thread each


def build_backbones(out: Path, seed: int) -> Path:
    """Pretrain all backbones under `out` and write their files' hashes; returns `out`.

    Raises:
        InputError: `seed` is negative, or `out` cannot be written.
        subprocess.CalledProcessError: a pretraining failed; its traceback is on standard error.
    """
    if seed < 0:
        raise InputError(f"seed: {seed} is negative. Allowed: 0 and above.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"out: {out} cannot be written ({error.strerror}).") from error
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(_pretrain, name, out / name, seed) for name in PRETRAINERS]:
            done.result()
    hashes = json.dumps(file_hashes(out), indent=1) + "\n"
    (out / HASHES_FILE).write_text(hashes, encoding="utf-8")
    return out


def file_hashes(root: Path) -> dict[str, str]:
    """SHA-256 of every file of the backbones under `root`, by its path there."""
    files = [path for name in PRETRAINERS for path in (root / name).rglob("*") if path.is_file()]
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }


def verify_backbones(root: Path = SHIPPED_BACKBONES_DIR) -> None:
    """Check the backbones' files against the hashes that were written with them.

    Raises:
        InputError: a file is missing, was changed, or has no hash.
    """
    record = root / HASHES_FILE
    if not record.is_file():
        raise InputError(f"backbones: {record} is missing. Install the package again.")
    expected, found = json.loads(record.read_text(encoding="utf-8")), file_hashes(root)
    wrong = sorted(name for name, digest in expected.items() if found.get(name) != digest)
    if wrong or set(found) - set(expected):
        names = ", ".join(wrong or sorted(set(found) - set(expected)))
        raise InputError(
            f"backbones: {names} under {root} differ from {HASHES_FILE}. Install the package"
            " again, or make new ones by `python -m frod_bench.embedded backbones`."
        )


def _pretrain(name: str, folder: Path, seed: int) -> None:
    """Run one pretraining in a process of its own, on one thread, so that it is repeatable."""
    module = f"frod_bench.embedded.{PRETRAINERS[name]}"
    code = (
        "import pathlib, sys, torch; torch.set_num_threads(1);"
        f" from {module} import pretrain; pretrain(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(seed)], env=environment, check=True
    )
