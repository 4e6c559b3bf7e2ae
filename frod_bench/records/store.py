"""Records on disk: the JSON file that a run leaves, and the files next to it.

A record is valid only if its hash is that of its configuration and fingerprints. A file that is not
a valid record is set aside, never deleted.
"""

import functools
import hashlib
import itertools
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from frod_bench.common import atomic
from frod_bench.common.names import inside
from frod_bench.common.paths import check_file, read_file
from frod_bench.records.configurations import Configurations, refuse_constant
from frod_bench.records.schema import (
    Cell,
    CurvePoint,
    FileDigest,
    Record,
    RecordError,
    is_usable_number,
    validate,
)

MOST_BYTES = 64 * 2**20  # of a record; those of the suite have some ten thousand


class Unusable(NamedTuple):
    """A file among the records that is not a valid record."""

    path: Path
    reason: str


def record_path(results_root: str | Path, cell: Cell) -> Path:
    """A cell's record. Raises InputError if the path leads out of the root."""
    file = f"{cell['seed']}-{cell['config_hash']}.json"
    return inside(results_root, cell["profile"], "records", cell["task"], cell["method"], file)


def path_below(records_dir: Path, cell: Cell) -> Path:
    """A cell's record below a folder of records, as `record_path` lays it out."""
    file = f"{cell['seed']}-{cell['config_hash']}.json"
    return _path_below(records_dir, cell["task"], cell["method"], file)


@functools.lru_cache(maxsize=2**15)  # a report asks for each several times
def _path_below(records_dir: Path, *parts: str) -> Path:
    return Path(records_dir, *parts)


def predictions_name(record_name: str) -> str:
    """The name of the predictions beside a record."""
    return record_name.removesuffix(".json") + ".predictions.parquet"


def predictions_path(record_path: Path) -> Path:
    """The predictions beside a record."""
    return record_path.with_name(predictions_name(record_path.name))


def curve_name(record_name: str) -> str:
    """The name of the curve beside a record; `0-abc.json.diverged-1` has a curve of its own."""
    return record_name.removesuffix(".json") + ".curve.jsonl"


def curve_path(record_path: Path) -> Path:
    """The curve beside a record."""
    return record_path.with_name(curve_name(record_path.name))


def save(record: Mapping[str, Any], path: Path) -> None:
    """Write a record, durably. Raises RecordError if it is invalid, OSError if that fails."""
    validate(record)
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    make_way(path)
    atomic.write_text(path, text + "\n")


def load(path: Path, known: Configurations | None = None) -> Record:
    """Read a record, as `parse` does. Raises RecordError if it cannot be trusted, OSError if the
    file is missing or cannot be read.
    """
    if (size_bytes := check_file(path).st_size) > MOST_BYTES:
        raise RecordError(f"it has {size_bytes:,} bytes, more than {MOST_BYTES:,}.")
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise RecordError("it is a folder.") from None
    return parse(content, path.name, known)


def parse(content: bytes | str, file_name: str, known: Configurations | None = None) -> Record:
    """The record in a file of this name. Raises RecordError if it cannot be trusted.

    Many records are read with one `known`: a record whose configuration is known takes less time,
    and what records have in common is kept once.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        record = None if known is None else known.record(text)
        if record is None:
            record = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON ({error}).") from error
    validate(record, None if known is None else known.hashes)
    cell = record["cell"]
    name = f"{cell['seed']}-{cell['config_hash']}.json"
    if file_name != name:
        raise RecordError(f"file name is {file_name!r}; the cell in it is {name!r}.")
    if known is not None:
        known.share_versions(record["provenance"])
    return cast(Record, record)


def scan(records_dir: Path) -> tuple[list[Record], list[Unusable]]:
    """All records under a folder, and what is unusable there, both in order of path.

    Unusable are JSON files that are not records, and folders that cannot be read. If two files hold
    the same cell, the one at the cell's own path is its record.
    """
    unusable: list[Unusable] = []
    paths = sorted(_json_files(records_dir, unusable))
    known = Configurations()
    return gather(records_dir, ((path, _read(path, known)) for path in paths), unusable)


def _read(path: Path, known: Configurations) -> Record | RecordError | OSError:
    try:
        return load(path, known)
    except (RecordError, OSError) as error:
        return error


def gather(
    records_dir: Path,
    reads: Iterable[tuple[Path, Record | RecordError | OSError]],
    unusable: list[Unusable],
) -> tuple[list[Record], list[Unusable]]:
    """`scan` of files that were read, each with its record or with what is wrong with it."""
    found: dict[Path, tuple[Path, Record]] = {}
    for path, read in reads:
        if isinstance(read, RecordError | OSError):
            unusable.append(Unusable(path, str(read)))
            continue
        own_path = path_below(records_dir, read["cell"])
        kept, other = (path, read), found.get(own_path)
        if other is not None:
            kept, (again, _) = (kept, other) if path == own_path else (other, kept)
            unusable.append(Unusable(again, f"it holds the cell that {kept[0]} holds."))
        found[own_path] = kept
    return [made for _, made in found.values()], sorted(unusable)


def _json_files(folder: Path, unreadable: list[Unusable]) -> Iterator[Path]:
    """The paths that end in .json; folders that cannot be read are added to `unreadable`."""

    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # none has been made yet, or it is gone
            unreadable.append(Unusable(Path(error.filename), f"it cannot be read ({error})."))

    for place, folders, files in os.walk(folder, onerror=note):
        for name in (*folders, *files):
            if name.endswith(".json"):
                yield Path(place, name)


def beside(path: Path, what: str) -> Path:
    """The first free name `<name>.<what>-<n>` beside a record; no scan takes it for a record."""
    names = (path.with_name(f"{path.name}.{what}-{n}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def status_at(path: Path) -> str | None:
    """The status of the valid record at `path`, or None. Raises OSError if a file is there that
    cannot be read: it may be a good record.
    """
    try:
        return load(path)["status"]
    except (RecordError, FileNotFoundError):
        return None


def set_aside(path: Path) -> Path | None:
    """Rename an invalid record to `<name>.invalid-<n>` and return the new path.

    If another process has renamed it already, return the path that this process gave it. Return
    None if there is a valid record at `path` by now.
    """
    if status_at(path) is not None:
        return None
    try:
        return path.rename(beside(path, "invalid"))
    except FileNotFoundError:
        kept = list(path.parent.glob(f"{path.name}.invalid-*"))
        if not kept:
            raise
        return max(kept, key=lambda one: one.stat().st_ctime_ns)  # renamed last


def make_way(path: Path) -> None:
    """Rename a folder in the place of a file that is about to be written, as `set_aside` does."""
    if path.is_dir():
        path.rename(beside(path, "invalid"))


def digest_of(path: Path) -> FileDigest:
    """Size and SHA-256 of a file, as a record notes them."""
    check_file(path)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def damage_of(
    record: Record, kind: Literal["curve", "predictions", "adapter"], path: Path
) -> str | None:
    """The reason why a file is not the one that its record notes, or None, also if the record is of
    version 1, without digests. Raises OSError if the file cannot be read.
    """
    noted = record["files"][kind] if "files" in record else None
    return None if noted is None else _damage(noted, digest_of(path), path.name)


def damage_in(
    record: Record, kind: Literal["curve", "predictions"], content: bytes, name: str
) -> str | None:
    """`damage_of` a file whose content has been read."""
    noted = record["files"][kind] if "files" in record else None
    return None if noted is None else _damage(noted, digest(content), name)


def digest(content: bytes) -> FileDigest:
    """`digest_of` a file with this content."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _damage(noted: FileDigest, found: FileDigest, name: str) -> str | None:
    if found == noted:
        return None
    return (
        f"{name} is not the file that the run wrote: its size or SHA-256 differs from the "
        "record's. Restore it, or delete the record and run the cell again."
    )


def damage_by_size(path: Path, noted: FileDigest | None) -> str | None:
    """The reason why a run's file cannot be the one that its record notes, by its size alone.

    A plan of thousands of runs has no time to read the files, as `damage_of` does. `noted` is None
    for a record of version 1, which notes nothing. Raises OSError if the size cannot be found out.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "it is missing."
    if not stat.S_ISREG(found.st_mode):
        return "it is not a file."
    if found.st_size != noted["bytes"] if noted else found.st_size == 0:
        wanted = f"the run wrote {noted['bytes']:,}" if noted else "the run wrote more"
        return f"it has {found.st_size:,} bytes, and {wanted}."
    return None


def read_curve(record_path: Path, record: Record | None = None) -> list[CurvePoint]:
    """The curve beside a record. Raises RecordError if it is missing, malformed or, with `record`
    given, not as it was written.
    """
    path = curve_path(record_path)
    try:
        content = read_file(path)
    except OSError as error:
        raise RecordError(f"curve cannot be read ({error}).") from error
    if record is not None and (damage := damage_in(record, "curve", content, path.name)):
        raise RecordError(damage)
    return points_of(content, path.name)


def points_of(content: bytes, name: str) -> list[CurvePoint]:
    """The points in the `content` of a curve, whose file is called `name`. Raises RecordError if it
    is malformed.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise RecordError(f"curve cannot be read ({error}).") from error
    points: list[CurvePoint] = []
    for number, line in enumerate(lines, start=1):
        try:
            point = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{name} line {number} is not JSON ({error}).") from error
        places = [point.get(key) for key in ("step", "seconds")] if type(point) is dict else []
        if not places or not all(map(is_usable_number, places)):
            raise RecordError(f"{name} line {number} is not a point with step and seconds.")
        last = points[-1] if points else None
        if last and (last["step"] >= point["step"] or last["seconds"] > point["seconds"]):
            raise RecordError(f"{name} line {number} is not after the line before it.")
        for key, value in point.items():
            is_no_value = value is None or (type(value) is float and not math.isfinite(value))
            if not (is_no_value or is_usable_number(value)):
                raise RecordError(f"{name} line {number}: {key} is not a usable number.")
        points.append(cast(CurvePoint, point))
    return points
