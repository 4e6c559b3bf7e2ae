"""Records as evidence that a repository keeps: compressed parts, which are only ever added.

`records/part-001.parquet` and its successors hold a row for each run: the record and the files
next to it. Readers see a folder: `records_dir` unpacks the parts of a results folder into the
cache, once for each content.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.names import inside
from frod_bench.common.paths import cache_dir, writable_cache_dir
from frod_bench.records import store
from frod_bench.records.schema import Record, RecordError

PARTS = "part-[0-9][0-9][0-9].parquet"
COLUMNS = pa.schema(
    [
        ("path", pa.string()),
        ("record", pa.string()),
        ("curve", pa.string()),
        ("predictions", pa.binary()),
    ]
)
WHOLE_CURVES = "main_table"  # the experiment whose curves keep the training loss of every step


def parts_of(results_dir: Path) -> list[Path]:
    """The parts of a results folder, in the order in which they were added."""
    return sorted((results_dir / "records").glob(PARTS))


def records_dir(results_dir: Path) -> Path:
    """The folder of all records of a results folder: its own, or if it has parts a copy in the
    cache of what they hold.

    Raises InputError if a part is damaged, or if there are records as files beside the parts.
    """
    own, parts = results_dir / "records", parts_of(results_dir)
    if not parts:
        return own
    if loose := next(own.glob("*/*/*.json"), None):
        raise InputError(
            f"{own}: has parts and records as files, e.g. {loose.name}. Move the files into a "
            "folder of their own, or unpack the parts there: frod-bench archive unpack "
            f"folder={results_dir} out=DIR."
        )
    digest = hashlib.sha256("".join(store.digest_of(path)["sha256"] for path in parts).encode())
    unpacked = cache_dir() / "evidence" / digest.hexdigest()[:32] / "records"
    names = [row["path"] for row in _rows(parts, ["path"])]
    if not all((unpacked / name).is_file() for name in names):
        writable_cache_dir()
        unpack(parts, unpacked)
    return unpacked


def unpack(parts: list[Path], folder: Path) -> int:
    """Write the runs of `parts` that `folder` does not have; returns how many."""
    written: set[Path] = set()
    with atomic.writing_many() as write:
        for row in _rows(parts):
            path = inside(folder, *row["path"].split("/"))
            if path in written or path.exists():
                continue
            if row["curve"] is not None:
                write(store.curve_path(path), row["curve"].encode())
            if row["predictions"] is not None:
                write(store.predictions_path(path), row["predictions"])
            write(path, row["record"].encode())  # last: what it names exists
            written.add(path)
    return len(written)


def pack(results_dir: Path, out: Path) -> tuple[Path | None, int]:
    """Add the runs of `results_dir` that no part of `out` has as one more part.

    Returns its path, None if there are none, and the number of runs. Failed runs are left out.
    Raises InputError if a file among the records is damaged, or if a run of `out` was run again.
    """
    source = records_dir(results_dir)
    records, unusable = store.scan(source)
    if unusable:
        path, reason = unusable[0]
        raise InputError(f"{path}: is not a usable record ({reason}). Remove it, then pack again.")
    parts = parts_of(out)
    known = {row["path"]: json.loads(row["record"]) for row in _rows(parts, ["path", "record"])}
    rows = []
    for record in records:
        path = store.path_below(source, record["cell"])
        name = path.relative_to(source).as_posix()
        if record["status"] == "failed":
            continue
        if name not in known:
            rows.append({"path": name} | _packed(path, record))
        elif known[name]["provenance"]["started_at"] != record["provenance"]["started_at"]:
            raise InputError(
                f"{path}: was run again since {out} got it, and parts are not rewritten. "
                "Pack into another folder."
            )
    if not rows:
        return None, 0
    number = 1 + max((int(part.stem.removeprefix("part-")) for part in parts), default=0)
    made = out / "records" / f"part-{number:03d}.parquet"
    table = pa.Table.from_pylist(rows, schema=COLUMNS)
    with atomic.replacing(made) as partial:
        pq.write_table(table, partial, compression="zstd", compression_level=19)
    return made, len(rows)


def _packed(path: Path, record: Record) -> dict[str, Any]:
    """A row without its path; other experiments' curves keep their evaluations alone.

    Raises InputError if a file beside the record is missing, or not the one that the run wrote.
    """
    kept = cast(dict[str, Any], json.loads(json.dumps(record)))
    curve = predictions = None
    try:
        if record["curve"] is not None:
            points = store.read_curve(path, record)
            curve = store.curve_path(path).read_text(encoding="utf-8")
            experiment = record["config"].get("experiment") or {}
            if experiment.get("name") != WHOLE_CURVES:
                lines = curve.splitlines(keepends=True)
                curve = "".join(
                    line for line, point in zip(lines, points, strict=True) if "eval_loss" in point
                )
                kept["curve_holds"] = "evaluations"
                _note(kept, "curve", curve.encode())
        if record["predictions"] is not None:
            file = store.predictions_path(path)
            if damage := store.damage_of(record, "predictions", file):
                raise RecordError(damage)
            if record["cell"]["protocol"] != "tune":
                predictions = file.read_bytes()
            else:
                kept["predictions"] = None
                _note(kept, "predictions", None)
    except (RecordError, OSError) as error:
        raise InputError(f"{path}: cannot be packed: {error}") from error
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {"record": text, "curve": curve, "predictions": predictions}


def _note(record: dict[str, Any], kind: str, content: bytes | None) -> None:
    """Note size and SHA-256 of a file that was shortened, in a record that has them."""
    if "files" in record:
        digest = content and {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        record["files"][kind] = digest or None


def _rows(parts: list[Path], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    for part in parts:
        try:
            table = pq.read_table(part, columns=columns)
            if columns is None and not table.schema.equals(COLUMNS):
                raise RecordError("its columns are not those of a part of records")
        except (pa.ArrowException, OSError, RecordError) as error:
            raise InputError(
                f"{part}: cannot be read ({' '.join(str(error).split())}). Restore it from git."
            ) from error
        yield from table.to_pylist()
