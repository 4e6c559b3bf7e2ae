"""Where things lie: the package's own data, and the user's cache."""

import os
from pathlib import Path

import platformdirs

PACKAGE_DIR = Path(__file__).parents[1]
CONF_DIR = PACKAGE_DIR / "conf"
EXPERIMENTS_DIR = PACKAGE_DIR / "search" / "experiment"  # experiments/ of the repository
SHIPPED_BACKBONES_DIR = PACKAGE_DIR / "embedded" / "backbones"
REFERENCE_DIR = PACKAGE_DIR / "reference"  # results/reference, what the project publishes


def cache_dir() -> Path:
    """Folder for what can be made again: `FROD_BENCH_CACHE`, else the user's cache folder."""
    return Path(os.environ.get("FROD_BENCH_CACHE") or platformdirs.user_cache_dir("frod_bench"))


def is_published(folder: Path) -> bool:
    """Whether `folder` is in what the project publishes: no command writes there unasked."""
    return folder.resolve().is_relative_to(REFERENCE_DIR.resolve())


def embedded_mirror_dir() -> Path:
    """Folder of the embedded mirror: the synthetic data sets that the suite writes itself."""
    return cache_dir() / "embedded_mirror"
