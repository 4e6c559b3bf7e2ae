"""Names that become folders, and paths that must stay below their root.

Both come from users and files. They are checked as text, without following links: the files in a
Hub cache are links out of their snapshot, and valid. Only `inside` follows links.
"""

import errno
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from frod_bench.common.errors import InputError

LONGEST = 100
LONGEST_FILE_NAME = 255  # bytes; file systems allow no more
LONGEST_STEM = 180  # bytes of a name that is put together: endings and those of temporaries follow
RULE = (
    "must be a text of letters, digits and _ . - that starts with a letter or a digit, at most "
    f"{LONGEST} characters long"
)
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|.*(?:://|::)", re.DOTALL)  # fsspec's and C:
_SEPARATOR = re.compile(r"[/\\]")


# Values of the key `head`: a new linear layer; options by likelihood; the latter if a task has any.
HEADS = ("classify", "rank", "auto")


# Of the name of a method at FRoD's count of trained parameters (`budget=matched`).
MATCHED_ENDING = "_matched"


def head_for(head: str, *, has_options: bool) -> str:
    """The head that a task gets: `auto` becomes `rank` if the task has options."""
    return ("rank" if has_options else "classify") if head == "auto" else head


def short_stem(stem: str) -> str:
    """The stem of a file's name; if it is too long, a digest of the whole stem replaces its end."""
    encoded = stem.encode()
    if len(encoded) <= LONGEST_STEM:
        return stem
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return encoded[: LONGEST_STEM - 9].decode(errors="ignore") + f"_{digest}"


def is_name(value: object) -> bool:
    """Whether a value may name a folder."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def with_head(name: str, head: str) -> str:
    """A task's or a family's name as files spell it: `boolq`, or `boolq_rank` if options are
    ranked.
    """
    return name if head == "classify" else f"{name}_{head}"


def without_head(name: str) -> tuple[str, str]:
    """The two parts of a family's name as files spell it: `reasoning_rank` is (reasoning, rank)."""
    family = name.removesuffix(with_head("", "rank"))
    return family, "classify" if family == name else "rank"


def settings_text(settings: Iterable[tuple[str, object]]) -> str:
    """Settings that an experiment varies, by their short names: `s 0.02, r 8`; "" if none."""
    return ", ".join(
        f"{name} {f'{value:g}' if isinstance(value, float) else value}" for name, value in settings
    )


def with_settings(method: str, settings: str) -> str:
    """A variant of a method as files spell it: `frod (s 0.02)`."""
    return f"{method} ({settings})" if settings else method


def has_settings(method: str) -> bool:
    """Whether it is the name of a variant."""
    return method.endswith(")")


def is_hub_id(value: object) -> bool:
    """Whether a value is `name` or `owner/name`."""
    return isinstance(value, str) and value.count("/") <= 1 and all(map(is_name, value.split("/")))


def stays(path: str) -> bool:
    """Whether a path or a pattern, written with / or \\, is relative, has no `..`, and is not an
    address of another file system.
    """
    pure = PureWindowsPath(path)  # knows both separators
    return not pure.anchor and ".." not in pure.parts and not _ADDRESS.match(path)


def is_below(path: str | Path, folder: Path) -> bool:
    """Whether a file is in a folder by its path; it may be a link to another place."""
    file, roots = Path(path), (folder.absolute(), folder.resolve())
    return ".." not in file.parts and any(map(file.absolute().is_relative_to, roots))


def check_name(field: str, value: object) -> None:
    """Raise InputError unless the value of `field` may name a folder."""
    if not is_name(value):
        raise InputError(f"{field}={value!r} {RULE}. It is the name of a folder.")


def check_hub_id(field: str, value: object) -> None:
    """Raise InputError unless the value of `field` is a Hub id."""
    if not is_hub_id(value):
        raise InputError(
            f"{field}={value!r} must be NAME or OWNER/NAME, as on the Hub, and each of them "
            f"{RULE.removeprefix('must be ')}. Name a local folder in data_root or model_root."
        )


def check_hub_config(field: str, value: str) -> None:
    """Raise InputError if the name of a data set's configuration has several parts, is `..`, or
    cannot be that of a folder.
    """
    is_part = not _SEPARATOR.search(value) and value not in ("", ".", "..")
    if not is_part or not value.isprintable() or len(value.encode()) > LONGEST_FILE_NAME:
        raise InputError(
            f"{field}={value[:LONGEST]!r} must be the name of a configuration, without / and \\, "
            f"not empty, not .. and at most {LONGEST_FILE_NAME} bytes long. Name it as the data "
            "set's card does."
        )


def resolved(path: str | Path, key: str = "") -> Path:
    """The path as `Path.resolve` has it. Raises InputError, which names the `key` that has it, if a
    link leads to itself.
    """
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        raise InputError(
            f"{key}{'=' if key else ''}{path}: has a link in it that leads to itself. Remove it, "
            "or name another path."
        ) from error


def inside(root: str | Path, *parts: str) -> Path:
    """Join `root` with `parts`. Raises InputError if that, links followed, is not under `root`."""
    path = Path(root, *parts)
    if not (found := resolved(path)).is_relative_to(resolved(root)):
        raise InputError(
            f"{'/'.join(parts)}: leads out of {root}, to {found}. Remove the link, or "
            "change the name that leads there."
        )
    return path
