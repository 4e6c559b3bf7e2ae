"""The comparison's command line: what it prints, draws and refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frod_bench import compare, record
from tests.report.factory import make_record, synthetic_curve, write_record


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method, rate in (("full", 0.12), ("frod", 0.07), ("lora", 0.01)):
        for seed in range(3):
            made = make_record("rte", method, seed, value=0.8 + 0.01 * seed)
            write_record(tmp_path, made, synthetic_curve(rate=rate, seed=seed))
    return tmp_path


def test_prints_scores_and_times_and_draws(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    arguments = ["task=rte", "methods=[frod,lora]", f"results_root={results}"]
    assert compare.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "Comparison: embedded (stand-in data)" in printed
    rows = [line for line in printed.splitlines() if "81.0 ± 2.5" in line]
    assert ["frod" in row for row in rows] == [True, False]
    assert ["∞" in row for row in rows] == [False, True]
    drawn = sorted(p.name for p in (results / "embedded" / "figures").iterdir())
    assert drawn == ["compare_rte_frod_lora.pdf", "compare_rte_frod_lora.png"]


def test_reference_sets_the_target_without_being_shown(results: Path) -> None:
    config = compare.parse(["task=rte", "methods=[frod]", f"results_root={results}"])
    comparison = compare.compare(config, compare.load_rules().convergence)
    assert comparison.frame["method"].tolist() == ["frod"]
    assert 0.7 < comparison.frame["target"][0] < 0.8


def variant(started_at: str, value: float, **changes: object) -> dict[str, Any]:
    """A record of rte/frod/0 with another configuration."""
    made = make_record("rte", "frod", 0, value=value)
    made["config"] |= changes
    made["cell"]["protocol"] = made["config"]["protocol"]["name"]
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    made["cell"]["config_hash"] = record.config_hash(record.identity(made["config"], *prints))
    made["provenance"]["started_at"] = started_at
    return made


def test_several_configurations_of_a_cell_are_told_in_one_line(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    arguments = ["task=rte", "methods=[frod]", "seeds=[0]", f"results_root={results}"]
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
        "Warning: rte/frod/0: the newest configuration was taken, "
        f"{newest['cell']['config_hash']}; 2 others lie beside it."
    ]
    assert "50.0" in printed
    assert "claim" not in printed  # told once


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tsk=rte"], "Unknown key 'tsk'. Did you mean 'task'?"),
        (["rte"], "'rte' is no key=value"),
        (["task=rte"], "task and methods must be given"),
        (["task=[]", "methods=[frod]"], "task is empty"),
        (["task=rte", "methods=[frod]", "seeds=[x]"], "seeds[0]: Value 'x'"),
        (["task=rt", "methods=[frod]"], "No records of task 'rt'. Did you mean 'rte'?"),
        (["task=rte", "methods=[frodo]"], "No records of method 'frodo' on task 'rte'. Did you"),
        (["task=rte", "methods=[frod]", "profile=none"], "Make some with `make smoke`"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    results: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert compare.main([*arguments, f"results_root={results}"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not (results / "embedded" / "figures").exists()


def test_reports_open_without_torch() -> None:
    code = "import sys, frod_bench.compare, frod_bench.report.build; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
