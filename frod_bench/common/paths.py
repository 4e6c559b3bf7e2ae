"""Folders: the package's own data, the user's cache, and where we may write."""

import os
import tempfile
from pathlib import Path

import platformdirs

from frod_bench.common.errors import InputError

PACKAGE_DIR = Path(__file__).parents[1]
CONF_DIR = PACKAGE_DIR / "conf"
EXPERIMENTS_DIR = PACKAGE_DIR / "search" / "experiment"  # experiments/ of the repository
SHIPPED_BACKBONES_DIR = PACKAGE_DIR / "embedded" / "backbones"
REFERENCE_DIR = PACKAGE_DIR / "reference"  # results/reference, what the project publishes


def cache_dir() -> Path:
    """Folder for files that can be recomputed: `FROD_BENCH_CACHE`, else the user's cache."""
    return Path(os.environ.get("FROD_BENCH_CACHE") or platformdirs.user_cache_dir("frod_bench"))


def is_published(folder: Path) -> bool:
    """Whether `folder` is part of what the project publishes; no command writes there."""
    return folder.resolve().is_relative_to(REFERENCE_DIR.resolve())


def embedded_mirror_dir() -> Path:
    """Folder of the embedded mirror: the synthetic data sets that the suite writes itself."""
    return cache_dir() / "embedded_mirror"


def check_writable(folder: Path, key: str = "results_root", value: str | None = None) -> None:
    """Raise InputError unless `folder` can be written to and is not published by the project.

    `key` is the option that named it and `value` what the user gave, by default `folder`.
    """
    given = f"{key}={folder if value is None else value}"
    if is_published(folder):
        raise InputError(
            f"{given}: is what the project publishes, and is not written to. Name another "
            f"folder, e.g. {key}=results."
        )
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    try:  # permissions are not enough: root, too, cannot write to a file system that is read-only
        with tempfile.TemporaryFile(dir=existing):
            return
    except OSError as error:
        raise InputError(
            f"{given}: {existing} cannot be written to ({error.strerror}). "
            "Name a folder that you may write to."
        ) from error
