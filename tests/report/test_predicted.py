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

RULES = replace(load_rules(), seeds=[0, 1, 2])
PREDICTED = {  # means 3, -2 and -1, spreads 1, 0.5 and 0.5
    "vision": {"eurosat": 2.0, "gtsrb": 3.0, "mnist": 4.0},
    "reasoning": {"boolq": -2.0, "piqa": -2.5, "siqa": -1.5},
    "nlu": {"rte": -1.0, "sst2": -0.5, "mrpc": -1.5},
}
FOUND = {"vision": {"eurosat": 3.0}, "reasoning": {"boolq": -1.4}, "nlu": {"rte": 4.0}}


def runs(root: Path, points: dict[str, dict[str, float]]) -> pd.DataFrame:
    """FRoD is so many `points` above full fine-tuning on each task, LoRA as good."""
    cells = []
    above = {(family, task): d for family, tasks in points.items() for task, d in tasks.items()}
    for (family, task), distance in above.items():
        for method in ("full", "lora", "frod", "frozen"):
            for seed in RULES.seeds:
                value = 0.7 + 0.002 * seed * (1 + (method == "frod"))
                value += (distance / 100 - 0.002) * (method == "frod")
                write_record(root, make_record(task, method, seed, value), synthetic_curve(steps=5))
                cells.append(Cell(task, method, seed, family=family))
    return collect(root, "embedded", cells).frame


@pytest.fixture
def summary(tmp_path: Path) -> pd.DataFrame:
    before = runs(tmp_path / "before", PREDICTED)
    after = runs(tmp_path / "after", FOUND)
    prediction = Prediction("embedded", evidence_on(before, RULES))
    found = predicted_summary(prediction, after, RULES, "full")
    table = predicted_table(found, prediction, RULES, "real")
    assert [row.label for row in table.rows if row.heading] == ["LoRA", "FRoD"]
    return found


def test_what_was_planted_is_predicted_and_found(summary: pd.DataFrame) -> None:
    ours = summary[summary["method"] == "frod"].set_index("family")
    assert ours["predicted"].to_dict() == pytest.approx(
        {"vision": 3.0, "reasoning": -2.0, "nlu": -1.0, "": 0.0}, abs=1e-9
    )
    assert ours["found"].to_dict() == pytest.approx(
        {"vision": 3.0, "reasoning": -1.4, "nlu": 4.0, "": 5.6 / 3}
    )
    # Student's t at 2 degrees of freedom: one other task after three has 1 / 3 + 1 of the variance.
    halves = ours["predicted_high"] - ours["predicted"]
    one_more = 4.3027 * np.sqrt(4 / 3)
    assert halves.drop("").to_dict() == pytest.approx(
        {"vision": one_more, "reasoning": one_more / 2, "nlu": one_more / 2}, rel=1e-4
    )
    # A third of each: variance (1 + 1 / 4 + 1 / 4) 4 / 27, with 4 degrees of freedom.
    assert halves[""] == pytest.approx(2.7764 * np.sqrt(6 / 27), rel=1e-4)
    assert ours["predicted_low"].to_numpy() == pytest.approx(ours["predicted"] - halves)
    assert ours["consistent"].to_dict() == {
        "vision": "yes", "reasoning": "yes", "nlu": "no", "": "no"
    }  # fmt: skip
    assert ours.loc["reasoning", "found_low"] > ours.loc["reasoning", "predicted"]  # seeds alone
    assert set(summary["method"]) == {"lora", "frod"}


def test_one_task_predicts_without_an_interval(tmp_path: Path) -> None:
    before = runs(tmp_path / "before", {"vision": {"gtsrb": 3.0}})
    after = runs(tmp_path / "after", {"vision": {"eurosat": 1.0}, "nlu": {"rte": 4.0}})
    prediction = Prediction("embedded", evidence_on(before, RULES))
    found = predicted_summary(prediction, after, RULES, "full")
    ours = found[found["method"] == "frod"].set_index("family")
    assert ours.loc["vision", "predicted"] == pytest.approx(3.0)
    assert np.isnan(ours["predicted_low"]).all()
    assert np.isnan(ours.loc["nlu", "predicted"])
    assert set(ours["consistent"]) == {"unknown"}
    predicted_table(found, prediction, RULES, "real")


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
        lost = np.isnan(scores).all(axis=1)
        assert [task for task, gone in zip(found.cells.tasks, lost, strict=True) if gone] == [
            "cola"
        ]
        assert not np.isnan(scores[~lost]).any()
