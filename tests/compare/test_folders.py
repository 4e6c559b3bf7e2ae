"""Two results folders set side by side: what is paired, what is told, what is refused."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frod_bench.compare import command as compare
from frod_bench.compare.comparison import Comparison, panels_of
from frod_bench.report.rules import rules_of_edition
from tests.compare.test_methods import Captured, rehashed, row_of, wide_terminal
from tests.report.factory import make_record, synthetic_curve, write_record

__all__ = ["wide_terminal"]  # a fixture

RULES = rules_of_edition("1")
TASKS, SEEDS = ("rte", "cola"), (0, 1, 2)


def put(folder: Path, made: dict[str, Any], rate: float = 0.07) -> Path:
    """Save a record, with a curve, in a folder such as `results/embedded`, whatever its name."""
    profile = made["cell"]["profile"]
    metric = made["primary_metric"]
    path = write_record(folder / "tmp", made, synthetic_curve(rate=rate, metric=metric))
    place = folder / path.relative_to(folder / "tmp" / profile)
    place.parent.mkdir(parents=True, exist_ok=True)
    for file in path.parent.glob(f"{path.stem}.*"):
        file.rename(place.parent / file.name)
    return place


def with_steps(steps: int, *cell: Any, value: float, **changes: Any) -> dict[str, Any]:
    made = make_record(*cell, value=value, **changes)
    made["config"]["trainer"]["max_steps"] = steps
    return rehashed(made)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Yours (50 steps, frod 2 points better) and theirs (100 steps), of other cells too."""
    yours, theirs = tmp_path / "yours", tmp_path / "theirs" / "embedded"
    for task in TASKS:
        for seed in SEEDS:
            value = 0.70 + 0.02 * seed
            put(theirs, make_record(task, "frod", seed, value=value))
            put(theirs, make_record(task, "full", seed, value=value), rate=0.12)
            gain = (0.01, 0.02, 0.03)[seed]
            put(yours, with_steps(50, task, "frod", seed, value=value + gain), rate=0.12)
    put(yours, make_record("dtd", "frod", 0))
    return yours, theirs


def compared(folders: tuple[Path, Path], *more: str) -> Comparison:
    config = compare.parse([f"folders={folders[0]},{folders[1]}", *more])
    return compare.compare(config, RULES)


def test_same_cells_are_paired_whatever_their_settings(folders: tuple[Path, Path]) -> None:
    found = compared(folders)
    assert found.cells["side"].unique().tolist() == ["A", "B"]
    pairs = found.pairs[found.pairs["scope"] == "task"].set_index("task")
    assert set(pairs.index) == set(TASKS)
    assert pairs["mean"].tolist() == pytest.approx([2.0, 2.0])
    assert pairs["n"].tolist() == [3, 3]
    assert pairs.loc["rte", "ours_mean"] == pytest.approx(74.0)
    assert pairs.loc["rte", "theirs_mean"] == pytest.approx(72.0)
    assert pairs.loc["rte", "high"] == pytest.approx(2.0 + 4.3027 / 3**0.5, abs=1e-3)
    overall = found.pairs[found.pairs["quantity"] == "mean difference"].iloc[-1]
    assert (overall["scope"], overall["n"]) == ("overall", 2)
    assert "Cells in both: 6." in found.notes
    assert "Cells in A only: 1 (dtd/frod/0)." in found.notes
    assert "Cells in B only: 6 (cola/full/0, cola/full/1, cola/full/2, rte/full/0 and 2 more)." in (
        found.notes
    )


def test_cells_with_ranked_options_are_paired_unless_a_head_is_named(
    folders: tuple[Path, Path],
) -> None:
    for folder, value in zip(folders, (0.8, 0.7), strict=True):
        made = make_record("boolq", "frod", 0, value=value)
        made["config"]["head"] = "rank"
        put(folder, rehashed(made))
    found = compared(folders)
    assert {(row.task, row.head) for row in found.cells.itertuples()} >= {("boolq", "rank")}
    (ranked,) = {row.task for row in compared(folders, "task=boolq").cells.itertuples()}
    assert ranked == "boolq"
    plain = compared(folders, "head=classify")
    assert set(plain.cells["head"]) == {"classify"}


def test_their_reference_sets_the_target_for_both(folders: tuple[Path, Path]) -> None:
    frame = compared(folders, "task=rte", "methods=frod").frame
    assert frame["side"].tolist() == ["A", "B"]
    assert frame["target"].nunique() == 1
    assert frame["steps_median"][0] < frame["steps_median"][1]


def test_settings_that_differ_are_named(folders: tuple[Path, Path]) -> None:
    yours, _ = folders
    late = make_record("rte", "frod", 0, value=0.7, code_version="def5678")
    late["config"]["method"]["learning_rates"]["lambda"] = 1e-3
    late["config"]["results_root"] = "/elsewhere"  # a place is no setting
    late["provenance"]["processes"] = 2  # the other record does not tell
    late["config"]["trainer"]["max_steps"] = 50
    put(yours, rehashed(late, "2026-12-01T00:00:00+00:00"))
    settings = compared(folders).settings
    expected = pd.DataFrame(
        [
            ("code_version", "def5678", "abc1234", 1),
            ("method.learning_rates.lambda", "0.001", "0.0005", 1),
            ("trainer.max_steps", "50", "100", 6),
        ],
        columns=["setting", "ours", "theirs", "pairs"],
    )
    pd.testing.assert_frame_equal(settings, expected)


def test_other_data_are_told(folders: tuple[Path, Path]) -> None:
    other_rows = make_record("rte", "frod", 0, value=0.7)
    other_rows["provenance"]["data_fingerprint"] = "other-rows"
    put(folders[0], rehashed(other_rows, "2026-12-01T00:00:00+00:00"))
    found = compared(folders, "task=rte")
    assert "Cells on other data, whose rows may not be the same: 1 (rte/frod/0)." in found.notes
    assert found.settings["setting"].tolist() == ["data_fingerprint", "trainer.max_steps"]


def test_of_several_records_the_nearest_is_paired(folders: tuple[Path, Path]) -> None:
    """Yours ran 50 steps: theirs of 50 steps is what it compares with, not their newest."""
    theirs = folders[1]
    put(theirs, with_steps(50, "rte", "frod", 0, value=0.5))
    newest = with_steps(200, "rte", "frod", 0, value=0.1)
    put(theirs, rehashed(newest, "2026-12-01T00:00:00+00:00"))
    found = compared(folders, "task=rte", "seeds=0")
    row = found.pairs[found.pairs["scope"] == "task"].iloc[0]
    assert row["theirs_mean"] == pytest.approx(50.0)
    assert found.settings.empty
    assert any("the nearest to A's was taken: 1 (rte/frod/0)" in note for note in found.notes)


def test_prints_and_draws(folders: tuple[Path, Path], capsys: Captured) -> None:
    yours, theirs = folders
    assert compare.main([f"folders={yours},{theirs}", "plot=terminal"]) == 0
    printed = capsys.readouterr().out
    row = row_of(printed, "RTE", "+2.0")
    assert [cell.strip() for cell in row.split("│")[1:8]] == [
        *("RTE", "FRoD", "74.0", "72.0", "+2.0", "[−0.5, +4.5]", "3")
    ]
    assert [c.strip() for c in row_of(printed, "trainer.max_steps").split("│")[1:5]] == [
        *("trainer.max_steps", "50", "100", "6")
    ]
    assert "these tasks" in printed
    assert f"A: {yours} (profile embedded, protocol fair)" in printed
    assert "FRoD · B" in printed[printed.index("by optimizer steps") :]
    (shown,) = panels_of(compared(folders, "task=rte")).values()
    assert shown.caption.setting.endswith(f"A: {yours}. B: {theirs}.")
    drawn = {path.name for path in (yours / "figures").iterdir()}
    assert {f"compare_{name}_folders.png" for name in ("rte", "cola", "all_tasks")} <= drawn
    assert not (theirs / "figures").exists()


def test_cells_without_a_number_are_told_and_not_paired(
    folders: tuple[Path, Path], capsys: Captured
) -> None:
    yours, theirs = folders
    for seed in SEEDS:
        (old,) = (yours / "records" / "rte" / "frod").glob(f"{seed}-*.json")
        old.unlink()
        put(yours, make_record("rte", "frod", seed, status="failed"))
    assert compare.main([f"folders={yours},{theirs}", "plot=none"]) == 0
    printed = capsys.readouterr().out
    assert "no pair" in row_of(printed, "RTE", "no pair")
    assert "Warning: failed: rte, frod · A, seed 1: RuntimeError: out of luck" in printed


def other(folder: Path, *, profile: str = "embedded", protocol: str = "fair") -> Path:
    """A folder with rte/frod/0 of another profile or protocol."""
    made = make_record("rte", "frod", 0, profile=profile)
    made["config"]["protocol"]["name"] = protocol
    put(folder, rehashed(made))
    return folder


def test_other_profile_or_protocol_is_refused_unless_asked_for(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    for name, changes in (("small", {"profile": "small"}), ("paper", {"protocol": "paper"})):
        folder = other(tmp_path / name, **changes)
        arguments = [f"folders={folder},{folders[1]}", "plot=none"]
        assert compare.main(arguments) == 2
        captured = capsys.readouterr()
        assert name in captured.err
        assert "across=true" in captured.err
        assert captured.out == ""
        assert compare.main([*arguments, "across=true"]) == 0
        assert name in capsys.readouterr().out


def test_protocol_fair_is_meant_where_a_folder_has_several(
    folders: tuple[Path, Path],
) -> None:
    other(folders[0], protocol="tune")
    assert len(compared(folders).cells) == 12
    with pytest.raises(compare.InputError, match=r"no records of .* protocol=tune"):
        compared(folders, "protocol=tune")


def test_bad_folders_are_one_line_and_status_2(
    folders: tuple[Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    yours, theirs = folders
    mixed = other(other(tmp_path / "mixed"), profile="small")
    broken = tmp_path / "broken"
    put(broken, make_record("rte", "frod", 0)).write_text("{")
    apart = tmp_path / "apart"
    put(apart, make_record("mnist", "lora", 7))
    scored = make_record("rte", "frod", 0)
    scored["primary_metric"], scored["metrics"] = "f1", {"f1": scored["metrics"]["accuracy"]}
    other_metric = tmp_path / "f1"
    put(other_metric, scored)
    cases = {
        (yours, yours): "there is nothing to compare",
        (yours, tmp_path / "none"): "`make smoke` writes results/smoke/embedded",
        (yours, theirs.parent): f"Did you mean {theirs}?",
        (yours, broken): "none of the 1 files under records/ is a record",
        (yours, mixed): "records of several profiles, which do not compare: embedded (1), small",
        (yours, apart): "No cell is in both folders.",
        (yours, other_metric): "other metrics: RTE (accuracy and f1)",
    }
    for (a, b), words in cases.items():
        assert compare.main([f"folders=[{a},{b}]"]) == 2
        captured = capsys.readouterr()
        assert words in captured.err
        assert len(captured.err.splitlines()) == 1
    assert compare.main([f"folders=[{yours},{theirs}]", "task=rt"]) == 2
    assert "No records of task rt in either folder. Did you mean 'rte'?" in capsys.readouterr().err


def test_a_file_that_is_no_record_and_one_that_is_there_twice_are_named(
    folders: tuple[Path, Path],
) -> None:
    theirs = folders[1]
    path = put(theirs, make_record("rte", "frod", 0, value=0.9))
    copy = theirs / "records" / "copy" / path.name
    copy.parent.mkdir()
    copy.write_text(path.read_text().replace("0.9", "0.1"))
    (theirs / "records" / "note.json").write_text("{}")
    found = compared(folders, "task=rte", "seeds=0")
    assert found.pairs["theirs_mean"].iloc[0] == pytest.approx(90.0)
    assert f"B: {copy} is not a valid record: it holds the cell that {path} holds." in found.notes
    assert any("note.json is not a valid record: schema_version" in note for note in found.notes)
