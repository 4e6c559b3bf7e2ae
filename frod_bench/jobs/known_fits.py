"""Which methods were found to fit which backbones, kept in the user's cache.

So a plan does not have to build them again: importing torch, transformers and PEFT for this takes
seconds. Only what fits is kept, never a refusal. If a line is lost or damaged, the method is
checked again.
"""

import functools
import hashlib
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from frod_bench.cells.cell import Cell
from frod_bench.cells.results import package_versions
from frod_bench.common.atomic import append_line
from frod_bench.common.paths import PACKAGE_DIR, cache_dir
from frod_bench.data.checksums import hash_file

FILE = "methods_that_fit.txt"
# What decides besides the settings: the suite's code, and the configurations that it ships.
CODE = ("**/*.py", "models/published.json")
KEY = re.compile("[0-9a-f]{64}")


class KnownFits:
    """What is known when a plan begins."""

    def __init__(self) -> None:
        self._path = cache_dir() / FILE
        self._keys: set[str] = set()
        with suppress(OSError):
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
            self._keys = {line for line in lines if KEY.fullmatch(line)}

    def has(self, cell: Cell) -> bool:
        """Whether the cell's method was found to fit its backbone."""
        return key_of(cell) in self._keys

    def note(self, cell: Cell) -> None:
        """Keep that it does."""
        key = key_of(cell)
        if key not in self._keys:
            self._keys.add(key)
            with suppress(OSError):  # a cache that cannot be written is slow, not wrong
                append_line(self._path, key)


def key_of(cell: Cell) -> str:
    """The SHA-256 of all that says whether a cell's method fits its backbone."""
    settings = cell.settings
    method = replace(
        settings.method, learning_rates=dict.fromkeys(settings.method.learning_rates, 0.0)
    )
    configuration = _configuration(settings.backbone.hub_id, settings.model_root)
    says = (settings.backbone, configuration, settings.head, method, package_versions(), _code())
    return hashlib.sha256(repr((sys.version, *says)).encode()).hexdigest()


def _configuration(hub_id: str, model_root: str | None) -> dict[str, str]:
    """File name -> SHA-256 of the backbone's configurations; empty if the package describes it."""
    folder = None if model_root is None else Path(model_root) / hub_id
    files = [] if folder is None else sorted(folder.glob("config*.json"))
    return {file.name: hash_file(file) for file in files if file.is_file()}


@functools.cache
def _code() -> str:
    """The SHA-256 of the code that decides, with the names of its files."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in CODE for file in PACKAGE_DIR.glob(pattern)):
        digest.update(file.relative_to(PACKAGE_DIR).as_posix().encode() + b"\0")
        digest.update(bytes.fromhex(hash_file(file)))
    return digest.hexdigest()
