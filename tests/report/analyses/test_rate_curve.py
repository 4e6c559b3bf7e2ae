"""Score over a factor on the rates: a planted loss, runs that diverged, holes."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from frod_bench.report.asked import Cell
from tests.report.analyses.conftest import Analyse
from tests.report.analyses.variants import variant

FACTORS = (0.1, 1.0, 10.0)
OFF = ("dtd", "lora", 10.0, 0)  # the cell that a test takes away


def sweep(
    root: Path,
    tasks: Sequence[str] = ("rte", "dtd"),
    seeds: Sequence[int] = (0, 1),
    status: Mapping[tuple[str, str, float, int], str] | str = "ok",
) -> list[Cell]:
    """FRoD at 80 points whatever the factor; LoRA loses 30 on rte and 15 on dtd at ten times.

    `status` is that of all cells, or of some; `missing` leaves no record.
    """
    cells = []
    grid = itertools.product(tasks, ("lora", "frod"), FACTORS, seeds)
    for task, method, factor, seed in grid:
        loss = {"rte": 0.3, "dtd": 0.15}[task] if (method, factor) == ("lora", 10.0) else 0.0
        what = status if isinstance(status, str) else status.get((task, method, factor, seed), "ok")
        value = None if what == "missing" else 0.8 + 0.01 * seed - loss
        made = {"rate_factors.all": factor}
        kept = "ok" if what == "missing" else what
        cells.append(variant(root, task, method, seed, made, value, status=kept))
    return cells


def test_the_area_is_what_wrong_rates_cost(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("rate_curve", tmp_path, sweep(tmp_path))
    score = shown.row(task="rte", method="lora", quantity="score", factor=10.0)
    assert [score["low"], score["mean"], score["high"]] == pytest.approx([50, 50.5, 51])
    areas = {
        (task, method): shown.row(task=task, method=method, quantity="area")["mean"]
        for task in ("rte", "dtd", "")
        for method in ("lora", "frod")
    }
    assert areas["rte", "lora"] == pytest.approx(-10)  # a third of 30 points
    assert areas["dtd", "lora"] == pytest.approx(-5)
    assert areas["", "lora"] == pytest.approx(-7.5)
    assert [areas[task, "frod"] for task in ("rte", "dtd", "")] == pytest.approx([0, 0, 0])
    overall = shown.row(task="", method="lora", quantity="area")
    assert overall["low"] < overall["mean"] < overall["high"]
    assert set(shown.figures) == {"rate_curve", "rate_curve_tasks"}
    assert "Area" not in shown.words("rate_curve_tasks")  # the caption of a panel that it lacks
    assert "Gaps" not in shown.words()
    assert "Band: range over seeds." in shown.words()
    assert shown.lines()["LoRA"][:3] == ("80.5", "80.5", "58.0")
    assert shown.lines()["LoRA"][3].startswith("-7.5 [")


def test_a_run_that_diverged_counts_as_the_lowest_on_its_task(
    tmp_path: Path, analysed: Analyse
) -> None:
    at = ("dtd", "frod", 10.0, 0)
    shown = analysed("rate_curve", tmp_path, sweep(tmp_path, status={at: "diverged"}))
    score = shown.row(task="dtd", method="frod", quantity="score", factor=10.0)
    assert score["low"] == pytest.approx(65)  # lora's at ten times, seed 0
    assert (score["n_floored"], score["holes"]) == (1, "")
    area = shown.row(task="dtd", method="frod", quantity="area")
    assert area["mean"] == pytest.approx((73 - 80.5) / 3)
    assert "Runs that diverged count as the lowest score on their task: 1." in shown.words()
    assert shown.lines()["FRoD"][2].endswith("(1 diverged)")


@pytest.mark.parametrize(("status", "hole"), [("missing", "1 missing"), ("failed", "1 failed")])
def test_a_hole_leaves_neither_mean_nor_area(
    tmp_path: Path, analysed: Analyse, status: str, hole: str
) -> None:
    shown = analysed("rate_curve", tmp_path, sweep(tmp_path, status={OFF: status}))
    for task in ("dtd", ""):
        score = shown.row(task=task, method="lora", quantity="score", factor=10.0)
        area = shown.row(task=task, method="lora", quantity="area")
        assert np.isnan([score["mean"], area["mean"], area["low"]]).all()
        assert hole in (score["holes"], area["holes"])
    assert shown.row(task="rte", method="lora", quantity="area")["mean"] == pytest.approx(-10)
    assert shown.row(task="", method="frod", quantity="area")["mean"] == pytest.approx(0)
    assert f"no area: {hole}" in shown.words()
    assert "Gaps, where runs are missing or failed: LoRA." in shown.words()
    assert shown.lines()["LoRA"][2:] == (f"3 of 4: {hole}", f"no area: {hole}")


def test_where_all_cells_failed_there_are_empty_panels_that_say_so(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("rate_curve", tmp_path, sweep(tmp_path, status="failed"))
    assert shown.numbers["mean"].isna().all()
    assert shown.words().count("no area: 12 failed") == 2
    assert "Of 24 runs 24 failed." in shown.words()
    assert "Gaps, where runs are missing or failed: FRoD, LoRA." in shown.words("rate_curve_tasks")


def test_one_task_and_one_seed(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("rate_curve", tmp_path, sweep(tmp_path, tasks=("rte",), seeds=(0,)))
    area = shown.row(method="lora", quantity="area")
    assert area["mean"] == pytest.approx(-10)
    assert np.isnan(area["low"])  # one task has no interval over tasks
    assert set(shown.figures) == {"rate_curve"}
    curves = shown.figures["rate_curve"].axes[0]
    assert curves.get_title() == "RTE"
    assert "one seed" in shown.words()
    assert "Band" not in shown.words()
    assert shown.lines()["LoRA"] == ("80.0", "80.0", "50.0", "-10.0")


def test_a_matched_variant_is_a_method_of_its_own(tmp_path: Path, analysed: Analyse) -> None:
    cells = sweep(tmp_path, tasks=("rte",), seeds=(0,))
    for factor in FACTORS:
        made = {"rate_factors.all": factor}
        cells.append(variant(tmp_path, "rte", "lora_matched", 0, made, 0.6 + 0.03 * (factor == 1)))
    shown = analysed("rate_curve", tmp_path, cells)
    lora, matched = (
        shown.row(method=method, quantity="area")["mean"] for method in ("lora", "lora_matched")
    )
    assert [lora, matched] == pytest.approx([-10, -2])
    assert shown.lines()["LoRA (matched)"][:3] == ("60.0", "63.0", "60.0")
