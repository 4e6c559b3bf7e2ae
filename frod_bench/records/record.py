"""The record: the JSON file that a cell leaves, and the only thing that reports read.

A record is trusted only if it parses, its schema version is known, its fields have their types and
its hash is that of its own configuration and fingerprints. Anything else is named, set aside and
run again, and never deleted.
"""

import hashlib
import itertools
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple, NoReturn, cast

from frod_bench.common.names import RULE, inside, is_name
from frod_bench.records.schema import (
    SCHEMA_VERSION,
    CurvePoint,
    Record,
    RecordError,
    check,
    check_text,
    is_usable_number,
)

__all__ = [
    "SCHEMA_VERSION",
    "CurvePoint",
    "Record",
    "RecordError",
    "Unusable",
    "beside",
    "canonical_json",
    "config_hash",
    "curve_path",
    "headed",
    "identity",
    "load",
    "predictions_path",
    "read_curve",
    "record_path",
    "same_record",
    "save",
    "scan",
    "set_aside",
    "settings_hash",
    "status_at",
    "validate",
]

HASH_DIGITS = 16
_PLACES = ("hub_id", "revision")  # where content comes from; its fingerprint says what it is
# Settings of a method that came after the first records, at the value that leaves a cell as it was
# without them: its hash, and with it its record, stays.
_AS_BEFORE = {
    "shared_side": "input",
    "released_output": False,
    "apply": None,
    "options": {},
    "source": None,
}
_EXACT_INTEGER = 2.0**53  # floats below it that are whole numbers are exactly those numbers


class Unusable(NamedTuple):
    """A file among the records that is not a valid record."""

    path: Path
    reason: str


def canonical_json(obj: object) -> str:
    """The one text of a JSON value: sorted keys, no blanks, whole floats as integers (1.0 is 1).

    The last point is RFC 8785's, so that `alpha: 16` and `alpha: 16.0` are one configuration.
    Raises ValueError for NaN and infinities, TypeError for what JSON has no word for.
    """
    return json.dumps(
        _whole_numbers(obj),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def config_hash(identity: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of SHA-256 over the canonical JSON of a cell's identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:HASH_DIGITS]


def settings_hash(made: Record) -> str:
    """The hash of a record's cell without its data's fingerprint.

    Files of the same rows differ in their bytes between versions of the library that writes them,
    so runs on two machines are matched by this one.
    """
    return config_hash(identity(made["config"], "", made["provenance"]["backbone_fingerprint"]))


def identity(
    config: Mapping[str, Any], data_fingerprint: str, backbone_fingerprint: str
) -> dict[str, Any]:
    """What changes a cell's result, out of its composed configuration (`settings.Settings`).

    Data and backbone are named by content and never by place; suite, tracker, runtime and folders
    are left out. The method holds its resolved learning rates, so the table that they were looked
    up in is left out too. The head is in it, with what the task says of ranking, where options are
    ranked. Raises KeyError where the configuration lacks a part.
    """
    task = config["task"]
    ranked = config.get("head") == "rank"
    unread = _PLACES if ranked else (*_PLACES, "rank")
    backbone = config["backbones"][task["family"]]
    return {
        "profile": config["profile"]["name"],
        "protocol": dict(config["protocol"]),
        "task": {k: v for k, v in task.items() if k not in unread},
        "method": _method_identity(config["method"]),
        "backbone": {k: v for k, v in backbone.items() if k not in _PLACES},
        "trainer": dict(config["trainer"]),
        "seed": config["seed"],
        "pretrained": config.get("pretrained", True),
        "data_fingerprint": data_fingerprint,
        "backbone_fingerprint": backbone_fingerprint,
        **({"head": "rank"} if ranked else {}),
    }


def _method_identity(method: Mapping[str, Any]) -> dict[str, Any]:
    """A method without what is as before, and without the folder of its function's file."""
    kept = {k: v for k, v in method.items() if (k, v) not in _AS_BEFORE.items()}
    if "apply" in kept:
        kept["apply"] = PurePath(kept["apply"]).name
    return kept


def headed(name: str, config: Mapping[str, Any]) -> str:
    """A task's or a family's name where heads are told apart: `boolq`, but `boolq_rank`."""
    return f"{name}_rank" if config.get("head") == "rank" else name


def record_path(  # noqa: PLR0917
    results_root: str | Path, profile: str, task: str, method: str, seed: int, config_hash: str
) -> Path:
    """Where a cell's record lies: `<root>/<profile>/records/<task>/<method>/<seed>-<hash>.json`.

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
    """Beside `0-abc.json` is `0-abc.curve.jsonl`; `0-abc.json.diverged-1` has one of its own."""
    return record_path.with_name(record_path.name.removesuffix(".json") + suffix)


def validate(record: Mapping[str, Any]) -> None:
    """Raise RecordError, which names the field and its value, unless `record` is a valid record."""
    if not isinstance(record, dict):
        raise RecordError(f"a record is a JSON object, and this is {type(record).__name__}.")
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RecordError(f"schema_version is {version!r}; this code reads {SCHEMA_VERSION}.")
    check(record, Record, "")
    _check_status(cast(Record, record))
    _check_percent(cast(Record, record))
    _check_cell(cast(Record, record))


def save(record: Mapping[str, Any], path: Path) -> None:
    """Write a validated record so that `path` holds all of it or is left as it was.

    Raises RecordError for an invalid record and OSError where the disk refuses.
    """
    validate(record)
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: Path) -> Record:
    """Read a record. Raises RecordError for one that cannot be trusted, OSError for no file."""
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
    """All records under a folder, and the files there that are none, both in order of path.

    Of two files that hold one cell, the one in the cell's own place is its record, the other is
    none. Never raises on a bad file; a folder that is not there holds nothing.
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
        place = records_dir / cell["task"] / cell["method"] / path.name
        kept, other = (path, made), found.get(place)
        if other is not None:
            kept, (again, _) = (kept, other) if path == place else (other, kept)
            unusable.append(Unusable(again, f"it holds the cell that {kept[0]} holds."))
        found[place] = kept
    return [made for _, made in found.values()], sorted(unusable)


def beside(path: Path, what: str) -> Path:
    """The first free name `<name>.<what>-<n>` beside a record; no scan takes it for a record."""
    names = (path.with_name(f"{path.name}.{what}-{n}") for n in itertools.count(1))
    return next(name for name in names if not name.exists())


def status_at(path: Path) -> str | None:
    """The status of the valid record at `path`; None if there is none.

    Raises OSError if the file is there and cannot be read: it may be a good record.
    """
    try:
        return load(path)["status"]
    except (RecordError, FileNotFoundError):
        return None


def set_aside(path: Path) -> Path | None:
    """Rename an invalid record to `<name>.invalid-<n>`; returns its new path.

    Looks again first: None if another process has put a valid record there by now. If another
    process was faster to set it aside, returns the path that it was given there.
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


def read_curve(record_path: Path) -> list[CurvePoint]:
    """The curve beside a record, a dict a line. Raises RecordError for a missing or bad one."""
    path = curve_path(record_path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"curve cannot be read ({error}).") from error
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
    """Whether two record files tell the same result: equal status, cell, metrics, parameters, steps
    and curve, bit for bit; times and places are left out.
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


def _check_status(record: Record) -> None:
    status = record["status"]
    if (status == "failed" and record["error"] is None) or (status == "ok" and record["error"]):
        raise RecordError(f"error is {record['error']!r} where status is {status!r}.")
    if status == "failed":
        return
    for name in ("params", "time", "memory", "curve"):
        if record[name] is None:
            raise RecordError(f"{name} is null where status is {status!r}.")
    if status == "ok" and record["primary_metric"] not in record["metrics"]:
        has = ", ".join(record["metrics"]) or "none"
        raise RecordError(f"primary_metric {record['primary_metric']!r} is not in metrics ({has}).")


def _check_percent(record: Record) -> None:
    """The percent follows from the counts, so that no two parts of the code read it differently."""
    params = record["params"]
    if params is None:
        return
    if params["trainable_head"] > params["trainable"]:
        raise RecordError(
            f"params.trainable_head is {params['trainable_head']}, "
            f"more than params.trainable, {params['trainable']}."
        )
    percent = 100.0 * (params["trainable"] - params["trainable_head"]) / (params["backbone_total"])
    if abs(params["trainable_percent"] - percent) > 1e-6 * max(1.0, percent):
        raise RecordError(
            f"params.trainable_percent is {params['trainable_percent']}; "
            f"the counts beside it give {percent:.6f}."
        )


def _check_cell(record: Record) -> None:
    """The cell is that of the configuration, and so is its hash."""
    cell, config, provenance = record["cell"], record["config"], record["provenance"]
    fingerprints = provenance["data_fingerprint"], provenance["backbone_fingerprint"]
    try:
        expected = {
            "profile": config["profile"]["name"],
            "protocol": config["protocol"]["name"],
            "task": config["task"]["name"],
            "family": config["task"]["family"],
            "method": config["method"]["name"],
            "backbone": config["backbones"][config["task"]["family"]]["name"],
            "seed": config["seed"],
            "config_hash": config_hash(identity(config, *fingerprints)),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"config is not a composed configuration ({error!r}).") from error
    _check_read_by_reports(config)
    for name in ("profile", "protocol", "task", "method", "backbone"):
        if not is_name(cell[name]):
            raise RecordError(f"cell.{name} is {cell[name]!r}; it {RULE}.")
    for name, value in expected.items():
        if cell[name] != value:  # type: ignore[literal-required]
            shown = cell[name]  # type: ignore[literal-required]
            raise RecordError(f"cell.{name} is {shown!r}; its configuration says {value!r}.")


def _check_read_by_reports(config: Mapping[str, Any]) -> None:
    """What reports read of a configuration besides the cell's identity is there, and is text."""
    for group, key in (("profile", "title"), ("protocol", "curve_split")):
        value = config[group].get(key)
        check_text(value, f"config.{group}.{key}")


def _whole_numbers(obj: object) -> object:
    if isinstance(obj, float) and obj.is_integer() and abs(obj) < _EXACT_INTEGER:
        return int(obj)
    if isinstance(obj, Mapping):
        return {key: _whole_numbers(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_whole_numbers(value) for value in obj]
    return obj


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
