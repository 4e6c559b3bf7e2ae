"""`frod-bench embedded`: write the synthetic data sets of the embedded profile."""

from collections.abc import Sequence
from pathlib import Path

from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable, embedded_mirror_dir
from frod_bench.embedded.current import DEFAULT_SEED
from frod_bench.embedded.mirror import write_mirror


def start(words: Sequence[str]) -> None:
    """Write the data sets and print their folder; exits with status 2 for bad input."""
    with exit_statuses():
        given = parse("embedded", words).values
        seed = given.get("seed", str(DEFAULT_SEED))
        if not seed.isdecimal():
            raise InputError(f"seed={seed}: must be a whole number of at least 0.")
        root = Path(given.get("out", embedded_mirror_dir())).expanduser()
        check_writable(root, "out" if "out" in given else "FROD_BENCH_CACHE")
        print(write_mirror(root.resolve(), int(seed)))
