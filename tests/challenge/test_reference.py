"""The committed runs: found by their settings, named if they are missing, and what they tell."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.cell import Cell
from frod_bench.challenge.reference import read_reference
from frod_bench.common.errors import InputError
from frod_bench.records import archive, hashing
from tests.report.factory import make_record, synthetic_curve, write_record

Commit = Callable[..., dict[str, Any]]


@pytest.fixture
def commit(tmp_path: Path) -> Commit:
    """commit(cell, ...) -> the record of a cell among the committed ones; `data` are its files'."""

    def save(cell: Cell, *, data: str = "", seconds: float = 3.0, **keys: Any) -> dict[str, Any]:
        made = make_record(cell.task, cell.method, cell.seed) | keys
        data = data or cell.data_fingerprint
        prints = {"data_fingerprint": data, "backbone_fingerprint": cell.backbone_fingerprint}
        identity = hashing.identity(cell.config, data, cell.backbone_fingerprint)
        made |= {
            "cell": dict(cell.identity) | {"config_hash": hashing.config_hash(identity)},
            "config": cell.config,
            "provenance": made["provenance"] | prints,
            "time": {"setup_sec": 0.5, "train_sec": seconds - 1.0, "eval_sec": 0.5},
            "curve": "a.curve.jsonl",
            "predictions": None,
        }
        write_record(tmp_path / "committed", made, synthetic_curve(steps=10))
        return made

    return save


@pytest.fixture
def others(make_cell: Callable[..., Cell]) -> list[Cell]:
    """Two methods, two tasks, two seeds."""
    cells = [
        make_cell(f"task={task}", f"method={method}")
        for method in ("full", "lora")
        for task in ("rte", "eurosat")
    ]
    return [
        replace(cell, seed=seed, settings=replace(cell.settings, seed=seed))
        for cell in cells
        for seed in (0, 1)
    ]


def test_a_record_is_found_by_its_settings_whatever_the_bytes_of_its_data(
    others: list[Cell], commit: Commit, tmp_path: Path
) -> None:
    made = [commit(cell, data="written by another library") for cell in others]
    found = read_reference(tmp_path / "committed" / "embedded", others, [])
    assert found.cells == others
    hashes = [asked.config_hash for asked in found.asked()]
    assert hashes == [one["cell"]["config_hash"] for one in made]
    assert set(hashes).isdisjoint(cell.config_hash for cell in others)
    assert not found.missing


def test_of_several_records_of_a_run_the_newest_that_ended_well_counts(
    others: list[Cell], commit: Commit, tmp_path: Path
) -> None:
    cell, wanted = others[0], "2026-11-28T00:00:00+00:00"
    for data, status, started in (
        ("a", "ok", "2026-11-27T00:00:00+00:00"),
        ("b", "ok", wanted),
        ("c", "diverged", "2026-11-29T00:00:00+00:00"),
    ):
        provenance = make_record(cell.task, cell.method, cell.seed)["provenance"]
        provenance["started_at"] = started
        commit(cell, data=data, status=status, provenance=provenance)
    found = read_reference(tmp_path / "committed" / "embedded", [cell], [])
    assert found.records[cell]["provenance"]["started_at"] == wanted


def test_parts_are_read_as_files_are(others: list[Cell], commit: Commit, tmp_path: Path) -> None:
    for cell in others:
        commit(cell)
    part, _ = archive.pack(tmp_path / "committed" / "embedded", tmp_path / "parts")
    assert part is not None
    content = part.read_bytes()
    found = read_reference(tmp_path / "parts", others, [])
    assert len(found.records) == len(others)
    assert part.read_bytes() == content
    assert [path.name for path in part.parent.iterdir()] == [part.name]


def test_what_is_missing_is_named_and_a_method_without_records_is_left_out(
    others: list[Cell], commit: Commit, tmp_path: Path
) -> None:
    full = [cell for cell in others if cell.method == "full"]
    for cell in full[1:]:
        commit(cell)
    tuned = full[0].settings.method
    rates = replace(tuned, learning_rates=dict.fromkeys(tuned.learning_rates, 0.5))
    commit(replace(full[0], settings=replace(full[0].settings, method=rates)))
    found = read_reference(tmp_path / "committed" / "embedded", others, [])
    assert found.missing == ["full: 1 of 4 runs (rte seed 0)", "lora: 4 of 4 runs"]
    assert found.methods == ["full"]
    assert found.cells == full  # the one without a record is a hole of the tables


def test_without_a_record_nothing_is_compared_and_the_error_says_how_to_make_them(
    others: list[Cell], commit: Commit, tmp_path: Path
) -> None:
    words = ["suite=smoke", "trainer.max_steps=4"]
    with pytest.raises(InputError, match=r"experiment=main_table suite=smoke trainer\.max_steps=4"):
        read_reference(tmp_path / "nowhere", others, words)
    other = replace(others[0], settings=replace(others[0].settings, seed=7), seed=7)
    commit(other)
    with pytest.raises(InputError, match=r"It has 1 records of other settings.*against="):
        read_reference(tmp_path / "committed" / "embedded", others, words)


def test_seconds_are_of_a_task_and_the_sample_has_runs_that_ended(
    others: list[Cell], commit: Commit, tmp_path: Path
) -> None:
    failed = {"status": "diverged", "metrics": {}, "error": make_record(status="failed")["error"]}
    for cell in others:
        seconds = 2.0 if cell.task == "rte" else 5.0
        commit(cell, seconds=seconds + cell.seed, **(failed if cell.method == "lora" else {}))
    found = read_reference(tmp_path / "committed" / "embedded", others, [])
    assert found.seconds == {"rte": 2.5, "eurosat": 5.5}
    assert {(cell.task, cell.method) for cell in found.sample()} == {
        ("rte", "full"),
        ("eurosat", "full"),
    }
