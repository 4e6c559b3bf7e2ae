"""The table of what the published runs cost counts all of them, each once."""

from collections import Counter, defaultdict

import pytest

from frod_bench.records import sources
from tools import evidence_hours
from tools.evidence_hours import REFERENCE, RUNS


def test_every_folder_of_parts_is_counted_once() -> None:
    times: Counter[tuple[str, str]] = Counter()
    experiments: defaultdict[str, set[str]] = defaultdict(set)
    for place in (place for places in RUNS.values() for place in places):
        folder, *names = place.split(":")
        times.update((folder, name) for name in names or [""])
        experiments[folder].update(names)
    assert set(times.values()) == {1}
    parts = REFERENCE.rglob("records/part-*.parquet")
    there = {part.parent.parent.relative_to(REFERENCE).as_posix() for part in parts}
    assert set(experiments) == there
    for folder, names in experiments.items():
        if names:
            records, _ = sources.opened(REFERENCE / folder).scan()
            assert {record["config"]["experiment"]["name"] for record in records} <= names


def test_a_run_that_two_rows_share_counts_in_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(seed: int) -> dict[str, object]:
        times = {"setup_sec": 600, "train_sec": 2400, "eval_sec": 600}
        return {"cell": {"seed": seed}, "time": times, "config": {}}

    planted = {"first": [run(0), run(1), run(2)], "second": [run(2), run(3)]}
    monkeypatch.setattr(evidence_hours, "RUNS", {"early": ["first"], "late": ["second"]})
    monkeypatch.setattr(evidence_hours, "records_in", lambda folder: planted[folder])
    rows = [line.strip("| ") for line in evidence_hours.table().split("\n")[2:]]
    assert rows == ["early | 2 | 2.0", "late | 2 | 2.0", "together | 4 | 4.0"]
