"""Names that become folders, and paths that stay under their root.

A task's, a method's or a profile's name is a folder under the results, a Hub id one under a mirror.
What a configuration, a record, a card or a list of checksums calls so is checked here, by its text:
a file of a Hub cache is a link to a place outside of its snapshot, and is good.
"""

import re
from pathlib import Path

from frod_bench.common.errors import InputError

LONGEST = 100
RULE = (
    "must be a text of letters, digits and _ . - that starts with a letter or a digit, at most "
    f"{LONGEST} characters long"
)
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|.*(?:://|::)", re.DOTALL)  # fsspec's and C:
_SEPARATOR = re.compile(r"[/\\]")


def is_name(value: object) -> bool:
    """Whether a value may name a folder."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def with_head(name: str, head: str) -> str:
    """A task's or a family's name as files spell it if heads are told apart: `boolq_rank`.

    A new linear layer (`classify`) is the rule and adds nothing.
    """
    return name if head == "classify" else f"{name}_{head}"


def is_hub_id(value: object) -> bool:
    """Whether a value is `name` or `owner/name`."""
    return isinstance(value, str) and value.count("/") <= 1 and all(map(is_name, value.split("/")))


def stays(path: str) -> bool:
    """Whether a path or a pattern, written with / or \\, stays below where it starts: it is
    relative, goes up nowhere, and is no address of another file system.
    """
    first, *rest = _SEPARATOR.split(path)
    is_absolute = not first and bool(rest)
    return not is_absolute and ".." not in (first, *rest) and not _ADDRESS.match(path)


def is_below(path: str | Path, folder: Path) -> bool:
    """Whether a file is in a folder by its path alone: it may be a link to somewhere else."""
    file, roots = Path(path), (folder.absolute(), folder.resolve())
    return ".." not in file.parts and any(map(file.absolute().is_relative_to, roots))


def check_name(field: str, value: object) -> None:
    """Raise InputError unless the value of `field` may name a folder."""
    if not is_name(value):
        raise InputError(f"{field}={value!r} {RULE}. It is the name of a folder.")


def check_hub_id(field: str, value: object) -> None:
    """Raise InputError unless the value of `field` is an id of the Hub."""
    if not is_hub_id(value):
        raise InputError(
            f"{field}={value!r} must be NAME or OWNER/NAME, as the Hub has it, and each of them "
            f"{RULE.removeprefix('must be ')}. A folder of yours goes into data_root or model_root."
        )


def check_hub_config(field: str, value: str) -> None:
    """Raise InputError if the name of a data set's configuration is more than one part of a path,
    or leads up.
    """
    if _SEPARATOR.search(value) or value in (".", ".."):
        raise InputError(
            f"{field}={value!r} must be the name of a configuration, without / and \\, and not .. "
            "Name it as the data set's card does."
        )


def inside(root: str | Path, *parts: str) -> Path:
    """`root` joined with `parts`.

    Raises InputError if that place, links followed, is not under `root`.
    """
    path = Path(root, *parts)
    if not path.resolve().is_relative_to(Path(root).resolve()):
        raise InputError(
            f"{'/'.join(parts)}: leads out of {root}, to {path.resolve()}. Take away the link, or "
            "the name that leads there."
        )
    return path
