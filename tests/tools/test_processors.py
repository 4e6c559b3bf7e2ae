"""The comparison of two kinds of processor: planted records, whose differences are known."""

from pathlib import Path

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
            "metrics": {} if value is None else {"accuracy": {"value": value}},
        }
        for (task, method, seed), value, named in zip(RUNS, values, hashes, strict=True)
    ]


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planted:
    folders: Planted = {}
    (tmp_path / processors.BEFORE / "main").mkdir(parents=True)
    monkeypatch.setattr(processors, "REFERENCE", tmp_path)
    monkeypatch.setattr(processors, "GROUPS", {"main table": "main", "not made": "elsewhere"})
    monkeypatch.setattr(processors, "records_in", lambda folder: folders[folder])
    return folders


def test_runs_of_equal_settings_are_compared(planted: Planted) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    planted["main"] = records(0.52, 0.59, 0.7, 0.1, hashes="aaab")
    _, _, row = processors.table().split("\n")
    assert row.strip("| ") == "main table | 3 | 1 | 1.5 | 2.0 (FRoD on Cars) | 0.50 (FRoD)"


def test_runs_without_a_score_are_left_out(planted: Planted) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    planted["main"] = records(0.5, 0.6, 0.71, None)
    _, _, row = processors.table().split("\n")
    assert row.strip("| ").startswith("main table | 3 | 2 | 1.0 | 1.0 (LoRA on RTE)")


def test_a_group_without_a_common_run_is_an_error(planted: Planted) -> None:
    planted[f"{processors.BEFORE}/main"] = records(0.5, 0.6, 0.7, 0.8)
    planted["main"] = records(0.5, 0.6, 0.7, 0.8, hashes="bbbb")
    with pytest.raises(ValueError, match="no run has the settings"):
        processors.table()
