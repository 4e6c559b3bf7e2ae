"""The comparison of two kinds of processor: planted records, whose differences are known."""

import pytest

from tools import processors

RUNS = [("cars", "frod", 0), ("cars", "frod", 1), ("rte", "lora", 0), ("rte", "full", 0)]
Planted = dict[str, list[dict[str, object]]]


def records(*values: float | None, hashes: str = "aaaa") -> list[dict[str, object]]:
    """A record for each of RUNS; one without a value has failed."""
    return [
        {
            "cell": {"task": task, "method": method, "seed": seed, "config_hash": named},
            "primary_metric": "accuracy",
            "provenance": {},
            "metrics": {} if value is None else {"accuracy": {"value": value}},
        }
        for (task, method, seed), value, named in zip(RUNS, values, hashes, strict=True)
    ]


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    folders: Planted = {}
    monkeypatch.setattr(processors, "GROUPS", {"main table": "main"})
    monkeypatch.setattr(processors, "IN_PART", {})
    monkeypatch.setattr(processors, "records_in", lambda folder: folders[folder])
    return folders


def test_runs_of_equal_settings_are_compared(planted: Planted) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    planted["main"] = records(0.52, 0.59, 0.7, 0.797)
    _, _, row = processors.table().split("\n")
    assert row.strip("| ") == "main table | 4 | 1 | 1.0 | 2.0 (FRoD on Cars) | 0.50 (FRoD)"


def test_runs_without_a_score_are_left_out(planted: Planted) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, None)
    planted["main"] = records(0.5, 0.6, 0.71, None)
    _, _, row = processors.table().split("\n")
    assert row.strip("| ").startswith("main table | 3 | 2 | 1.0 | 1.0 (LoRA on RTE)")


@pytest.mark.parametrize("hashes", ["bbbb", "aaab"])
def test_a_run_of_one_side_alone_is_an_error(planted: Planted, hashes: str) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    planted["main"] = records(0.5, 0.6, 0.7, 0.8, hashes=hashes)
    with pytest.raises(ValueError, match="runs are not in both"):
        processors.table()


def test_of_a_group_in_part_those_that_both_have_are_compared_and_none_twice(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "IN_PART", {"analyses": "analyses"})
    for folder in ("main", "analyses"):
        planted[f"{processors.BEFORE}/{folder}"] = records(0.5, 0.6, 0.7, 0.8, hashes="aabb")
        planted[folder] = records(0.5, 0.6, 0.7, 0.81, hashes="aabb")
    planted["analyses"] = records(0.5, 0.6, 0.72, 0.81, hashes="acdb")
    planted["analyses"] += records(0.4, 0.4, 0.4, 0.4, hashes="eeee")
    planted[f"{processors.BEFORE}/analyses"] = records(0.5, 0.6, 0.7, 0.8, hashes="acdb")
    *_, row = processors.table().split("\n")
    assert row.strip("| ").startswith("analyses | 2 | 1 | 2.0 | 2.0 (LoRA on RTE)")


def test_a_run_of_an_intel_processor_is_not_one_before(planted: Planted) -> None:
    planted["main"] = records(0.5, 0.6, 0.7, 0.8)
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    for record in planted[f"{processors.BEFORE}/main"][:1]:
        record["provenance"] = {"processor": "Intel(R) Xeon(R) Processor"}
    with pytest.raises(ValueError, match="1 runs are not in both"):
        processors.table()
