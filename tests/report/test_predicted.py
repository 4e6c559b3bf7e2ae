"""Predicted against found: planted distances from full fine-tuning come out, family by family."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frod_bench.report.asked import Cell
from frod_bench.report.claims.parts import evidence_on
from frod_bench.report.collect import collect
from frod_bench.report.predicted import (
    Prediction,
    predicted_summary,
    predicted_table,
    prediction_of,
)
from frod_bench.report.rules import load_rules
from tests.report.factory import make_record, synthetic_curve, write_record

RULES = replace(load_rules(), suite="smoke", seeds=[0, 1, 2])
FAMILIES = {"eurosat": "vision", "boolq": "reasoning", "rte": "nlu"}


def runs(root: Path, points: dict[str, float]) -> pd.DataFrame:
    """FRoD is so many `points` above full fine-tuning on each task, LoRA as good."""
    cells = []
    for task, above in points.items():
        for method in ("full", "lora", "frod", "frozen"):
            for seed in RULES.seeds:
                value = 0.7 + 0.002 * seed * (1 + (method == "frod"))
                value += (above / 100 - 0.002) * (method == "frod")
                write_record(root, make_record(task, method, seed, value), synthetic_curve(steps=5))
                cells.append(Cell(task, method, seed, family=FAMILIES[task]))
    return collect(root, "embedded", cells).frame


@pytest.fixture
def summary(tmp_path: Path) -> pd.DataFrame:
    before = runs(tmp_path / "before", {"eurosat": 3.0, "boolq": -2.0, "rte": -1.0})
    after = runs(tmp_path / "after", {"eurosat": 3.0, "boolq": -1.4, "rte": 4.0})
    prediction = Prediction("embedded", evidence_on(before, RULES))
    found = predicted_summary(prediction, after, RULES, "full")
    table = predicted_table(found, prediction, RULES, "real")
    assert [row.label for row in table.rows if row.heading] == ["LoRA", "FRoD"]
    return found


def test_what_was_planted_is_predicted_and_found(summary: pd.DataFrame) -> None:
    ours = summary[summary["method"] == "frod"].set_index("family")
    assert ours.loc["vision", ["predicted", "found"]].tolist() == pytest.approx([3.0, 3.0])
    assert ours.loc["nlu", ["predicted", "found"]].tolist() == pytest.approx([-1.0, 4.0])
    assert ours["consistent"].to_dict() == {
        "vision": "yes", "reasoning": "yes", "nlu": "no", "": "no"
    }  # fmt: skip
    assert ours.loc["", "predicted"] == pytest.approx(0.0)
    assert ours.loc["", "found"] == pytest.approx(5.6 / 3)
    reasoning = ours.loc["reasoning"]  # outside the interval of what was found, and consistent
    assert reasoning["found_low"] > reasoning["predicted"] == pytest.approx(-2.0)
    # Three independent families, a third of the weight each: a third of the root of their squares.
    halves = (ours["predicted"] - ours["predicted_low"]).drop("")
    expected = np.sqrt(np.square(halves).sum()) / 3
    assert ours.loc["", "predicted_high"] == pytest.approx(expected)
    assert ours.loc["", "predicted_low"] == pytest.approx(-expected)
    assert set(summary["method"]) == {"lora", "frod"}


def test_without_an_interval_nothing_is_said(summary: pd.DataFrame) -> None:
    """LoRA's scores are full fine-tuning's: a difference without spread has no interval."""
    assert set(summary.loc[summary["method"] == "lora", "consistent"]) == {"unknown"}


def test_the_published_runs_predict_the_profile_real() -> None:
    rules = load_rules()
    found = prediction_of(rules.of_profile("real").predicted_by, rules)
    assert found is not None
    assert len(found.cells.tasks) == 20
    for method in ("full", "frod", "lora", "dora"):
        scores = found.cells.table(method, "value")
        assert scores.shape == (20, 5)
        assert not np.isnan(scores).any()
