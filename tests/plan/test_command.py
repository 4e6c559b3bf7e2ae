"""`python -m frod_bench.plan`: its output, its readings of the paper's number, and bad input."""

import io
import json
import runpy
import socket
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from rich.console import Console

from frod_bench.methods import budget
from frod_bench.plan import command, measure
from frod_bench.plan.cells import accelerator_of
from frod_bench.plan.fit import Change, Fitted
from frod_bench.plan.show import DENOMINATORS, NUMERATORS, PlanResult, as_json, hours_line, show
from frod_bench.report.rules import load_rules

METHODS = ("full", "lora", "frod", "frozen")
SHORT = (
    "profile=embedded",
    "task=eurosat,rte",
    f"method={','.join(METHODS)}",
    "accelerator=cpu-2",
)


@pytest.fixture(autouse=True, scope="module")
def shallow() -> Iterator[None]:
    """Measure models of one and two blocks: test_measured says what the numbers are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "DEPTHS", (1, 2))
        yield


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    command.main(words)
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def short_plan() -> dict[str, Any]:
    """As `python -m frod_bench.plan` prints it; in this process, which has torch already."""
    captured = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(captured):
        patch.setattr(sys, "argv", ["plan", *SHORT, "format=json"])
        runpy.run_module("frod_bench.plan", run_name="__main__", alter_sys=False)
    plan: dict[str, Any] = json.loads(captured.getvalue())
    return plan


def test_json_has_every_cell_and_all_that_it_costs(short_plan: dict[str, Any]) -> None:
    cells = short_plan["cells"]
    assert {(c["task"], c["method"]) for c in cells} == {
        (task, method) for task in ("eurosat", "rte") for method in METHODS
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
    found, rule = short_plan["readings"], load_rules().parameters
    assert short_plan["paper_percent"] == rule.paper_percent == 1.72
    assert {(r["counted"], r["of"], r["over"]) for r in found} == {
        (counted, of, over)
        for counted in NUMERATORS
        for of in DENOMINATORS
        for over in ("vision", "nlu", "families", "tasks")
    }
    for reading in found:
        assert reading["near"] == (
            abs(reading["percent"] - rule.paper_percent) <= rule.tolerance_points
        )
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


def as_text(result: PlanResult) -> str:
    """The tables, as a terminal has them."""
    console = Console(file=io.StringIO(), width=200)
    show(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_overrides_that_make_a_cell_fit_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device that has a tenth less than the cell takes."""
    words = ("profile=embedded", "task=eurosat", "method=frozen")
    peak = command.plan(words, "cpu-2").cells[0].step.peak_bytes
    small = replace(accelerator_of("cpu-2"), memory_gib=peak / 2**30, usable=0.9)
    monkeypatch.setattr(command, "accelerator_of", lambda name: small)
    result = command.plan(words, "small")
    cell = json.loads(as_json(result))["cells"][0]
    assert not cell["fits"]
    assert cell["change"]["overrides"] == ["trainer.batch_rows=12", "trainer.accumulation_steps=2"]
    assert cell["peak_bytes_with_change"] <= small.usable_bytes
    pasted = "  trainer.batch_rows=12 trainer.accumulation_steps=2\n    eurosat/frozen\n"
    assert pasted in as_text(result)


def test_options_are_ranked_where_there_are_some() -> None:
    short = "backbones.reasoning.max_length=16"
    words = ("profile=embedded", "task=boolq", "method=lora,frozen", "head=auto", short)
    result = command.plan(words, "cpu-2")
    plan = json.loads(as_json(result))
    ranked, zero_shot = plan["cells"]
    assert [(c["task"], c["method"]) for c in (ranked, zero_shot)] == [
        ("boolq_rank", "lora"),
        ("boolq_rank", "frozen"),
    ]
    assert ranked["family"] == "reasoning_rank"
    assert ranked["row_tokens"] == 16 + 4  # the letters of " yes"
    assert ranked["parameters"]["trainable_with_head"] == ranked["parameters"]["trainable"] > 0
    assert ranked["flops"] == ranked["flops_a_step"] * ranked["steps"] > 0
    numbers = ("steps", "flops", "flops_a_step", "hours")
    assert [zero_shot[name] for name in numbers] == [0, 0, 0, 0]
    assert zero_shot["memory_bytes"]["activations"] > 0
    assert any("question read once" in line for line in plan["assumptions"])
    assert "boolq_rank" in as_text(result)


def test_tasks_of_unlike_length_have_a_range_of_hours() -> None:
    words = ("profile=paper", "protocol=paper", "task=sst2,rte", "method=frozen")
    result = command.plan(words, "h100-80gb")
    assert len({cell.steps for cell in result.cells}) == 2
    low, high = sorted(cell.hours for cell in result.cells)
    assert f"{low:.2f} to {high:.2f}" in as_text(result)


def test_disk_space_is_reported(short_plan: dict[str, Any]) -> None:
    assert short_plan["disk"]["kept_bytes"] == 0
    assert short_plan["disk"]["data_sets"] is None  # the package contains the synthetic data
    backbones = [one["backbone"] for one in short_plan["disk"]["downloads"]]
    assert backbones == ["embedded_vit", "embedded_encoder"]
    for cell in short_plan["cells"]:
        disk, parameters = cell["disk_bytes"], cell["parameters"]
        assert disk["kept_with_save_adapter"] >= 4 * parameters["stored_with_head"]
        probes = disk["checkpoints_while_it_runs"] - 24 * parameters["trainable_with_head"]
        assert (probes > 0) if cell["method"] == "frod" else (probes == 0)
    words = ("profile=paper", "task=eurosat", "method=frozen", "save=adapter", "seed=0,1,2")
    result = command.plan(words, "cpu-2")
    assert result.kept_bytes == 3 * 4 * 10 * (768 + 1)
    out = as_text(result)
    assert "clip_vit_b32 0.605 GB (to download, in float32)" in out
    assert "Data sets: " in out
    cell = result.cells[0]
    shared = replace(cell, hours=2.0, fitted=Fitted(Change(devices=4), cell.step, 0))
    assert hours_line(replace(result, cells=[shared])) == (
        "1 cell, one seed each: 2.0 hours in sequence, 8.0 device-hours. "
        "3 runs of each (seed): 6.0 and 24.0."
    )


def test_a_plan_asks_the_hub_for_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A matched rank follows from the backbone's configuration, for which a cell asks the Hub."""
    asked: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        asked.append(args)
        raise OSError("there is no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    budget.layer_shapes.cache_clear()
    words = ("profile=paper", "task=eurosat", "method=lora", "budget=matched", "format=json")
    assert json.loads(run(capsys, *words))["cells"][0]["method"] == "lora_matched"
    assert not asked
    assert constants.HF_HUB_OFFLINE is False


def test_a_plan_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    run(capsys, "profile=embedded", "task=rte", "method=frozen", "format=json")
    assert not list(tmp_path.iterdir())
