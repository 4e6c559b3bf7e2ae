"""The table of what the published runs cost counts all of them."""

from collections import Counter, defaultdict

from frod_bench.records import sources
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
