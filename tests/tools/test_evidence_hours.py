"""The table of what the published runs cost counts all of them."""

from tools.evidence_hours import REFERENCE, RUNS


def test_every_folder_of_parts_is_counted_once() -> None:
    counted = [folder for folders in RUNS.values() for folder in folders]
    parts = REFERENCE.rglob("records/part-*.parquet")
    there = {part.parent.parent.relative_to(REFERENCE).as_posix() for part in parts}
    assert sorted(counted) == sorted(there)
