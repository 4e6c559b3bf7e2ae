"""Did it reproduce: what is compared with the published run, and what a wrong number does."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from frod_bench.common.errors import InputError
from frod_bench.jobs import verify
from frod_bench.report.reproduction import (
    Check,
    Reproduction,
    Tolerance,
    compare,
    load_tolerance,
    published_cells,
)

TOLERANCE = Tolerance(
    dated="2026-11-27",
    score_points=2.0,
    start_loss_relative=1e-4,
)


def cells(**columns: object) -> pd.DataFrame:
    """Twelve cells: two tasks, two methods, three seeds."""
    rows = [
        {"task": task, "method": method, "seed": seed, "settings_hash": f"{task}{method}{seed}",
         "status": "ok", "value": 0.7 + 0.01 * seed, "start_loss": 0.69, "trainable": 100}
        for task in ("rte", "cola") for method in ("full", "frod") for seed in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**columns)


def failed(outcome: Reproduction) -> list[str]:
    return [check.text for check in outcome.checks if not check.holds]


def test_the_same_run_is_equal_in_all() -> None:
    outcome = compare(cells(), cells(), TOLERANCE)
    assert outcome.holds
    text = "\n".join(outcome.lines)
    for words in ("12 equal", "4 means over seeds: 4 equal", "2 means of a method: 2 equal"):
        assert words in text
    assert outcome.lines[-1] == "Reproduced."


@pytest.mark.parametrize(
    ("column", "row", "value", "words"),
    [
        ("value", 4, 0.9, "1 beyond it"),
        ("start_loss", 7, 0.6902, "cola/full/1 0.6902"),
        ("start_loss", 7, float("nan"), "cola/full/1 nan"),
        ("trainable", 0, 101, "rte/full/0 101"),
        ("status", 11, "failed", "1 of 12 cells ended otherwise: cola/frod/2 failed"),
    ],
)
def test_one_wrong_number_is_found(column: str, row: int, value: object, words: str) -> None:
    run = cells()
    run.loc[row, column] = value
    outcome = compare(run, cells(), TOLERANCE)
    assert not outcome.holds
    assert words in "\n".join(failed(outcome))
    assert "NOT reproduced" in outcome.lines[-1]


def test_small_differences_that_lean_one_way_are_found_in_the_means() -> None:
    """Each run is within its tolerance, and each mean over seeds; the method's mean is not."""
    run = cells()
    run.loc[run["method"] == "frod", "value"] += 0.01
    outcome = compare(run, cells(), TOLERANCE)
    assert [text.split(":")[0] for text in failed(outcome)] == ["2 means of a method"]
    assert "1.00 points (frod), allowed 0.82; 1 beyond it" in failed(outcome)[0]


def test_cells_with_other_settings_are_left_out_and_counted() -> None:
    run = cells()
    run.loc[:2, "settings_hash"] = "another"
    run.loc[:2, "value"] = 0.0
    outcome = compare(run, cells(), TOLERANCE)
    assert outcome.holds
    assert outcome.skipped.startswith("3 of 12 cells are not in the published run")
    assert compare(run[:3], cells(), TOLERANCE).checks == ()


def test_a_cell_without_a_record_is_not_reproduced_and_nothing_is_not_either() -> None:
    run = cells()
    run.loc[0, ["settings_hash", "status", "value"]] = [None, "missing", float("nan")]
    outcome = compare(run, cells(), TOLERANCE)
    assert failed(outcome)[0].startswith("1 of 12 cells have no record: rte/full/0 missing")
    nothing = compare(cells(settings_hash="another"), cells(), TOLERANCE)
    assert not nothing.holds
    assert nothing.lines[-1] == "Nothing was compared."


def test_a_sample_that_was_left_out_fails_and_its_records_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(verify, "sample", lambda published: [("rte", "frozen", 0)])
    monkeypatch.setattr(verify, "sweep", lambda config, cells: None)
    outcome = verify.rerun_sample([], Console(quiet=True))
    assert [check.holds for check in outcome.checks] == [False]
    assert "have no record" in outcome.checks[0].text
    assert len(list(tmp_path.iterdir())) == 1


def test_a_published_table_that_is_damaged_is_bad_input(tmp_path: Path) -> None:
    assert published_cells("embedded", tmp_path) is None
    path = tmp_path / "embedded/tables/cells.csv"
    path.parent.mkdir(parents=True)
    path.write_text("task,method\nrte,frod\n")
    with pytest.raises(InputError, match="has no column seed"):
        published_cells("embedded", tmp_path)


def test_the_published_run_is_whole_and_its_sample_is_stratified() -> None:
    published = published_cells(verify.PROFILE)
    assert published is not None
    assert len(published) == 500
    assert (published["status"] == "ok").all()
    sample = verify.sample(published)
    families = published.groupby("task")["family"].first()
    assert {(families[task], method) for task, method, _ in sample} == {
        (family, method)
        for family in ("nlu", "reasoning", "vision")
        for method in ("full", "lora", "dora", "frod")
    }
    assert len(sample) == 12
    assert len({task for task, _, _ in sample}) >= 10
    assert {seed for _, _, seed in sample} == {0, 1, 2, 3, 4}
    stated = load_tolerance("embedded")
    assert 0 < stated.score_points < 10
    in_bf16 = load_tolerance("real")
    assert in_bf16.start_loss_relative > stated.start_loss_relative
    assert replace(in_bf16, start_loss_relative=stated.start_loss_relative) == stated


@pytest.mark.parametrize("word", ["task=rte", "profile=small", "--fast"])
def test_verify_takes_no_other_settings(word: str) -> None:
    with pytest.raises(InputError, match="Allowed: runtime"):
        verify.rerun_sample([word], Console(quiet=True))


@pytest.mark.parametrize(("holds", "status"), [(True, None), (False, 1)])
def test_the_exit_status_says_whether_it_reproduced(
    holds: bool, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = Reproduction((Check("12 scores of single cells", holds),), "")
    monkeypatch.setattr(verify, "rerun_sample", lambda words, console: outcome)
    if holds:
        verify.verify([])
        return
    with pytest.raises(SystemExit) as ended:
        verify.verify([])
    assert ended.value.code == status
