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

from frod_bench import processes, provenance, record
from frod_bench.sweep import Cell

DTYPES = {"no": "float32", "bf16": "bfloat16 (mixed)", "fp16": "float16 (mixed)"}


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, in the few words that a progress display needs."""

    status: str  # ok | failed | diverged
    summary: str  # the primary metric, or the error


def leave_record(
    cell: Cell, body: Mapping[str, Any], *, started_at: str, device: str
) -> dict[str, Any]:
    """Save the record made of `body`, then drop the checkpoints that it makes needless."""
    version, dirty = provenance.code_version()
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
    }
    record.save(document, cell.record_path)
    if document["status"] != "failed":
        shutil.rmtree(cell.place("checkpoints"), ignore_errors=True)
    return document


def leave_failure(cell: Cell, error: Exception) -> Outcome:
    """Leave the `failed` record of a cell that raised, with the traceback in it.

    Its checkpoints stay: the next try goes on from them.
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
        **dict.fromkeys(("params", "time", "memory", "predictions", "curve")),
    }
    device = cell.config["runtime"]["device"]
    return outcome_of(leave_record(cell, body, started_at=now(), device=device))


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """The primary metric, or the error, in a few words."""
    if document["status"] == "ok":
        metric = document["metrics"][document["primary_metric"]]
        return Outcome("ok", f"{document['primary_metric']} {metric['value']:.3f}")
    error = document["error"]
    return Outcome(document["status"], f"{error['type']}: {error['message']}")


def write_curve(record_path: Path, curve: Sequence[Mapping[str, float]]) -> None:
    """One JSON object a line, null for NaN and infinities."""
    lines = (
        {name: value if math.isfinite(value) else None for name, value in point.items()}
        for point in curve
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    _replace(record.curve_path(record_path), lambda file: file.write_text(text))


def write_predictions(record_path: Path, table: pa.Table) -> None:
    """Columns split, row_id, prediction, label."""
    _replace(record.predictions_path(record_path), lambda file: pq.write_table(table, file))


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
