"""Pretrain the three backbones of the embedded profile again, from the root of a clone.

    python -m tools.pretrain_embedded [--out DIR] [--seed N]

Takes about half an hour on two cores. The result depends on the seed, and in its last bits on the
processor: the shipped weights are the reference, and their hashes are checked whenever they are
loaded. Exit status: 0, or 2 for bad input.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.embedded.current import BACKBONES, HASHES_FILE, file_hashes

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
        for done in [pool.submit(_pretrain, name, out / name, seed) for name in BACKBONES]:
            done.result()
    hashes = json.dumps(file_hashes(out), indent=1) + "\n"
    (out / HASHES_FILE).write_text(hashes, encoding="utf-8")
    return out


def _pretrain(name: str, folder: Path, seed: int) -> None:
    """Run one pretraining in a process of its own, on one thread, so that it is repeatable."""
    module = f"tools.pretrain_embedded.{name}"
    code = (
        "import pathlib, sys, torch; torch.set_num_threads(1);"
        f" from {module} import pretrain; pretrain(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(seed)], env=environment, check=True
    )


def main(arguments: list[str] | None = None) -> int:
    """Read the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.pretrain_embedded")
    parser.add_argument("--seed", type=int, default=0, help="seed of corpora and training")
    parser.add_argument("--out", type=Path, default=SHIPPED_BACKBONES_DIR, help="where to")
    options = parser.parse_args(arguments)
    try:
        print(build_backbones(options.out.resolve(), options.seed))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
