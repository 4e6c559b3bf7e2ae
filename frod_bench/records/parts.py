"""The rows of parts: what `records/part-NNN.parquet` hold, read column by column."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.common.errors import InputError
from frod_bench.records.schema import RecordError

PARTS = "part-[0-9][0-9][0-9].parquet"
COLUMNS = pa.schema(
    [
        ("path", pa.string()),
        ("record", pa.string()),
        ("curve", pa.string()),
        ("predictions", pa.binary()),
    ]
)
ROWS_AT_ONCE = 200  # a curve has 25 kB, so of ten thousand only so many are held
BYTES_AT_ONCE = 2**16  # of a compressed column, which is 15 MB of ten thousand curves


def parts_of(results_dir: Path) -> list[Path]:
    """The parts of a results folder, in the order in which they were added."""
    return sorted((results_dir / "records").glob(PARTS))


def rows_of(parts: Sequence[Path], columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of parts, by default with all columns. Raises InputError for a part that is damaged
    or has other columns.
    """
    for batch in _batches_of(parts, columns):
        yield from batch.to_pylist()


def contents_of(parts: Sequence[Path], column: str) -> Iterator[tuple[str, bytes | None]]:
    """The path of each row with the content of the file that a column holds. Raises InputError as
    `rows_of`.
    """
    for batch in _batches_of(parts, ["path", column]):
        contents = batch.column(column).cast(pa.binary()).to_pylist()
        yield from zip(batch.column("path").to_pylist(), contents, strict=True)


def _batches_of(parts: Sequence[Path], columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for part in parts:
        try:
            with pq.ParquetFile(part, buffer_size=BYTES_AT_ONCE, pre_buffer=False) as file:
                if not file.schema_arrow.equals(COLUMNS):
                    raise RecordError("its columns are not those of a part of records")
                yield from file.iter_batches(ROWS_AT_ONCE, columns=columns)
        except (pa.ArrowException, OSError, RecordError) as error:
            raise InputError(
                f"{part}: cannot be read ({' '.join(str(error).split())}). Restore it from git."
            ) from error
        finally:
            pa.default_memory_pool().release_unused()  # pages of curves are 20 MB
