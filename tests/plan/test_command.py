"""`python -m frod_bench.plan`: its output, its readings of the paper's number, and bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frod_bench.complaints import exit_statuses
from frod_bench.plan import __main__ as command
from frod_bench.plan.readings import DENOMINATORS, MARGIN, NUMERATORS, PAPER_PERCENT

SHORT = ("profile=embedded", "task=eurosat,rte", "accelerator=cpu-2")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    command.main(words)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def short_plan() -> dict[str, Any]:
    line = [sys.executable, "-m", "frod_bench.plan", *SHORT, "format=json"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


def test_json_has_every_cell_and_all_that_it_costs(short_plan: dict[str, Any]) -> None:
    cells = short_plan["cells"]
    assert {(c["task"], c["method"]) for c in cells} == {
        (task, method)
        for task in ("eurosat", "rte")
        for method in ("full", "lora", "dora", "frod", "frozen")
    }
    for cell in cells:
        parameters, memory = cell["parameters"], cell["memory_bytes"]
        head = parameters["trainable_with_head"] - parameters["trainable"]
        assert head == 129 * cell["num_labels"]
        assert parameters["stored_with_head"] - parameters["stored"] == head
        assert parameters["stored"] >= parameters["trainable"]
        whole = sum(size for part, size in memory.items() if part != "peak")
        assert max(memory["weights"], memory["activations"]) < memory["peak"] <= whole
        assert memory["gradients"] == 4 * parameters["trainable_with_head"]
        assert (memory["factors"] > 0) == (parameters["frozen_extra"] > 0)
        assert cell["flops"] == cell["flops_a_step"] * cell["steps"]
        assert cell["fits"]
        assert cell["hours"] > 0
    by_method = {c["method"]: c["flops"] for c in cells if c["task"] == "rte"}
    assert by_method["frozen"] < by_method["lora"] < by_method["full"] < by_method["frod"]


def test_the_papers_number_is_read_in_every_way(short_plan: dict[str, Any]) -> None:
    found = short_plan["readings"]
    assert short_plan["paper_percent"] == PAPER_PERCENT
    assert {(r["counted"], r["of"], r["over"]) for r in found} == {
        (counted, of, over)
        for counted in NUMERATORS
        for of in DENOMINATORS
        for over in ("vision", "nlu", "families", "tasks")
    }
    for reading in found:
        assert reading["near"] == (abs(reading["percent"] - PAPER_PERCENT) <= MARGIN)
    percent = {(r["counted"], r["of"], r["over"]): r["percent"] for r in found}
    one = next(c for c in short_plan["cells"] if (c["task"], c["method"]) == ("rte", "frod"))
    counts = one["parameters"]
    assert percent[NUMERATORS[0], "backbone", "nlu"] == counts["percent_of_backbone"]
    assert percent[NUMERATORS[1], "trained model", "nlu"] == pytest.approx(
        100 * counts["trainable_with_head"] / (counts["backbone"] + counts["trainable_with_head"])
    )


def test_the_table_has_the_counts_and_says_what_is_assumed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = run(capsys, "profile=paper", "task=cars,rte", "method=frod", "accelerator=rtx-4090")
    assert "10,790,760" in out
    assert "1,569,276" in out
    assert "1,720,000" in out  # with the head of Cars' 196 classes
    assert "upper bound" in out
    assert "1.794 *" in out


def test_a_plan_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    run(capsys, "profile=embedded", "task=rte", "method=frozen", "format=json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["accelerator=h100"], r"accelerator=h100: is unknown.*Did you mean 'h100-80gb'"),
        (["format=xml"], r"format=xml: is unknown.*json, table"),
        (["profile=papper"], r"profile=papper.*Did you mean 'paper'"),
        (["suite=paper21"], r"suite=paper21.*Did you mean 'paper20'"),
        (["method=loar"], r"method=loar.*Did you mean"),
        (["task=rte,cloa", "method=frozen"], r"task=cloa.*Did you mean 'cola'"),
        (["profile"], r"profile: is no key=value"),
        (["-m"], r"-m: is no key=value"),
        (["trainer.batch_rows=0"], r"trainer.batch_rows=0: is out of range"),
        (["trainer.bathc_rows=1"], r"trainer.bathc_rows: there is no such key"),
        (["task=rte", "method=frod_peft"], r"method=frod_peft: can't be planned"),
        (
            ["task=rte", "method=frozen", "backbones.nlu.max_length=0"],
            r"backbone.max_length=0: embedded_encoder takes no such inputs",
        ),
        (
            ["profile=paper", "task=cars", "method=frozen", "backbones.vision.image_size=100"],
            r"backbone.image_size=100: clip_vit_b32 takes no such inputs. Give 224",
        ),
        (["task=boolq", "head=rank"], r"head=rank: can't be planned"),
    ],
)
def test_bad_input_is_one_message_and_status_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped, exit_statuses():
        command.main(words)
    assert stopped.value.code == 2
    told = capsys.readouterr()
    assert not told.out
    lines = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert re.search(message, lines[0]), lines[0]
