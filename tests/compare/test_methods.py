"""The comparison's command line: what it prints, draws and refuses."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from frod_bench.common.paths import REFERENCE_DIR
from frod_bench.compare import command as compare
from frod_bench.compare.comparison import panels_of
from frod_bench.records import hashing
from frod_bench.report.rules import rules_of_edition
from tests.report.factory import make_record, synthetic_curve, write_record

RULES = rules_of_edition("1")
NO_PLOT = ("plot=none",)
RATES = {"full": 0.12, "frod": 0.07, "lora": 0.01}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method, rate in RATES.items():
        for seed in range(3):
            made = make_record("rte", method, seed, value=0.8 + 0.01 * seed)
            write_record(tmp_path, made, synthetic_curve(rate=rate, seed=seed))
    return tmp_path


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")


Captured = pytest.CaptureFixture[str]


def row_of(printed: str, *words: str) -> str:
    """The one line of a table that has all words."""
    (found,) = [
        line for line in printed.splitlines() if "│" in line and all(w in line for w in words)
    ]
    return found


def test_prints_scores_and_times_and_draws(results: Path, capsys: Captured) -> None:
    arguments = ["task=rte", "methods=[frod,lora]", f"results_root={results}"]
    assert compare.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "Comparison: embedded (synthetic data)" in printed
    rows = [line for line in printed.splitlines() if "81.0 ± 2.5" in line]
    assert ["FRoD" in row for row in rows] == [True, False]
    assert ["∞" in row for row in rows] == [False, True]
    drawn = sorted(p.name for p in (results / "embedded" / "figures").iterdir())
    names = ("compare_rte_frod_lora", "compare_rte_loss_frod_lora")
    assert drawn == [f"{name}.{kind}" for name in names for kind in ("pdf", "png")]


def test_figures_for_a_paper_have_their_captions_beside_them(results: Path, tmp_path: Path) -> None:
    words = ["task=rte", "method=frod,lora", f"results_root={results}", f"out={tmp_path}"]
    assert compare.main([*words, "figures.style=paper"]) == 0
    assert (tmp_path / "compare_rte_frod_lora_column.tex").is_file()


def test_first_method_is_paired_with_each_other_one(results: Path, capsys: Captured) -> None:
    for seed, value in enumerate((0.83, 0.83, 0.85)):  # the others have 0.80, 0.81, 0.82
        write_record(results, make_record("rte", "frod", seed, value=value), synthetic_curve())
    arguments = ["task=rte", "methods=frod,lora,full", f"results_root={results}", "plot=none"]
    assert compare.main(arguments) == 0
    printed = capsys.readouterr().out
    row = row_of(printed, "FRoD − LoRA")
    half = 4.303 * 0.57735 / 3**0.5  # Student's t of two degrees of freedom; differences 3, 2, 3
    assert "83.7" in row
    assert "81.0" in row
    assert "+2.7" in row
    assert f"[+{8 / 3 - half:.1f}, +{8 / 3 + half:.1f}]" in row
    assert "FRoD − Full FT" in printed
    assert "lora − full" not in printed
    assert not (results / "embedded" / "figures").exists()


def test_reference_sets_the_target_without_being_shown(results: Path) -> None:
    config = compare.parse(["task=rte", "methods=[frod]", f"results_root={results}"])
    comparison = compare.compare(config, RULES)
    assert comparison.frame["method"].tolist() == ["frod"]
    assert 0.7 < comparison.frame["target"][0] < 0.8


def test_tasks_of_unlike_length_are_averaged_without_the_hidden_reference(tmp_path: Path) -> None:
    for task, steps in (("rte", 100), ("boolq", 40)):
        for method in ("full", "frod"):
            made = make_record(task, method, 0) | {"steps": steps}
            write_record(tmp_path, made, synthetic_curve(steps=steps))
    words = ["task=rte,boolq", "method=frod", f"results_root={tmp_path}"]
    panels = panels_of(compare.compare(compare.parse(words), RULES))
    mean = panels["all_tasks"].bands["steps"]
    assert [method.method for method in mean] == ["frod"]
    assert next(iter(mean.values())).grid[-1] == 100  # percent of the run


def test_one_seed_has_no_interval(results: Path, capsys: Captured) -> None:
    arguments = ["task=rte", "methods=frod,lora", "seeds=1", f"results_root={results}", "plot=none"]
    assert compare.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "81.0 (one seed)" in printed
    row = row_of(printed, "FRoD − LoRA")
    assert "not available" in row
    assert "[" not in row


def test_a_target_that_nothing_reaches_is_said(results: Path, capsys: Captured) -> None:
    arguments = ["task=rte", f"results_root={results}", "plot=none"]
    assert compare.main([*arguments, "methods=lora"]) == 0
    assert "RTE: no method that is compared reaches" in capsys.readouterr().out
    assert compare.main([*arguments, "methods=lora,frod"]) == 0
    assert "nothing that is compared" not in capsys.readouterr().out


def test_record_with_nan_is_named_and_no_number(results: Path, capsys: Captured) -> None:
    (path,) = (results / "embedded" / "records" / "rte" / "frod").glob("2-*.json")
    path.write_text(path.read_text().replace("0.82", "NaN"))
    arguments = ["task=rte", "method=frod,lora", f"results_root={results}", "plot=none"]
    assert compare.main(arguments) == 0
    assert "Warning: Seeds 2 are left out: not every method has a record" in capsys.readouterr().out
    assert compare.main([*arguments, "seed=0,1,2"]) == 0
    printed = capsys.readouterr().out
    assert "Warning: unusable: rte, frod, seed 2: not JSON (NaN is not JSON)." in printed
    assert row_of(printed, "FRoD − LoRA").split("│")[7].strip() == "2"


def test_curves_in_the_terminal(
    results: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    arguments = ["task=rte", "methods=frod,lora", f"results_root={results}"]
    assert compare.main(arguments) == 0
    assert "by optimizer steps" not in capsys.readouterr().out
    assert compare.main([*arguments, "plot=terminal"]) == 0
    printed = capsys.readouterr().out
    assert "validation accuracy (%) by optimizer steps" in printed
    assert "by training time with set-up (s)" in printed
    assert "\x1b" not in printed
    legend = next(line for line in printed.splitlines() if "FRoD" in line and "++" in line)
    assert "xx LoRA" in legend  # lines are told apart without colours, too
    plots = printed[printed.index("by optimizer steps") :]
    assert plots.count("┌") == 4  # of the score and of the loss
    assert "; the line across is the target 0." in plots
    assert plots.count("+") > 60
    assert plots.count("x") > 60
    assert (results / "embedded" / "figures" / "compare_rte_frod_lora.png").exists()


def variant(started_at: str, value: float, **changes: object) -> dict[str, Any]:
    """A record of rte/frod/0 with another configuration."""
    made = make_record("rte", "frod", 0, value=value)
    made["config"] |= changes
    return rehashed(made, started_at)


def rehashed(made: dict[str, Any], started_at: str = "2026-11-24T12:00:00+00:00") -> dict[str, Any]:
    """A record whose configuration was changed, with what follows from it."""
    made["cell"]["protocol"] = made["config"]["protocol"]["name"]
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    made["cell"]["config_hash"] = hashing.config_hash(hashing.identity(made["config"], *prints))
    made["provenance"]["started_at"] = started_at
    return made


def test_several_configurations_of_a_cell_are_told_in_one_line(
    results: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    words = ["task=rte", "methods=[frod]", "seeds=[0]", "plot=none"]
    arguments = [*words, f"results_root={results}"]
    assert compare.main(arguments) == 0
    assert "newest" not in capsys.readouterr().out
    newest = variant("2026-11-26T12:00:00+00:00", 0.5, trainer={"max_steps": 100, "batch_rows": 8})
    older = variant("2026-11-25T12:00:00+00:00", 0.6, trainer={"max_steps": 100, "batch_rows": 4})
    random = variant("2026-11-27T12:00:00+00:00", 0.1, pretrained=False)
    rules = newest["config"]["protocol"] | {"name": "paper"}
    foreign = variant("2026-11-28T12:00:00+00:00", 0.2, protocol=rules)
    for made in (newest, older, random, foreign):
        write_record(results, made, synthetic_curve())
    assert compare.main(arguments) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if "newest" in line] == [
        "Warning: rte, frod, seed 0: 3 records with different settings exist; the newest is used, "
        f"{newest['cell']['config_hash']}."
    ]
    assert "50.0" in printed
    assert "claim" not in printed  # told once


BOTH = ["task=rte", "methods=[frod]"]


@pytest.mark.parametrize("place", ["file", "published"])
def test_figures_that_cannot_be_written_are_refused_before_anything_is_shown(
    results: Path, capsys: Captured, place: str
) -> None:
    (results / "file").write_text("")
    out = {"file": results / "file", "published": REFERENCE_DIR / "small" / "figures"}[place]
    assert compare.main([*BOTH, f"results_root={results}", f"out_dir={out}"]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert re.search(r"error: out=.*(Name a folder that you may|Name another folder)", shown.err)


def test_a_disk_that_is_full_ends_with_one_line(
    results: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> list[Path]:
        raise OSError("No space left on device")

    monkeypatch.setattr(compare, "save_figures", full)
    assert compare.main([*BOTH, f"results_root={results}"]) == 1
    assert "Name another out=" in capsys.readouterr().err


def test_methods_that_were_trained_at_other_settings_are_told(
    results: Path, capsys: Captured
) -> None:
    words = ["task=rte", "method=frod,lora", "plot=none", f"results_root={results}"]
    assert compare.main(words) == 0
    assert "differ in more" not in capsys.readouterr().out
    for seed in range(3):
        made = make_record("rte", "lora", seed, value=0.9)
        made["config"]["trainer"]["max_steps"] = 20
        write_record(results, rehashed(made, "2027-01-01T00:00:00+00:00"), synthetic_curve())
    assert compare.main(words) == 0
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "differ in more" in text]
    assert "rte: the runs differ in more than method and seed (trainer.max_steps)" in line


def changed(results: Path, method: str, seeds: Sequence[int], **trainer: Any) -> None:
    """Newer records of a method with other settings of the trainer."""
    for seed in seeds:
        made = make_record("rte", method, seed, value=0.9)
        made["config"]["trainer"] |= trainer
        write_record(results, rehashed(made, "2027-01-01T00:00:00+00:00"), synthetic_curve())


@pytest.mark.parametrize(
    ("method", "seeds", "words"),
    [
        ("full", (0, 1, 2), "rte: full fine-tuning, which sets the target, was run at other"),
        ("lora", (1,), "rte: the runs differ in more than method and seed (trainer.max_steps)"),
    ],
)
def test_it_is_said_which_runs_differ(
    results: Path, capsys: Captured, method: str, seeds: Sequence[int], words: str
) -> None:
    changed(results, method, seeds, max_steps=20)
    assert compare.main(["task=rte", "method=frod,lora", *NO_PLOT, f"results_root={results}"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "settings" in line]
    assert sum(words in line for line in lines) == 1
    assert not [line for line in lines if "differ in more" in line and method == "full"]


def test_micro_batches_are_no_other_settings(results: Path, capsys: Captured) -> None:
    for method, rows, parts in (("frod", 24, 1), ("lora", 8, 3), ("full", 12, 2)):
        changed(results, method, (0, 1, 2), batch_rows=rows, accumulation_steps=parts)
    assert compare.main(["task=rte", "method=frod,lora", *NO_PLOT, f"results_root={results}"]) == 0
    printed = capsys.readouterr().out
    assert "differ in more" not in printed
    assert "sets the target" not in printed


def test_seeds_of_one_method_at_different_settings_are_told(
    results: Path, capsys: Captured
) -> None:
    made = make_record("rte", "frod", 1, value=0.9)
    made["config"]["method"]["sparse_rate"] = 0.1
    write_record(results, rehashed(made, "2027-01-01T00:00:00+00:00"), synthetic_curve())
    assert compare.main(["task=rte", "method=frod,lora", *NO_PLOT, f"results_root={results}"]) == 0
    printed = capsys.readouterr().out
    assert "rte, frod: the seeds were run at different settings (method.sparse_rate)" in printed


def test_methods_without_a_common_seed_are_shown_and_not_paired(
    tmp_path: Path, capsys: Captured
) -> None:
    for method, seed in (("frod", 0), ("frod", 1), ("lora", 3)):
        write_record(tmp_path, make_record("rte", method, seed, value=0.8), synthetic_curve())
    words = ["task=rte", "method=frod,lora", "plot=none", f"results_root={tmp_path}"]
    assert compare.main(words) == 0
    printed = capsys.readouterr().out
    assert "No seed has a record of every method" in printed
    assert "are left out" not in printed
    assert "80.0" in row_of(printed, "LoRA", "80")


def test_runs_as_a_module_without_torch(results: Path) -> None:
    words = ["frod_bench.compare", *BOTH, f"results_root={results}", "plot=none"]
    code = (
        f"import runpy, sys; sys.argv = {words}\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r"RTE +│ FRoD", done.stdout)
