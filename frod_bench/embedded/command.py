"""Command line of the embedded profile: write its synthetic data sets."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.paths import embedded_mirror_dir
from frod_bench.embedded.mirror import DEFAULT_SEED, write_mirror


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        print(write_mirror(options.root.resolve(), options.seed))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="frod-bench embedded",
        description="Write the embedded mirror: stand-in data sets in the Hub's layout.",
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of all rows")
    parser.add_argument(
        "--root", type=Path, default=embedded_mirror_dir(), help="the mirror's folder"
    )
    return parser


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        sys.exit(main(list(words)))
