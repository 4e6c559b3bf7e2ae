"""Command line of the embedded profile: write its data, or pretrain its backbones again."""

import argparse
import sys
from pathlib import Path

from frod_bench.embedded.mirror import DEFAULT_SEED, write_mirror
from frod_bench.errors import InputError
from frod_bench.paths import SHIPPED_BACKBONES_DIR, embedded_mirror_dir


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "backbones":
            from frod_bench.embedded.build_backbones import build_backbones

            print(build_backbones(options.out.resolve(), options.seed))
        else:
            print(write_mirror(options.root.resolve(), options.seed))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m frod_bench.embedded",
        description="Write the embedded mirror: stand-in data sets in the Hub's layout.",
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of all rows")
    parser.add_argument(
        "--root", type=Path, default=embedded_mirror_dir(), help="the mirror's folder"
    )
    commands = parser.add_subparsers(dest="command")
    backbones = commands.add_parser("backbones", help="pretrain the three backbones")
    backbones.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of the pretraining")
    backbones.add_argument("--out", type=Path, default=SHIPPED_BACKBONES_DIR, help="where to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
