"""The spread over seeds: planted ones are found, and holes are counted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from frod_bench.report.asked import Cell
from tests.report.analyses.conftest import Analyse
from tests.report.analyses.variants import variant

SEEDS = (0, 1, 2, 3, 4)  # their standard deviation is the root of 2.5
SPREADS = {"full": 1.0, "frod": 3.0}  # points a seed
ROOT = 2.5**0.5


def cells_of(
    root: Path,
    tasks: Sequence[str] = ("rte", "dtd"),
    seeds: Sequence[int] = SEEDS,
    status: str = "ok",
    missing: tuple[str, str, int] | None = None,
) -> list[Cell]:
    """A score that rises by `SPREADS` from seed to seed, and by twice that on dtd."""
    cells = []
    for task in tasks:
        for method, points in SPREADS.items():
            for seed in seeds:
                value = 0.6 + 0.01 * points * seed * (2 if task == "dtd" else 1)
                score = None if (task, method, seed) == missing else value
                cells.append(variant(root, task, method, seed, {}, score, status=status))
    return cells


def test_the_planted_spread_is_found(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path))
    for task, times in (("rte", 1), ("dtd", 2)):
        for method, points in SPREADS.items():
            row = shown.row(task=task, method=method)
            assert row["spread"] == pytest.approx(ROOT * points * times)
            assert row["spread_low"] < row["spread"] < row["spread_high"]
            assert row["high"] - row["low"] == pytest.approx(4 * points * times)
    overall = shown.row(scope="overall", method="frod")
    assert overall["spread"] == pytest.approx(1.5 * ROOT * 3)
    assert np.isnan(overall["spread_low"])
    assert shown.lines()["mean of all tasks"] == ("2.37", "7.12")
    assert shown.lines()["RTE"][0].startswith("1.58 [")
    (figure,) = shown.figures.values()
    assert [ax.get_title() for ax in figure.axes] == ["RTE", "DTD", "standard deviation"]
    dots = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == len(SEEDS)]
    assert [list(line.get_ydata()) for line in dots] == [
        pytest.approx([60 + points * seed for seed in SEEDS]) for points in SPREADS.values()
    ]


def test_a_missing_seed_is_counted_and_the_mean_over_tasks_left_out(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path, missing=("rte", "frod", 4)))
    row = shown.row(task="rte", method="frod")
    assert (row["n_cells"], row["n_expected"], row["holes"]) == (4, 5, "1 missing")
    assert row["spread"] == pytest.approx(3 * (5 / 3) ** 0.5)  # of seeds 0 to 3
    assert np.isnan(shown.row(scope="overall", method="frod")["spread"])
    assert shown.row(scope="overall", method="full")["spread"] == pytest.approx(1.5 * ROOT)
    assert "\n4/5\n" in shown.words()
    assert shown.lines()["mean of all tasks"][1] == "not averaged (9 of 10: 1 missing)"


def test_where_all_cells_failed_nothing_is_drawn_and_all_is_told(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path, status="failed"))
    assert shown.numbers[["mean", "spread"]].isna().all(axis=None)
    assert shown.words().count("0/5") == 4
    assert "Of 20 runs 20 failed." in shown.words()
    assert shown.lines()["RTE"] == ("no spread (0 of 5: 5 failed)",) * 2


def test_one_seed_has_a_score_and_no_spread(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path, seeds=(0,)))
    row = shown.row(task="rte", method="frod")
    assert row["mean"] == pytest.approx(60)
    assert np.isnan(row["spread"])
    assert shown.lines()["RTE"] == ("no spread", "no spread")
    assert shown.lines()["mean of all tasks"] == ("not averaged", "not averaged")


def test_two_seeds_have_a_range_and_no_interval(tmp_path: Path, analysed: Analyse) -> None:
    """The chi-squared interval of two seeds is up to 32 times as wide as their spread."""
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path, seeds=(0, 1)))
    assert shown.lines()["RTE"] == ("0.71 (range 1.00)", "2.12 (range 3.00)")
    assert "95 %" not in shown.words()
    assert "95 %" not in shown.table.caption


def test_one_task_has_no_mean_over_tasks(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("seed_spread", tmp_path, cells_of(tmp_path, tasks=("rte",)))
    assert set(shown.numbers["scope"]) == {"task"}
    assert [row.label for row in shown.table.rows] == ["RTE"]
    (figure,) = shown.figures.values()
    assert [ax.get_title() for ax in figure.axes] == ["RTE", "standard deviation"]
