"""Records on disk: the JSON file that a run leaves, and the files next to it.

A record is trusted only if it parses, its schema version is known, its fields have their types and
its hash is that of its own configuration and fingerprints. Any other file is reported, set aside
and its cell run again; it is never deleted.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, cast

from frod_bench.common import atomic
from frod_bench.common.names import inside
from frod_bench.records.schema import (
    CurvePoint,
    FileDigest,
    Record,
    RecordError,
    is_usable_number,
    validate,
)


class Unusable(NamedTuple):
    """A file among the records that is not a valid record."""

    path: Path
    reason: str


def record_path(  # noqa: PLR0917
    results_root: str | Path, profile: str, task: str, method: str, seed: int, config_hash: str
) -> Path:
    """Path of a cell's record: `<root>/<profile>/records/<task>/<method>/<seed>-<hash>.json`.

    Raises InputError if that leads out of the root.
    """
    file = f"{seed}-{config_hash}.json"
    return inside(results_root, profile, "records", task, method, file)


def predictions_path(record_path: Path) -> Path:
    """The predictions beside a record."""
    return _side_file(record_path, ".predictions.parquet")


def curve_path(record_path: Path) -> Path:
    """The curve beside a record."""
    return _side_file(record_path, ".curve.jsonl")


def _side_file(record_path: Path, suffix: str) -> Path:
    """`0-abc.json` has `0-abc.curve.jsonl`; `0-abc.json.diverged-1` has a curve of its own."""
    return record_path.with_name(record_path.name.removesuffix(".json") + suffix)


def save(record: Mapping[str, Any], path: Path) -> None:
    """Validate a record and write it atomically.

    Raises RecordError for an invalid record and OSError if the disk refuses.
    """
    validate(record)
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write_text(path, text + "\n")


def load(path: Path) -> Record:
    """Read a record. Raises RecordError if it cannot be trusted, OSError if there is no file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON ({error}).") from error
    validate(record)
    cell = record["cell"]
    name = f"{cell['seed']}-{cell['config_hash']}.json"
    if path.name != name:
        raise RecordError(f"file name is {path.name!r}; the cell in it is {name!r}.")
    return cast(Record, record)


def scan(records_dir: Path) -> tuple[list[Record], list[Unusable]]:
    """All records under a folder, and the JSON files that are not records, both in order of path.

    Of two files with the same cell, the one at the cell's own path is its record. Never raises on
    a bad file; a folder that does not exist has no records.
    """
    found: dict[Path, tuple[Path, Record]] = {}
    unusable: list[Unusable] = []
    for path in sorted(records_dir.rglob("*.json")):
        try:
            made = load(path)
        except (RecordError, OSError) as error:
            unusable.append(Unusable(path, str(error)))
            continue
        cell = made["cell"]
        own_path = records_dir / cell["task"] / cell["method"] / path.name
        kept, other = (path, made), found.get(own_path)
        if other is not None:
            kept, (again, _) = (kept, other) if path == own_path else (other, kept)
            unusable.append(Unusable(again, f"it holds the cell that {kept[0]} holds."))
        found[own_path] = kept
    return [made for _, made in found.values()], sorted(unusable)


def beside(path: Path, what: str) -> Path:
    """The first free name `<name>.<what>-<n>` beside a record; no scan takes it for a record."""
    names = (path.with_name(f"{path.name}.{what}-{n}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def status_at(path: Path) -> str | None:
    """The status of the valid record at `path`; None if there is none.

    Raises OSError if the file exists and cannot be read: it may be a good record.
    """
    try:
        return load(path)["status"]
    except (RecordError, FileNotFoundError):
        return None


def set_aside(path: Path) -> Path | None:
    """Rename an invalid record to `<name>.invalid-<n>` and return its new path.

    Return None if another process has put a valid record there by now. If another process was
    faster to set it aside, return the path that it was given.
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


def digest_of(path: Path) -> FileDigest:
    """Size and SHA-256 of a file, as a record notes them."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def damage_of(
    record: Record, kind: Literal["curve", "predictions", "adapter"], path: Path
) -> str | None:
    """The reason why a file is not the one that its record notes, or None.

    None, too, if the record notes no digest, as those of version 1. Raises OSError if the file
    cannot be read.
    """
    noted = record["files"][kind] if "files" in record else None
    if noted is None or digest_of(path) == noted:
        return None
    return (
        f"{path.name} is not the file that the run wrote: its size or SHA-256 differs from the "
        "record's. Restore it, or delete the record and run the cell again."
    )


def read_curve(record_path: Path, record: Record | None = None) -> list[CurvePoint]:
    """The curve beside a record, one dict per line.

    Raises RecordError if it is missing, malformed or, with `record` given, not as it was written.
    """
    path = curve_path(record_path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        damage = damage_of(record, "curve", path) if record is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"curve cannot be read ({error}).") from error
    if damage is not None:
        raise RecordError(damage)
    points: list[CurvePoint] = []
    for number, line in enumerate(lines, start=1):
        try:
            point = json.loads(line)
        except ValueError as error:
            raise RecordError(f"{path.name} line {number} is not JSON ({error}).") from error
        places = [point.get(name) for name in ("step", "seconds")] if type(point) is dict else []
        if not places or not all(type(place) in (int, float) for place in places):
            raise RecordError(f"{path.name} line {number} is not a point with step and seconds.")
        for name, value in point.items():
            is_no_value = value is None or (type(value) is float and not math.isfinite(value))
            if not (is_no_value or is_usable_number(value)):
                raise RecordError(f"{path.name} line {number}: {name} is not a usable number.")
        points.append(cast(CurvePoint, point))
    return points


def same_record(a: Path, b: Path) -> bool:
    """Whether two record files hold the same result: equal status, cell, metrics, parameters,
    steps and curve, bit for bit. Times and paths are not compared.
    """
    return _result(a) == _result(b)


def _result(path: Path) -> dict[str, Any]:
    record = load(path)
    fields = ("status", "cell", "metrics", "primary_metric", "params", "steps", "tokens_or_images")
    result: dict[str, Any] = {name: record[name] for name in fields}  # type: ignore[literal-required]
    if record["curve"] is not None:
        points = [{k: v for k, v in p.items() if k != "seconds"} for p in read_curve(path)]
        result["curve"] = json.dumps(points, sort_keys=True)  # as text, so that NaN equals NaN
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
