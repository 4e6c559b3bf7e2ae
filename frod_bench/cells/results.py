"""What a run leaves on the disk: the record, and its curve and predictions beside it.

Every file appears by one rename. Needs no torch, so that the process that watches the workers can
leave the record of a worker that died.
"""

import json
import math
import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.cells.cell import Cell
from frod_bench.common import locks, processes
from frod_bench.records import provenance, record

DTYPES = {"no": "float32", "bf16": "bfloat16 (mixed)", "fp16": "float16 (mixed)"}


STANDING = {None: 0, "failed": 1, "diverged": 2, "ok": 3}  # no record gives way to a lower one


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, in the few words that a progress display needs."""

    status: str  # ok | failed | diverged
    summary: str  # the primary metric, or the error


@dataclass(frozen=True)
class SideFiles:
    """What a record names and lies beside it."""

    curve: Sequence[Mapping[str, float]]
    predictions: pa.Table | None  # columns split, row_id, prediction, label


def leave_record(
    cell: Cell,
    body: Mapping[str, Any],
    side_files: SideFiles | None,
    *,
    started_at: str,
    device: str,
    has_lock: bool = True,
) -> tuple[dict[str, Any], Path]:
    """Save the record made of `body` and its side files, then drop the checkpoints that it makes
    needless; returns the record and its path.

    A better record stays in its place, and so does any record while another process holds the
    cell's lock: this one is then kept beside it, under a name that no report reads.
    """
    version, dirty = provenance.code_version()
    path, status = cell.record_path, body["status"]
    if not has_lock or STANDING[status] < STANDING[record.status_at(path)]:
        path = record.beside(path, status)
    document = {
        "schema_version": record.SCHEMA_VERSION,
        "cell": cell.identity,
        "provenance": {
            "code_version": version,
            "dirty": dirty,
            "packages": provenance.package_versions(),
            "device": device,
            "dtype": DTYPES[cell.config["trainer"]["mixed_precision"]],
            "threads": cell.config["runtime"]["threads"],
            "processes": processes.count(),
            "data_fingerprint": cell.data_fingerprint,
            "backbone_fingerprint": cell.backbone_fingerprint,
            "started_at": started_at,
        },
        "config": cell.config,
        **body,
        "curve": None,
        "predictions": None,
    }
    if side_files is not None:
        document["curve"] = write_curve(path, side_files.curve)
        if side_files.predictions is not None:
            document["predictions"] = write_predictions(path, side_files.predictions)
    record.save(document, path)
    if status != "failed":
        shutil.rmtree(cell.place("checkpoints"), ignore_errors=True)
    return document, path


def leave_failure(cell: Cell, error: Exception) -> Outcome:
    """Leave the `failed` record of a cell that raised, with the traceback in it.

    Its checkpoints stay: the next try goes on from them. If a good record is there, or another
    process is at work on the cell, the failure is kept beside the record's place.
    """
    body = {
        "status": "failed",
        "error": {
            "type": type(error).__name__,
            "message": str(error),
            "where": "".join(traceback.format_exception(error)),
        },
        "metrics": {},
        "primary_metric": cell.config["task"]["primary_metric"],
        "higher_is_better": True,
        "steps": 0,
        "tokens_or_images": 0,
        **dict.fromkeys(("params", "time", "memory")),
    }
    device = cell.config["runtime"]["device"]
    with locks.tried(cell.lock_path, cell.label) as has_lock:
        document, path = leave_record(
            cell, body, None, started_at=now(), device=device, has_lock=has_lock
        )
    outcome = outcome_of(document)
    if path == cell.record_path:
        return outcome
    return Outcome(outcome.status, f"{outcome.summary} (kept as {path.name}; the record stays)")


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """The primary metric, or the error, in a few words."""
    if document["status"] == "ok":
        metric = document["metrics"][document["primary_metric"]]
        return Outcome("ok", f"{document['primary_metric']} {metric['value']:.3f}")
    error = document["error"]
    return Outcome(document["status"], f"{error['type']}: {error['message']}")


def write_curve(record_path: Path, curve: Sequence[Mapping[str, float]]) -> str:
    """Write one JSON object a line, null for NaN and infinities; returns the file's name."""
    lines = (
        {name: value if math.isfinite(value) else None for name, value in point.items()}
        for point in curve
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path = record.curve_path(record_path)
    _replace(path, lambda file: file.write_text(text))
    return path.name


def write_predictions(record_path: Path, table: pa.Table) -> str:
    """Write the predictions beside a record; returns the file's name."""
    path = record.predictions_path(record_path)
    _replace(path, lambda file: pq.write_table(table, file))
    return path.name


def now() -> str:
    """The time of day in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
