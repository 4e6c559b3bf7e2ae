"""Curves as columns of numbers: of ten thousand runs, a dictionary a line takes gigabytes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from frod_bench.records.schema import LARGEST, CurvePoint
from frod_bench.records.store import points_of

Floats = NDArray[np.float64]
Share = dict[tuple[str, bytes], Any]  # type and bytes -> the array that is kept
NOT_KEPT = ("step", "seconds", "epoch")  # as columns: all have the first two, none reads the last
RATES = "lr_"  # begins the names of learning rates, which no report reads
PLAIN = {int, float, type(None)}


class Column(NamedTuple):
    """The lines of a curve with a finite value of one quantity; arrays of one length."""

    lines: NDArray[np.int64]  # their places in the curve
    values: Floats


class Lines(NamedTuple):
    """A curve: steps, seconds of training, and what was measured, by name."""

    steps: Floats
    seconds: Floats
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.steps)

    def of(self, name: str) -> tuple[Floats, Floats, Floats]:
        """Steps, seconds and values of the lines with a finite value of a quantity."""
        lines, values = self.columns.get(name, NOTHING)
        return self.steps[lines], self.seconds[lines], values


NOTHING = Column(np.empty(0, dtype=np.int64), np.empty(0))
NO_LINES = Lines(np.empty(0), np.empty(0), {})


def read_lines(content: bytes, name: str, share: Share | None = None) -> Lines:
    """The curve in a file's `content`. Raises RecordError, which calls the file `name`, if a line
    is malformed. Curves that are read with one `share` have equal steps in common.

    All lines are read at once, and one by one only if something about them is odd: that is how
    the error knows the line.
    """
    try:
        texts = content.decode("utf-8").splitlines()
        points = json.loads(f"[{','.join(texts)}]")
        if len(points) == len(texts) and _are_plain(points):
            found = lines_of(points, share)
            if _are_in_order(found):
                return found
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError):
        pass
    return lines_of(points_of(content, name), share)


def lines_of(
    points: Sequence[CurvePoint] | Sequence[Mapping[str, Any]], share: Share | None = None
) -> Lines:
    """The columns of points that have been checked."""
    columns, share = {}, {} if share is None else share
    for name in dict.fromkeys(chain.from_iterable(points)):
        if name not in NOT_KEPT and not name.startswith(RATES):
            values = _floats(point.get(name) for point in points)
            known = np.isfinite(values)
            lines = np.flatnonzero(known)
            columns[name] = Column(_kept(lines, share), values[known])
    steps, seconds = (_floats(point[name] for point in points) for name in ("step", "seconds"))
    return Lines(_kept(steps, share), seconds, columns)


def _kept(array: NDArray[Any], share: Share) -> NDArray[Any]:
    """The array, or an equal one that is kept already."""
    return share.setdefault((array.dtype.char, array.tobytes()), array)


def _floats(values: Iterable[Any]) -> Floats:
    """Numbers as they are, NaN for None."""
    return np.array(list(values), dtype=np.float64)


def _are_plain(points: Sequence[Any]) -> bool:
    """Whether all points are mappings of names to numbers that are usable or not finite."""
    if not {*map(type, points)} <= {dict}:
        return False
    values = list(chain.from_iterable(map(dict.values, points)))
    if not {*map(type, values)} <= PLAIN:
        return False
    sizes = np.abs(_floats(values))
    return bool((sizes[np.isfinite(sizes)] <= LARGEST).all())


def _are_in_order(found: Lines) -> bool:
    """Whether each line is after the one before it."""
    places = np.array([found.steps, found.seconds])
    steps, seconds = np.diff(places)
    return bool(np.isfinite(places).all() and (steps > 0).all() and (seconds >= 0).all())
