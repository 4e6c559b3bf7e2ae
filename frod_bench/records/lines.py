"""Curves as columns of numbers. One dictionary per line would take gigabytes for 10,000 runs."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json as arrow_json
import pyarrow.types as kinds
from numpy.typing import NDArray

from frod_bench.records.schema import LARGEST, RecordError
from frod_bench.records.store import curve_name, points_of

Floats = NDArray[np.float64]
Share = dict[tuple[str, bytes], Any]  # type and bytes -> the array that is kept
PLACES = ("step", "seconds")
NOT_KEPT = (*PLACES, "epoch")  # as columns: all have the first two, none reads the last
RATES = "lr_"  # begins the names of learning rates, which no report reads
START, CLOSED, END = b"{}\n"
AT_ONCE = 50  # curves that are parsed together: of ten thousand only so many texts are held


class Column(NamedTuple):
    """The lines of a curve with a finite value of one quantity; arrays of one length."""

    lines: NDArray[np.int64]  # their places in the curve
    values: Floats


class Lines(NamedTuple):
    """A curve: steps, seconds of training, and what was measured, by name."""

    steps: Floats
    seconds: Floats
    columns: Mapping[str, Column]  # those with a finite value

    def __len__(self) -> int:
        return len(self.steps)

    def of(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Steps, seconds and values of the lines with a finite value of a quantity."""
        lines, values = self.columns.get(name, NOTHING)
        return self.steps[lines], self.seconds[lines], values


NOTHING = Column(np.empty(0, dtype=np.int64), np.empty(0))
NO_LINES = Lines(np.empty(0), np.empty(0), {})


def read_curves(
    files: Iterable[tuple[Path, bytes | RecordError]], share: Share
) -> Iterator[tuple[Path, Lines | RecordError]]:
    """`read_lines` of the curves of many records, by the records' paths.

    A malformed curve is replaced by the error that `read_lines` raises. An error in place of a
    content is passed on. Arrow parses several curves at a time. Curves with something odd in them
    are parsed line by line in Python, so that the error can name the line.
    """
    files = iter(files)
    while some := list(islice(files, AT_ONCE)):
        contents = [content for _, content in some if isinstance(content, bytes)]
        read = iter(_read_together(contents, share))
        for path, content in some:
            if isinstance(content, RecordError):
                yield path, content
            else:
                found = next(read)
                yield path, _read_alone(path, content, share) if found is None else found


def _read_alone(path: Path, content: bytes, share: Share) -> Lines | RecordError:
    try:
        return read_lines(content, curve_name(path.name), share)
    except RecordError as error:
        return error


def _read_together(contents: Sequence[bytes], share: Share) -> list[Lines | None]:
    """The curves in `contents`, None where a curve must be read by itself."""
    whole = b"".join(contents)
    if not (all(map(_is_closed, contents)) and _is_simple(whole)):  # leave out those that are odd
        contents = [one if _is_closed(one) and _is_simple(one) else b"" for one in contents]
        whole = b"".join(contents)
    counts = [content.count(b"\n") for content in contents]
    found = _columns_of(whole, sum(counts)) if whole else None
    if found is None:
        return [None] * len(contents)
    curves: list[Lines | None] = []
    start = 0
    for count in counts:
        own = {name: values[start : start + count] for name, values in found.items()}
        curves.append(_lines_in(own, share) if count and _are_in_order(own) else None)
        start += count
    return curves


def _is_closed(content: bytes) -> bool:
    """Whether the first line begins, and the last line ends, as an object does."""
    return content.startswith(b"{") and content.endswith(b"}\n")


def _is_simple(content: bytes) -> bool:
    """Whether each line of closed curves begins and ends as an object, with no object in another.

    Arrow knows objects and not lines. It finds as many objects as there are lines only if each line
    is one object. It also accepts more spellings of values that are not finite than Python does.
    """
    if not content.isascii():
        return False
    codes = np.frombuffer(content, dtype=np.uint8)
    ends, starts = np.flatnonzero(codes == END), codes == START
    return bool(
        starts.sum() == len(ends)
        and starts[ends[:-1] + 1].all()
        and (codes[ends - 1] == CLOSED).all()
        and not any(odd in content for odd in (b"[", b"\r"))
        # One letter is looked for in a fiftieth of a word's time, and most curves have neither.
        and not (b"N" in content and b"NaN" in content)
        and not (b"I" in content and b"Inf" in content)
    )


def _columns_of(whole: bytes, count: int) -> dict[str, Floats] | None:
    """The numbers in `count` lines by name, NaN for none; None if they are not all usable."""
    try:
        table = arrow_json.read_json(
            pa.BufferReader(whole),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(whole) + 1),
        )
    except pa.ArrowException:
        return None
    if len(table) != count:
        return None
    columns: dict[str, Floats] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if kinds.is_null(column.type):
            continue
        if not (kinds.is_floating(column.type) or kinds.is_integer(column.type)):
            return None
        values = column.to_numpy().astype(np.float64)
        sizes = np.abs(values)
        if (sizes[np.isfinite(sizes)] > LARGEST).any():
            return None
        columns[name] = values
    return columns if {*PLACES} <= {*columns} else None


def read_lines(content: bytes, name: str, share: Share | None = None) -> Lines:
    """The curve in a file's `content`, read line by line. Raises RecordError, which calls the file
    `name`, if a line is malformed. Curves that are read with one `share` have equal steps in
    common.
    """
    return lines_of(points_of(content, name), share)


def lines_of(points: Sequence[Mapping[str, object]], share: Share | None = None) -> Lines:
    """The columns of points that have been checked."""
    columns = {
        name: _floats(point.get(name) for point in points)
        for name in dict.fromkeys(chain.from_iterable(points))
        if _is_kept(name)
    }
    places = {name: _floats(point[name] for point in points) for name in PLACES}
    return _lines_in(columns | places, {} if share is None else share)


def _lines_in(columns: Mapping[str, Floats], share: Share) -> Lines:
    """The curve whose quantities are `columns`, with NaN where a line has none."""
    kept: dict[str, Column] = {}
    for name in filter(_is_kept, columns):
        known = np.isfinite(columns[name])
        if known.any():
            kept[name] = Column(_kept(np.flatnonzero(known), share), columns[name][known])
    steps, seconds = (columns[name].copy() for name in PLACES)
    return Lines(_kept(steps, share), seconds, kept)


def _is_kept(name: str) -> bool:
    """Whether a quantity is kept as a column."""
    return name not in NOT_KEPT and not name.startswith(RATES)


def _kept(array: NDArray[Any], share: Share) -> NDArray[Any]:
    """The array, or an equal one that is kept already."""
    return share.setdefault((array.dtype.char, array.tobytes()), array)


def _floats(values: Iterable[Any]) -> Floats:
    """Numbers as they are, NaN for None."""
    return np.array(list(values), dtype=np.float64)


def _are_in_order(columns: Mapping[str, Floats]) -> bool:
    """Whether each line has a place, and is after the one before it."""
    steps, seconds = (columns[name] for name in PLACES)
    rises = (steps[1:] > steps[:-1]) & (seconds[1:] >= seconds[:-1])  # not if one is NaN
    ends = steps[0], steps[-1], seconds[0], seconds[-1]
    return bool(rises.all()) and all(map(math.isfinite, ends))
