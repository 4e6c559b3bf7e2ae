"""What reports need of the predictions of a run: which are right, and whether all are one class.

Of ten thousand runs that is a few megabytes; their tables would be gigabytes. Each is read once in
a process, when its record is collected, and its content is let go.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds
from numpy.typing import NDArray

from frod_bench.records import sources, store
from frod_bench.records.schema import Record, RecordError
from frod_bench.records.sources import Source

Hits = NDArray[np.bool_]


class Kept(NamedTuple):
    """The kept predictions of a run."""

    rows: bytes  # a digest, equal if two runs predicted the same rows, in the same order
    hits: Hits | None  # whether each prediction is right; None if there are no classes
    is_one_class: bool  # all predictions are one and the same, and the labels are not


class _Read(NamedTuple):
    """What was read of a record's predictions, and the stamp that they had before."""

    stamp: object
    kept: Kept | None


class Found(NamedTuple):
    """What was read of many records, by their paths."""

    reads: dict[Path, _Read]
    damages: dict[Path, str]  # what is wrong with those that cannot be read, or have changed


_known: dict[tuple[Source, Path], _Read] = {}


def predictions_of(paths: Iterable[Path]) -> list[Kept | None]:
    """The predictions of each record in `paths`; None if none are kept, or if they are not as they
    were written. Those that were read before are read again if they have changed.
    """
    paths = list(paths)
    places = list(zip(sources.sources_of(paths), paths, strict=True))
    unread: dict[Source, dict[Path, Record]] = {}
    for source, path in places:
        known = _known.pop((source, path), None)
        with suppress(OSError, RecordError):
            if known is not None and known.stamp == source.stamp(path):
                _known[source, path] = known
            else:
                unread.setdefault(source, {})[path] = source.record(path)
    for source, records in unread.items():
        remember(source, read_predictions(source, records).reads)  # damages were said before
    return [_known[place].kept if place in _known else None for place in places]


def remember(source: Source, reads: Mapping[Path, _Read]) -> None:
    """Keep what was read for `predictions_of`."""
    _known.update(((source, path), read) for path, read in reads.items())


def read_predictions(source: Source, records: Mapping[Path, Record]) -> Found:
    """Read the predictions of records, by their paths."""
    found = Found({}, {})
    stamps: dict[Path, object] = {}
    for path in records:
        with suppress(OSError):
            stamps[path] = source.stamp(path)
    digests = _Digests()
    for path, content in source.predictions(records):
        kept = None
        if isinstance(content, FileNotFoundError):
            pass
        elif isinstance(content, OSError):
            found.damages[path] = f"predictions cannot be read ({content})."
        elif damage := _damage(records[path], content, path):
            found.damages[path] = damage
        else:
            kept = _kept_of(content, digests)
        if path in stamps:
            found.reads[path] = _Read(stamps[path], kept)
    return found


def _damage(record: Record, content: bytes, path: Path) -> str | None:
    return store.damage_in(record, "predictions", content, store.predictions_name(path.name))


class _Digests:
    """Digests of rows. Runs of a task predict the same rows, so the last digest is kept."""

    def __init__(self) -> None:
        self._columns: tuple[pa.ChunkedArray, ...] = ()
        self._digest = b""

    def of(self, *columns: pa.ChunkedArray) -> bytes:
        """Of columns of texts or of whole numbers, of one length."""
        last = self._columns
        if not last or not all(a.equals(b) for a, b in zip(columns, last, strict=True)):
            self._columns = columns
            self._digest = hashlib.sha256(b"".join(map(_key, columns))).digest()
        return self._digest


def _kept_of(content: bytes, digests: _Digests) -> Kept | None:
    """What is kept of a parquet file with the columns split, row_id, prediction and label; None if
    it is none, or if they are others or of other types.
    """
    try:
        # For so few rows threads, and reading ahead, take longer than reading.
        with pq.ParquetFile(pa.BufferReader(content), pre_buffer=False) as file:
            table = file.read(use_threads=False)
    except (OSError, ValueError, pa.ArrowException):
        return None
    if not {"split", "row_id", "prediction", "label"} <= set(table.column_names):
        return None
    split, row_id, prediction, label = map(table.column, ("split", "row_id", "prediction", "label"))
    fits = _is_text(split) and (_is_text(row_id) or _is_whole(row_id))
    if not (fits and _is_number(prediction) and _is_number(label)):
        return None
    predicted, labels = (one.to_numpy() for one in (prediction, label))
    return Kept(
        rows=digests.of(split, row_id),
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
