"""What a run writes: its curve and its predictions, and then the record that names them, each file
atomically, and on the disk before the next. Needs no torch, so that the process that watches the
workers can write for one that died.
"""

import functools
import json
import math
import shutil
import subprocess
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from frod_bench import __version__
from frod_bench.cells.cell import Cell, find_missing
from frod_bench.cells.code import code_digests
from frod_bench.common import atomic, locks, processes
from frod_bench.common.paths import PACKAGE_DIR
from frod_bench.common.secrets import redacted
from frod_bench.records import schema, store

if TYPE_CHECKING:
    import pyarrow as pa

DTYPES = {"no": "float32", "bf16": "bfloat16 (mixed)", "fp16": "float16 (mixed)"}
PACKAGES = (
    "accelerate", "datasets", "evaluate", "numpy", "peft", "safetensors", "scikit-learn", "scipy",
    "tokenizers", "torch", "torchvision", "transformers",
)  # fmt: skip
STANDING = {None: 0, "failed": 1, "diverged": 2, "ok": 3}  # no record is replaced by a lower one


BUSY = "busy"  # another process runs the cell
REFUSED = "refused"  # its input is bad
OVER_LIMIT = "over its time limit"


class Outcome(NamedTuple):
    """How a run ended, in the few words that a progress display needs."""

    status: str  # ok | failed | diverged; without a record: BUSY, REFUSED, OVER_LIMIT
    summary: str  # the primary metric, or the error
    is_ours: bool = True  # False: another process has run the cell


def leave_record(
    cell: Cell,
    body: Mapping[str, Any],
    curve: Sequence[Mapping[str, float]] | None,
    predictions: "pa.Table | None",
    *,
    started_at: str,
    device: str,
    has_lock: bool = True,
) -> tuple[dict[str, Any], Path]:
    """Save the record made of `body` and its side files, and return the record and its path.

    If a better record exists, or another process holds the cell's lock, the record is saved next to
    the cell's record, under a name that no report reads. Checkpoints that are no longer needed are
    deleted. `body` may name the `machines`, processors or GPUs, that the run was made on.
    """
    body = dict(body)
    machines = body.pop("machines", ())
    path, status = cell.record_path, body["status"]
    if not has_lock or STANDING[status] < STANDING[store.status_at(path)]:
        path = store.beside(path, status)
    document = {
        "schema_version": schema.SCHEMA_VERSION,
        "cell": cell.identity,
        "provenance": provenance_of(cell, started_at, device, machines),
        "config": cell.config,
        **body,
        "curve": None,
        "predictions": None,
        "files": {"curve": None, "predictions": None, "adapter": None},
    }
    if status == "ok" and cell.settings.save == "adapter" and cell.adapter_path.exists():
        document["files"]["adapter"] = store.digest_of(cell.adapter_path)
    side_files: tuple[tuple[str, Path, Any, Callable[[Any, Path], object]], ...] = (
        ("curve", store.curve_path(path), curve, write_curve),
        ("predictions", store.predictions_path(path), predictions, write_predictions),
    )
    with ExitStack() as replaced_together:
        for kind, file, content, write in side_files:
            if content is not None:
                store.make_way(file)
                partial = replaced_together.enter_context(atomic.replacing(file))
                write(content, partial)
                document[kind], document["files"][kind] = file.name, store.digest_of(partial)
        schema.validate(document)  # before a side file of an older record is replaced
    store.save(document, path)
    if status != "failed":
        shutil.rmtree(cell.place("checkpoints"), ignore_errors=True)
    return document, path


def provenance_of(
    cell: Cell, started_at: str, device: str, machines: Sequence[str] = ()
) -> dict[str, Any]:
    """What a record says of how its run was made. `machines` are what computed, by name; on a CPU
    it is by default this processor, and on an accelerator the processor is only next to it.
    """
    code, dirty = code_version()
    models = {"processor": processes.processor()}
    if machines:
        kind = "processor" if device.startswith("cpu") else "accelerator"
        models[kind] = schema.THEN.join(machines)
    return {
        "code_version": code,
        "dirty": dirty,
        "code": code_digests(),
        "packages": package_versions(),
        "device": device,
        **models,
        "dtype": DTYPES[cell.settings.trainer.mixed_precision],
        "threads": cell.settings.runtime.threads,
        "processes": processes.count(),
        "data_fingerprint": cell.data_fingerprint,
        "backbone_fingerprint": cell.backbone_fingerprint,
        "started_at": started_at,
    }


def leave_failure(cell: Cell, error: Exception) -> Outcome:
    """Save the `failed` record of a cell that raised, with the traceback. Its checkpoints stay, so
    that the next attempt resumes from them.
    """
    body = {
        "status": "failed",
        "error": {
            "type": type(error).__name__,
            "message": redacted(encodable(str(error))),
            "where": redacted(encodable("".join(traceback.format_exception(error)))),
        },
        "metrics": {},
        "primary_metric": cell.settings.task.primary_metric,
        "higher_is_better": True,
        "steps": 0,
        "tokens_or_images": 0,
        **dict.fromkeys(("params", "time", "memory", "data_counts")),
    }
    device = cell.settings.runtime.device
    with ExitStack() as held:
        try:
            has_lock = held.enter_context(locks.locked(cell.lock_path, cell.label, wait=False))
        except OSError:  # the lock cannot be made: an existing record stays
            has_lock = not cell.record_path.exists()
        document, path = leave_record(
            cell, body, None, None, started_at=now(), device=device, has_lock=has_lock
        )
    outcome = outcome_of(document)
    if path == cell.record_path:
        return outcome
    return Outcome(outcome.status, f"{outcome.summary} (kept as {path.name}; the record stays)")


def encodable(text: str) -> str:
    """The text, with what UTF-8 cannot encode (e.g. bytes of a file name) as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def ended(cell: Cell) -> Outcome | None:
    """How the run of a cell ended, by its record; None if it has none that counts, or none that can
    be read.
    """
    found = find_missing([cell])
    if found.missing or found.unreadable:
        return None
    return outcome_of(store.load(cell.record_path))


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """The primary metric, or the error, in a few words."""
    if document["status"] == "ok":
        metric = document["metrics"][document["primary_metric"]]
        return Outcome("ok", f"{document['primary_metric']} {metric['value']:.3f}")
    error = document["error"]
    return Outcome(document["status"], f"{error['type']}: {error['message']}")


def write_curve(curve: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write one JSON object per line, with null for NaN and infinities."""
    lines = (
        {name: value if math.isfinite(value) else None for name, value in point.items()}
        for point in curve
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def write_predictions(predictions: "pa.Table", path: Path) -> None:
    """Write a table as parquet."""
    import pyarrow.parquet as pq  # a plan, which writes none, imports this module, too

    pq.write_table(predictions, path)


def now() -> str:
    """The current time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.lru_cache
def code_version() -> tuple[str, bool | None]:
    """The version, with the commit in a clone, and whether the clone has changes (else None)."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return __version__, None
    changes = _git("status", "--porcelain", "--", "frod_bench", "conf", "experiments")
    return f"{__version__}+{commit}", bool(changes)


@functools.lru_cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _git(*arguments: str) -> str | None:
    """Output of git in the clone that contains this package; None if there is none."""
    if not (PACKAGE_DIR.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE_DIR.parent), *arguments],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
