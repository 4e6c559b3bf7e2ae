"""Score over trained share: a planted front, variants that are beaten, holes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import same_color

from frod_bench.report.asked import Cell
from frod_bench.report.names import spelled
from tests.report.analyses.conftest import Analyse
from tests.report.analyses.variants import variant

RATE, RANK = "method.sparse_rate", "method.peft.r"
# method, settings, trained percent, score
PLANTED: list[tuple[str, dict[str, Any], float, float]] = [
    ("frozen", {}, 0.0, 0.50),
    ("lora", {RANK: 8}, 1.0, 0.60),
    ("frod", {RATE: 0.02}, 2.0, 0.75),
    ("lora", {RANK: 32}, 4.0, 0.70),  # dearer and worse than frod at 0.02
    ("frod", {RATE: 0.1}, 8.0, 0.75),  # dearer and no better
    ("full", {}, 100.0, 0.80),
]
FRONT = {"frozen", "lora (r 8)", "frod (s 0.02)", "full"}


def cells_of(
    root: Path,
    tasks: Sequence[str] = ("rte", "dtd"),
    seeds: Sequence[int] = (0, 1),
    status: str = "ok",
    missing: tuple[str, str, int] | None = None,
) -> list[Cell]:
    """`PLANTED`, a point more a seed and 10 more on dtd; `missing`: task, variant, seed."""
    cells = []
    for task in tasks:
        for method, settings, percent, score in PLANTED:
            for seed in seeds:
                value = score + 0.01 * seed + 0.1 * (task == "dtd")
                cell = variant(
                    *(root, task, method, seed, settings, value), status=status, percent=percent
                )
                if (task, spelled(cell.run.method), seed) == missing:
                    (path,) = root.glob(
                        f"embedded/records/{task}/{method}/*{cell.config_hash}.json"
                    )
                    path.unlink()
                cells.append(cell)
    return cells


def test_the_planted_front_is_found(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("budget_curve", tmp_path, cells_of(tmp_path))
    for task in ("rte", "dtd", ""):
        here = shown.numbers[shown.numbers["task"] == task]
        assert set(here.loc[here["on_front"], "variant"]) == FRONT
    best = shown.row(task="", variant="frod (s 0.02)")
    assert best["percent"] == pytest.approx(2)
    assert [best["low"], best["mean"], best["high"]] == pytest.approx([80, 80.5, 81])
    assert shown.lines()["FRoD (s 0.02)"] == ("2.000", "80.5", "80.0 to 81.0", "yes")
    assert shown.lines()["LoRA (r 32)"][3] == ""
    (figure,) = shown.figures.values()
    assert [ax.get_title() for ax in figure.axes] == ["RTE", "DTD", "mean of 2 tasks"]
    dots = [line for line in figure.axes[-1].get_lines() if line.get_marker() not in ("None", "")]
    hollow = sorted(
        float(dot.get_xdata()[0]) for dot in dots if same_color(dot.get_markerfacecolor(), "white")
    )
    assert hollow == pytest.approx([4, 8])
    assert len(dots) == len(PLANTED)
    assert "Not drawn" not in shown.words()


def test_a_variant_with_a_hole_is_neither_drawn_nor_on_the_front(
    tmp_path: Path, analysed: Analyse
) -> None:
    missing = ("rte", "frod (s 0.02)", 1)
    shown = analysed("budget_curve", tmp_path, cells_of(tmp_path, missing=missing))
    for task in ("rte", ""):
        row = shown.row(task=task, variant="frod (s 0.02)")
        assert np.isnan(row["mean"])
        assert not row["on_front"]
        assert shown.row(task=task, variant="lora (r 32)")["on_front"]  # what beat it has no mean
    assert shown.row(task="dtd", variant="frod (s 0.02)")["on_front"]
    assert "Not drawn because runs are missing or failed: FRoD (s 0.02)." in shown.words()
    assert shown.lines()["FRoD (s 0.02)"][1:] == ("3 of 4: 1 missing", "", "")


def test_where_all_cells_failed_each_panel_says_that_there_is_nothing(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("budget_curve", tmp_path, cells_of(tmp_path, status="failed"))
    assert not shown.numbers["on_front"].any()
    assert shown.words().count("no variant is complete") == 3
    assert "Of 24 runs 24 failed." in shown.words()
    assert shown.lines()["Full FT"][1] == "4 failed"


def test_one_task_and_one_seed(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("budget_curve", tmp_path, cells_of(tmp_path, tasks=("rte",), seeds=(0,)))
    row = shown.row(variant="full")
    assert [row["low"], row["mean"], row["high"]] == pytest.approx([80, 80, 80])
    assert set(shown.numbers["scope"]) == {"task"}
    (figure,) = shown.figures.values()
    assert [ax.get_title() for ax in figure.axes] == ["RTE"]
    assert "one seed" in shown.words()
    assert set(shown.numbers.loc[shown.numbers["on_front"], "variant"]) == FRONT


def test_what_trains_nothing_stands_left_of_the_smallest_share(
    tmp_path: Path, analysed: Analyse
) -> None:
    """A logarithmic axis has no place for zero, so it gets one, with its own tick."""
    shown = analysed("budget_curve", tmp_path, cells_of(tmp_path, tasks=("rte",), seeds=(0,)))
    (ax,) = shown.figures["budget_curve"].axes
    first = ax.get_xticklabels()[0]
    assert first.get_text() == "0"
    assert 0 < first.get_position()[0] < 1
