"""What reports need of the predictions of a run: which are right, and whether all are one class.

Of ten thousand runs that is a few megabytes; their tables would be gigabytes.
"""

import hashlib
from collections.abc import Iterable, Iterator
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
from frod_bench.records.sources import Source

Hits = NDArray[np.bool_]


class Kept(NamedTuple):
    """The kept predictions of a run."""

    rows: bytes  # a digest, equal if two runs predicted the same rows, in the same order
    hits: Hits | None  # whether each prediction is right; None if there are no classes
    is_one_class: bool  # all predictions are one and the same, and the labels are not


def predictions_of(paths: Iterable[Path]) -> Iterator[Kept | None]:
    """The predictions of each record in `paths`, read when it is asked for; None if none are kept,
    or if they are not as they were written.
    """
    paths = list(paths)
    for path, source in zip(paths, sources.sources_of(paths), strict=True):
        try:
            yield _read(source, path, source.stamp(path))
        except OSError:
            yield None


@lru_cache(maxsize=100_000)
def _read(source: Source, path: Path, _stamp: object) -> Kept | None:
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
        is_one_class=_is_one(predicted) is True and _is_one(labels) is False,
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
    if _is_text(column):  # each once, in order of appearance, and which of them is where
        found = column.combine_chunks().dictionary_encode(null_encoding="encode")
        return repr(found.dictionary.to_pylist()).encode() + found.indices.to_numpy().tobytes()
    return np.asarray(column.to_numpy(), dtype=np.int64).tobytes()


def _is_one(values: NDArray[np.float64]) -> bool | None:
    """Whether the values that are known are all one; None if none is known."""
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    return bool(known.min() == known.max()) if known.size else None
