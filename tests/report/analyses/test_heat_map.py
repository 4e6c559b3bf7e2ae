"""The ablation's map: a planted best place, holes, and captions that say how it was picked."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from frod_bench.common.errors import InputError
from frod_bench.report.analyses.kinds import analyse
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from tests.report.analyses.conftest import Analyse
from tests.report.analyses.variants import variant
from tests.report.factory import make_record, write_record

BEST = (0.02, 1.0, 10.0)
PLACES = [(0.0, la, 1.0) for la in (0.1, 1.0)] + list(
    itertools.product((0.02,), (0.1, 1.0), (1.0, 10.0))
)
EMPTY = "0/1"


def grid(
    root: Path,
    tasks: Sequence[str] = ("rte", "dtd"),
    seeds: Sequence[int] = (0,),
    status: str = "ok",
    missing: Sequence[tuple[str, tuple[float, float, float]]] = (),
) -> list[Cell]:
    """Cells of FRoD: 60 points and a point a seed, 10 more on dtd, 20 more at `BEST`."""
    cells = []
    for task, place, seed in itertools.product(tasks, PLACES, seeds):
        keys = ("method.sparse_rate", "rate_factors.lambda", "rate_factors.rotation")
        value = 0.6 + 0.01 * seed + 0.1 * (task == "dtd") + 0.2 * (place == BEST)
        is_missing = (task, place) in missing
        made = dict(zip(keys, place, strict=True))
        score = None if is_missing else value
        cells.append(variant(root, task, "frod", seed, made, score, status=status))
    return cells


def at(place: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("sparse_rate", "lambda_factor", "rotation_factor"), place, strict=True))


def test_the_best_place_is_found_framed_and_told_as_a_pick(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("heat_map", tmp_path, grid(tmp_path))
    assert shown.row(task="rte", **at(BEST))["mean"] == pytest.approx(80)
    assert shown.row(scope="overall", **at(BEST))["mean"] == pytest.approx(85)
    assert shown.row(scope="overall", **at((0.0, 1.0, 1.0)))["mean"] == pytest.approx(65)
    assert set(shown.figures) == {"heat_map_rte", "heat_map_dtd", "heat_map_all_tasks"}
    words = shown.words("heat_map_all_tasks")
    pick = "the best of all settings by the test score itself (one seed), which flatters it"
    assert f"Framed: {pick}: 85.0 at s 0.02, lambda × 1, rotation × 10." in words
    assert "Hatched" not in words
    labels = [row.label for row in shown.table.rows if row.heading]
    assert "FRoD, mean of 2 tasks; best 85.0 at s 0.02, lambda × 1, rotation × 10" in labels
    assert "Best: of all settings by the test score itself (one seed)" in shown.table.caption
    assert shown.lines()["s 0.02, lambda × 1"] == ("65.0", "85.0")
    assert shown.lines()["s 0, lambda × 1"] == ("65.0", "–")


def test_a_missing_cell_leaves_no_mean_and_is_hatched(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("heat_map", tmp_path, grid(tmp_path, missing=[("dtd", BEST)]))
    whole = shown.row(scope="overall", **at(BEST))
    assert np.isnan(whole["mean"])
    assert (whole["n_cells"], whole["n_expected"], whole["holes"]) == (1, 2, "1 missing")
    assert shown.row(task="rte", **at(BEST))["mean"] == pytest.approx(80)
    assert "\n1/2\n" in shown.words("heat_map_all_tasks")
    assert "Hatched: no mean" in shown.words("heat_map_all_tasks")
    assert "\n80.0\n" in shown.words("heat_map_rte")
    assert shown.lines()["s 0.02, lambda × 1"] == ("65.0", "1 of 2: 1 missing")


def test_where_all_cells_failed_the_map_is_empty_and_labelled(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("heat_map", tmp_path, grid(tmp_path, tasks=("rte",), status="failed"))
    assert shown.numbers["mean"].isna().all()
    (figure,) = shown.figures.values()
    assert [ax.get_title() for ax in figure.axes] == ["s = 0", "s = 0.02"]  # and no bar of colours
    words = shown.words("heat_map_rte")
    assert words.count(EMPTY) == len(PLACES)
    assert "factor on S" in words
    assert "Of 6 runs 6 failed." in words
    assert "Framed" not in words
    assert shown.lines()["s 0.02, lambda × 1"] == ("1 failed", "1 failed")


def test_seeds_are_averaged_and_counted_and_one_task_has_one_map(
    tmp_path: Path, analysed: Analyse
) -> None:
    shown = analysed("heat_map", tmp_path, grid(tmp_path, tasks=("rte",), seeds=(0, 2)))
    row = shown.row(**at(BEST))
    assert [row["low"], row["mean"], row["high"]] == pytest.approx([80, 81, 82])
    assert set(shown.figures) == {"heat_map_rte"}
    assert set(shown.numbers["scope"]) == {"task"}
    assert "by the test score itself (mean over 2 seeds)" in shown.words("heat_map_rte")


def test_cells_that_lie_on_no_grid_are_refused(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "frod", 0))
    frame = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)]).frame
    with pytest.raises(InputError, match=r"heat_map is drawn over method.sparse_rate"):
        analyse(["heat_map"], frame)


def test_a_matched_variant_has_a_map_of_its_own(tmp_path: Path, analysed: Analyse) -> None:
    keys = ("method.sparse_rate", "rate_factors.lambda", "rate_factors.rotation")
    cells = grid(tmp_path, tasks=("rte",))
    for place in PLACES:
        made = dict(zip(keys, place, strict=True))
        cells.append(variant(tmp_path, "rte", "frod_matched", 0, made, 0.4))
    shown = analysed("heat_map", tmp_path, cells)
    assert shown.row(method="frod", **at(BEST))["mean"] == pytest.approx(80)
    assert shown.row(method="frod_matched", **at(BEST))["mean"] == pytest.approx(40)
