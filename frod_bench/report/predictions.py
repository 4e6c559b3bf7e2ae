"""What reports need of the predictions of a run: which are right, and whether all are one class.

Of ten thousand runs that is a few megabytes; their tables would be gigabytes.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds
from numpy.typing import NDArray

from frod_bench.records import sources, store
from frod_bench.records.schema import RecordError

Hits = NDArray[np.bool_]


class Kept(NamedTuple):
    """The kept predictions of a run."""

    rows: bytes  # a digest, equal if two runs predicted the same rows, in the same order
    hits: Hits | None  # whether each prediction is right; None if there are no classes
    is_one_class: bool  # all predictions are one and the same, and the labels are not


def predictions_of(path: Path) -> Kept | None:
    """The predictions of the record at `path`; None if none are kept, or if they are not as they
    were written.
    """
    source = sources.source_of(path)
    try:
        return _read(path, source.stamp(path))
    except OSError:
        return None


def hits_of(path: Path) -> Hits | None:
    """Whether each kept prediction is right; None if there are no classes."""
    kept = predictions_of(path)
    return None if kept is None else kept.hits


@lru_cache(maxsize=100_000)
def _read(path: Path, _stamp: object) -> Kept | None:
    source = sources.source_of(path)
    try:
        content, name = source.predictions(path), store.predictions_path(path).name
        if store.damage_in(source.record(path), "predictions", content, name) is not None:
            return None
        return kept_of(read_table(content))
    except (OSError, ValueError, RecordError, pa.ArrowException):
        return None


def read_table(content: bytes) -> pa.Table:
    """A parquet file's table. Raises ArrowException or OSError if it is none."""
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        return file.read(use_threads=False)  # for so few rows threads take longer than reading


def kept_of(table: pa.Table) -> Kept | None:
    """What is kept of a table with the columns split, row_id, prediction and label; None if they
    are others, or of other types.
    """
    if not {"split", "row_id", "prediction", "label"} <= set(table.column_names):
        return None
    split, row_id, prediction, label = map(table.column, ("split", "row_id", "prediction", "label"))
    fits = _is_text(split) and (_is_text(row_id) or _is_whole(row_id))
    if not (fits and _is_number(prediction) and _is_number(label)):
        return None
    predicted, labels = (one.to_numpy() for one in (prediction, label))
    return Kept(
        rows=hashlib.sha256(_key(split) + _key(row_id)).digest(),
        hits=predicted == labels if _is_whole(label) else None,
        is_one_class=_distinct(predicted) == 1 < _distinct(labels),
    )


def _is_text(column: pa.ChunkedArray) -> bool:
    return bool(kinds.is_string(column.type) or kinds.is_large_string(column.type))


def _is_whole(column: pa.ChunkedArray) -> bool:
    return bool(kinds.is_integer(column.type)) and not column.null_count


def _is_number(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind))


def _key(column: pa.ChunkedArray) -> bytes:
    """Bytes that tell the values of a column of texts or of whole numbers from others."""
    if _is_text(column):
        return repr(column.to_pylist()).encode()
    return np.asarray(column.to_numpy(), dtype=np.int64).tobytes()


def _distinct(values: NDArray[np.float64]) -> int:
    """The number of distinct values that are known."""
    return len(np.unique(values[~np.isnan(values)] if values.dtype.kind == "f" else values))
