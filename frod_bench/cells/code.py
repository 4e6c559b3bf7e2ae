"""Which code turns a configuration into numbers: a digest of each part of it.

A commit changes with every word of a page. Records whose parts have equal digests were computed by
the same code, whatever their commits; only parts that differ can be why their numbers do.
"""

import ast
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from frod_bench.common.paths import PACKAGE_DIR

# Part -> the rooms that it is made of. Configurations, data and weights have hashes of their own.
PARTS: Mapping[str, Sequence[str]] = {
    "layer": ("frod",),
    "methods": ("methods", "models"),
    "rows": ("data",),
    "loop": ("training",),
    "metrics": ("metrics",),
}
DIGITS = 12  # of SHA-256, hexadecimal


@functools.cache
def code_digests() -> dict[str, str]:
    """The digest of each part of this package."""
    return {
        part: digest_of([PACKAGE_DIR / room for room in rooms]) for part, rooms in PARTS.items()
    }


def digest_of(rooms: Sequence[Path]) -> str:
    """Return a digest of what the Python files below some folders do.

    Comments, blank lines and docstrings do not change it. Two versions of Python may give different
    digests, because they represent the same code differently.
    """
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted(room.rglob("*.py")):
            tree = ast.parse(path.read_bytes())
            for node in ast.walk(tree):
                if _has_docstring(node):
                    del node.body[0]  # type: ignore[attr-defined]
            digest.update(
                f"{path.relative_to(room.parent).as_posix()}\n{ast.dump(tree)}\n".encode()
            )
    return digest.hexdigest()[:DIGITS]


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None
