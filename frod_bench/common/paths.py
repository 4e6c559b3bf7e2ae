"""Folders: the package's own data, the user's cache, and where we may write."""

import errno
import os
import re
import stat
import tempfile
from pathlib import Path

import platformdirs

from frod_bench.common.errors import InputError
from frod_bench.common.names import LONGEST_FILE_NAME, resolved

PACKAGE_DIR = Path(__file__).parents[1]
CONF_DIR = PACKAGE_DIR / "conf"
EXPERIMENTS_DIR = PACKAGE_DIR / "search" / "experiment"  # experiments/ of the repository
SHIPPED_BACKBONES_DIR = PACKAGE_DIR / "embedded" / "backbones"
REFERENCE_DIR = PACKAGE_DIR / "reference"  # results/reference, what the project publishes
CELLS_PATH = Path("tables/cells.csv")  # under results/<profile> and results/reference/<profile>

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
LONGEST_PATH = 3000  # bytes; of 4,096, so that files of a run have room


def published_search(profile: str) -> Path:
    """The folder of a profile's published search of learning rates; not every profile has one."""
    return REFERENCE_DIR / "search" / profile


def cache_dir() -> Path:
    """Folder for files that can be recomputed: `FROD_BENCH_CACHE`, else the user's cache. Raises
    InputError if the variable's value cannot be a path.
    """
    if named := os.environ.get("FROD_BENCH_CACHE"):
        folder = at_home("FROD_BENCH_CACHE", named)
        check_path("FROD_BENCH_CACHE", folder)
        return Path(folder)
    return Path(platformdirs.user_cache_dir("frod_bench"))


def writable_cache_dir() -> Path:
    """The cache's folder. Raises InputError if nothing can be written there."""
    check_writable(cache_dir(), "FROD_BENCH_CACHE")
    return cache_dir()


def is_published(folder: Path) -> bool:
    """Whether `folder` is part of what the project publishes. No command writes there, but for
    `archive`, which adds parts.
    """
    return resolved(folder).is_relative_to(REFERENCE_DIR.resolve())


def from_here(path: Path) -> Path:
    """The path from the working folder, if it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def embedded_mirror_dir() -> Path:
    """Folder of the embedded mirror: the synthetic data sets that the suite writes itself."""
    return cache_dir() / "embedded_mirror"


def at_home(key: str, value: str) -> str:
    """The value of `key`, with the home folder for a `~` at its beginning. Raises InputError if
    there is no such home.
    """
    if not value.startswith("~"):
        return value
    try:
        return str(Path(value).expanduser())
    except RuntimeError as error:
        raise InputError(
            f"{key}={value}: there is no such home folder. Write the folder out, {key}=/path/to/it."
        ) from error


def check_path(key: str, value: str) -> None:
    """Raise InputError unless the value of `key` can be the path of a folder of this machine."""
    problem = ""
    if not value.strip() or not value.isprintable():
        problem = "must be a path of printable characters"
    elif ADDRESS.match(value):
        problem = "is an address, and must be a folder of this machine"
    elif any(len(part.encode()) > LONGEST_FILE_NAME for part in Path(value).parts):
        problem = f"has a name in it of more than {LONGEST_FILE_NAME} bytes"
    elif len(value.encode()) > LONGEST_PATH:
        problem = f"is longer than {LONGEST_PATH} bytes"
    if problem:
        shown = value if len(value) <= LONGEST_FILE_NAME else f"{value[:LONGEST_FILE_NAME]}..."
        raise InputError(f"{key}={shown!r}: {problem}. Name such a folder, e.g. {key}=my/folder.")


def is_file(path: Path) -> bool:
    """Whether there is a file at a path, also if no file can have such a name."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or one that is not text
        return False


def check_file(path: Path) -> os.stat_result:
    """`Path.stat` of a path. Raises OSError unless it is a file or a folder: a reader who opened a
    pipe would wait for its writer.
    """
    found = path.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is a pipe, a device or a socket", str(path))
    return found


def read_file(path: Path) -> bytes:
    """The content of a file. Raises OSError as `check_file`, and if it cannot be read."""
    check_file(path)
    return path.read_bytes()


def check_writable(
    folder: Path,
    key: str = "results_root",
    value: str | None = None,
    *,
    may_be_published: bool = False,
) -> None:
    """Raise InputError unless `folder` can be written to.

    A folder that the project publishes is refused, too, unless `may_be_published`. `key` is the
    option that named the folder, and `value` is what the user gave, by default `folder`.
    """
    check_path(key, str(folder))
    given = f"{key}={folder if value is None else value}"
    if is_published(folder) and not may_be_published:
        raise InputError(
            f"{given}: is what the project publishes, and is not written to. Name another "
            f"folder, e.g. {key}=results."
        )
    existing = folder.absolute()
    while not existing.exists():
        if existing.is_symlink():
            raise InputError(
                f"{given}: {existing} is a link that leads nowhere. Remove it, or name another "
                f"folder, e.g. {key}=results."
            )
        existing = existing.parent
    try:  # permissions are not enough: root, too, cannot write to a file system that is read-only
        with tempfile.TemporaryFile(dir=existing):
            return
    except OSError as error:
        raise InputError(
            f"{given}: {existing} cannot be written to ({error.strerror}). "
            "Name a folder that you may write to."
        ) from error
