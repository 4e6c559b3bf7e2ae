"""Published runs that the code of version 1.0.0 made again have the same results."""

import json
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from frod_bench.records import sources
from frod_bench.records.schema import Record
from tools.evidence_hours import REFERENCE

MAY_DIFFER = ("time", "memory", "provenance", "files", "config")
REAL, AGAIN = REFERENCE / "real", REFERENCE / "again" / "real"
Points = Mapping[int, Mapping[str, Any]]  # step -> what was measured at it


def keys(record: Record) -> tuple[object, ...]:
    cell = record["cell"]
    return cell["task"], cell["method"], cell["seed"], cell["config_hash"]


def runs_in(folder: Path) -> dict[tuple[object, ...], tuple[Record, Points]]:
    """The records of a folder with their curves."""
    source = sources.opened(folder)
    records, _ = source.scan()
    paths = {source.path_of(record): record for record in records}
    found = {}
    for path, content in source.curves(list(paths)):
        assert isinstance(content, bytes), path
        points = [json.loads(line) for line in content.splitlines()]
        found[keys(paths[path])] = paths[path], {point.pop("step"): point for point in points}
    return found


def test_runs_on_real_data_are_equal_in_everything_but_seconds_and_memory() -> None:
    """The code of the search and that of the table differ from this in layer, loop and methods."""
    published, again = runs_in(REAL), runs_in(AGAIN)
    pairs = [(record["cell"]["family"], record["cell"]["method"]) for record, _ in again.values()]
    methods = ("full", "lora", "dora", "frod")
    assert set(pairs) == {*product(("nlu", "reasoning", "vision"), methods)}
    experiments = {published[key][0]["config"]["experiment"]["name"] for key in again}
    assert experiments == {"main_table", "tune_real"}
    for key, (record, curve) in again.items():
        other, its_curve = published[key]
        assert record["status"] == "ok"
        for field in {*record, *other} - {*MAY_DIFFER}:
            assert record.get(field) == other.get(field), (field, key)
        steps = {*curve} & {*its_curve}  # parts keep every step or the evaluations
        assert max(curve) in steps
        for step in steps:
            for name in {*curve[step], *its_curve[step]} - {"seconds"}:
                assert curve[step].get(name) == its_curve[step].get(name), (name, step, key)
