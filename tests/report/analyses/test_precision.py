"""bf16 against float32: a planted difference is found, and judged by the noise of a seed."""

import itertools
from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.report.analyses.kinds import analyse
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from tests.report.analyses.conftest import Analyse
from tests.report.analyses.variants import variant

KEY = "trainer.mixed_precision"


def pilot(root: Path, shift: float, missing: str = "") -> list[Cell]:
    """Scores that spread by one point over seeds; FRoD's fall by `shift` points in bf16."""
    cells = []
    for method, precision, seed in itertools.product(("full", "frod"), ("no", "bf16"), range(3)):
        value = 0.7 + 0.01 * seed
        if (method, precision) == ("frod", "bf16"):
            value -= 0.01 * shift + 0.001 * (seed - 1)
        score = None if (method, precision, seed) == (missing, "bf16", 2) else value
        cells.append(variant(root, "rte", method, seed, {KEY: precision}, score))
    return cells


@pytest.mark.parametrize(("shift", "within"), [(0.5, "yes"), (1.5, "no")])
def test_a_shift_is_judged_by_the_noise_of_a_seed(
    tmp_path: Path, analysed: Analyse, shift: float, within: str
) -> None:
    shown = analysed("precision", tmp_path, pilot(tmp_path, shift))
    row = shown.row(method="frod")
    assert row["mean"] == pytest.approx(-shift)
    assert row["noise"] == pytest.approx(1.0)
    assert row["low"] < row["mean"] < row["high"]
    assert row["within"] == within
    assert shown.row(method="full")["within"] == "yes"
    assert ("*" in shown.lines()["RTE"][1]) == (within == "no")
    assert shown.lines()["RTE"][2] == "1.0"


def test_a_task_with_a_missing_run_is_not_judged(tmp_path: Path, analysed: Analyse) -> None:
    shown = analysed("precision", tmp_path, pilot(tmp_path, 1.5, missing="full"))
    assert set(shown.numbers["within"]) == {"unknown"}
    assert shown.lines()["RTE"][2] == "–"


def test_the_precision_must_be_varied(tmp_path: Path) -> None:
    cells = [variant(tmp_path, "rte", "frod", 0, {}, 0.7)]
    with pytest.raises(InputError, match=r"precision is drawn over trainer\.mixed_precision"):
        analyse(["precision"], collect(tmp_path, "embedded", cells).frame)
