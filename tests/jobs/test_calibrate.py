"""The calibration table: the band, and the best constant answer."""

from pathlib import Path

import pandas as pd
import pytest

from frod_bench.common.errors import InputError
from frod_bench.jobs.calibrate import best_constant, calibration, markdown
from frod_bench.records import store


def rows(full: float, frozen: float, random_full: float, constant: float = 50.0) -> pd.DataFrame:
    scores = {"full": full, "frozen": frozen, "random_full": random_full}
    return pd.DataFrame(
        {"family": "nlu", "task": "rte", "metric": "accuracy", "start": start,
         "score": score + wobble, "constant": constant}
        for start, score in scores.items() for wobble in (-1.0, 1.0)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("full", "frozen", "inside"),
    [(80, 60, True), (59, 50, False), (98, 60, False), (80, 76, False), (60, 55, True)],
)
def test_the_band_has_three_sides(full: float, frozen: float, inside: bool) -> None:
    table = calibration(rows(full, frozen, 55))
    assert table["full"].item() == pytest.approx(full)
    assert table["in_band"].item() == inside


def test_the_table_states_the_gain_from_pretraining() -> None:
    text = markdown(calibration(rows(80, 60, 55)), "embedded (synthetic data)")
    assert "pretrained weights score 25.0 points more than random ones" in text
    assert "| rte | accuracy | 50.0 | 60.0 | 80.0 | 55.0 | yes |" in text


@pytest.mark.parametrize(
    ("metric", "labels", "best"),
    [("accuracy", [0, 0, 0, 1], 0.75), ("f1", [0, 0, 0, 1], 0.4), ("matthews", [0, 1, 1, 0], 0.0)],
)
def test_the_best_constant_answer(
    tmp_path: Path, metric: str, labels: list[int], best: float
) -> None:
    path = tmp_path / "0-abc.json"
    table = pd.DataFrame({"split": "test", "row_id": range(4), "prediction": 0, "label": labels})
    table.to_parquet(store.predictions_path(path))
    assert best_constant(path, metric) == pytest.approx(best)


def test_all_three_starts_are_needed(tmp_path: Path) -> None:
    some = rows(80, 60, 55).query("start != 'random_full'")
    with pytest.raises(InputError, match="has no run of random_full, and needs frozen, full"):
        calibration(some)


def test_predictions_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "0-abc.json"
    with pytest.raises(InputError, match=r"cannot be read.*Remove the record 0-abc\.json"):
        best_constant(path, "accuracy")
    store.predictions_path(path).write_bytes(b"PAR1, but no table")
    with pytest.raises(InputError, match=r"cannot be read.*Remove the record 0-abc\.json"):
        best_constant(path, "accuracy")
