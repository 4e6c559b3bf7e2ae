"""Records as evidence that a repository keeps: compressed parts, which are only ever added.

`records/part-001.parquet` and its successors hold a row for each run: the record and the files
next to it. `records.sources` reads them where they are; here they are written and unpacked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.names import inside
from frod_bench.records import sources, store
from frod_bench.records.parts import COLUMNS, parts_of, rows_of
from frod_bench.records.schema import Record, RecordError

ROOTS = ("results_root", "data_root", "model_root")  # no part of a run's hash
RUNS_AT_ONCE = 1000  # packed together: their curves and predictions are in memory
WHOLE_CURVES = "main_table"  # the experiment whose curves keep the training loss of every step


def unpack(parts: list[Path], folder: Path) -> int:
    """Write the runs of `parts` that `folder` does not have; returns how many."""
    written: set[Path] = set()
    with atomic.writing_many() as write:
        for row in rows_of(parts):
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
    source = sources.opened(results_dir)
    records, unusable = source.scan()
    if unusable:
        path, reason = unusable[0]
        raise InputError(f"{path}: is not a usable record ({reason}). Remove it, then pack again.")
    parts = parts_of(out)
    known = {row["path"]: json.loads(row["record"]) for row in rows_of(parts, ["path", "record"])}
    chosen: dict[Path, Record] = {}
    for record in records:
        path = source.path_of(record)
        name = path.relative_to(source.folder).as_posix()
        if record["status"] == "failed":
            continue
        if name not in known:
            chosen[path] = record
        elif known[name]["provenance"]["started_at"] != record["provenance"]["started_at"]:
            raise InputError(
                f"{path}: was run again since it was packed into {out}. Parts are not rewritten. "
                "Pack into another folder."
            )
    if not chosen:
        return None, 0
    number = 1 + max((int(part.stem.removeprefix("part-")) for part in parts), default=0)
    made = out / "records" / f"part-{number:03d}.parquet"
    with (
        _leaving_no_folder(made),
        atomic.replacing(made) as partial,
        pq.ParquetWriter(partial, COLUMNS, compression="zstd", compression_level=19) as writer,
    ):
        paths = list(chosen)
        for start in range(0, len(paths), RUNS_AT_ONCE):
            rows = _rows(source, chosen, paths[start : start + RUNS_AT_ONCE])
            writer.write_table(pa.Table.from_pylist(rows, schema=COLUMNS))
    return made, len(chosen)


@contextmanager
def _leaving_no_folder(file: Path) -> Iterator[None]:
    """Remove the folders that were made for a file if the body fails."""
    absent = [folder for folder in file.parents if not folder.exists()]  # the innermost first
    try:
        yield
    except BaseException:
        for folder in absent:
            with suppress(OSError):  # it was not made, or another process has put something there
                folder.rmdir()
        raise


def _rows(
    source: sources.Source, chosen: Mapping[Path, Record], paths: Sequence[Path]
) -> list[dict[str, Any]]:
    """The rows of some of the records that were chosen, with their curves and predictions."""
    curves, predictions = dict(source.curves(paths)), dict(source.predictions(paths))
    return [
        {"path": path.relative_to(source.folder).as_posix()}
        | _packed(path, chosen[path], curves[path], predictions[path])
        for path in paths
    ]


def _packed(
    path: Path, record: Record, content: bytes | RecordError | None, found: bytes | OSError
) -> dict[str, Any]:
    """The row of a record, without its path.

    `content` is its curve and `found` are its predictions, or what was raised when they were read.
    A curve of another experiment than `WHOLE_CURVES` keeps only the lines of evaluations. Raises
    InputError if a file of the record is missing, or is not the one that the run wrote.
    """
    kept = cast(dict[str, Any], json.loads(json.dumps(record)))
    _leave_out_folders(kept["config"])
    curve = predictions = None
    try:
        if record["curve"] is not None:
            if not isinstance(content, bytes):
                raise content or RecordError("curve is missing.")
            name = store.curve_name(path.name)
            if damage := store.damage_in(record, "curve", content, name):
                raise RecordError(damage)
            points = store.points_of(content, name)
            curve = content.decode()
            experiment = record["config"].get("experiment") or {}
            if experiment.get("name") != WHOLE_CURVES:
                lines = curve.splitlines(keepends=True)
                curve = "".join(
                    line for line, point in zip(lines, points, strict=True) if "eval_loss" in point
                )
                kept["curve_holds"] = "evaluations"
                _note(kept, "curve", curve.encode())
        if record["predictions"] is not None:
            if isinstance(found, OSError):
                raise found
            name = store.predictions_name(path.name)
            if damage := store.damage_in(record, "predictions", found, name):
                raise RecordError(damage)
            if record["cell"]["protocol"] != "tune":
                predictions = found
            else:
                kept["predictions"] = None
                _note(kept, "predictions", None)
    except (RecordError, OSError) as error:
        raise InputError(f"{path}: cannot be packed: {error}") from error
    text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return {"record": text, "curve": curve, "predictions": predictions}


def _leave_out_folders(config: dict[str, Any]) -> None:
    """Keep only the last name of absolute paths: the folders of a machine are not evidence."""
    for key in ROOTS:
        if isinstance(root := config.get(key), str) and Path(root).is_absolute():
            config[key] = Path(root).name


def _note(record: dict[str, Any], kind: str, content: bytes | None) -> None:
    """Note size and SHA-256 of a file that was shortened, in a record that has them."""
    if "files" in record:
        record["files"][kind] = store.digest(content) if content else None
