"""Compare the records of two results folders bit for bit, apart from times and places.

    python -m tools.same_records results/smoke/embedded other/embedded

Every run of the second folder must be in the first one with the same settings, metrics, counts,
curve and predictions. Not compared: seconds, memory, provenance, and where and how the run was
started. Exit status 0 if all are equal, 1 if a run differs or there is none.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.records import store

NOT_COMPARED = ("time", "memory", "provenance", "files", "config")
IN_CURVE = ("seconds",)  # of each point, not compared


def main(words: Sequence[str]) -> int:
    """Compare the folders that `words` name, and print what differs; returns the exit status."""
    if len(words) != 2:
        print("error: name two results folders, e.g. results/embedded other/embedded")
        return 2
    first, second = map(Path, words)
    records = sorted((second / "records").rglob("*.json"))
    points = rows = wrong = 0
    for path in records:
        found = list(differences(first / path.relative_to(second), path))
        wrong += bool(found)
        for line in found:
            print(f"{path.relative_to(second)}: {line}")
        points += len(store.read_curve(path))
        rows += predictions_of(path).num_rows
    equal = len(records) - wrong
    print(
        f"{equal} of {len(records)} runs in {second} are equal to those in {first} bit for bit: "
        f"metrics, counts, {points} points of curves, {rows} predictions."
    )
    return 0 if records and not wrong else 1


def differences(first: Path, second: Path) -> Iterator[str]:
    """What differs between two records and their files, a line each."""
    if not first.exists():
        yield "is not in the first folder"
        return
    ours, theirs = store.load(first), store.load(second)
    yield from unequal(" of the record", without(ours, NOT_COMPARED), without(theirs, NOT_COMPARED))
    curves = [
        [without(point, IN_CURVE) for point in store.read_curve(path)] for path in (first, second)
    ]
    for number, pair in enumerate(zip(*curves, strict=False)):
        yield from unequal(f" of the point {number} of the curve", *pair)
    if len(curves[0]) != len(curves[1]):
        yield f"the curves have {len(curves[0])} and {len(curves[1])} points"
    if not predictions_of(first).equals(predictions_of(second)):
        yield "the predictions differ"


def predictions_of(record: Path) -> pa.Table:
    """The predictions of a run; none, if it has failed."""
    path = store.predictions_path(record)
    return pq.read_table(path) if path.exists() else pa.table({})


def without(content: Mapping[str, Any], left_out: Sequence[str]) -> dict[str, Any]:
    """A mapping without some of its keys."""
    return {key: value for key, value in content.items() if key not in left_out}


def unequal(where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """The keys whose values differ, named with `where` they are, e.g. " of the record". JSON writes
    every float so that it is read back exactly.
    """
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            yield f"{key}{where} is {ours.get(key)!r} and {theirs.get(key)!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
