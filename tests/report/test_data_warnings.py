"""What reports warn of: rates that were not tuned, and runs that answer one class."""

from pathlib import Path

import pandas as pd

from frod_bench.records import store
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.paired import constant_predictions, one_class
from frod_bench.report.picks import untuned
from tests.report.factory import make_record, write_record


def test_methods_without_trials_are_named_by_family() -> None:
    frame = pd.DataFrame(
        [("nlu", "frod"), ("nlu", "pissa"), ("vision", "frod"), ("nlu", "vera"), ("nlu", "pissa")],
        columns=["family", "method"],
    ).assign(head="classify", variant="", trainable=1)
    trials = pd.DataFrame([("nlu", "frod"), ("nlu", "vera")], columns=["family", "method"])
    trials = trials.assign(head="classify")
    nlu, vision = untuned(frame, trials)
    assert nlu.startswith("Learning rates of pissa were not tuned in nlu ")
    assert vision.startswith("Learning rates of frod were not tuned in vision ")
    (line,) = untuned(frame, trials[:0])
    assert line.startswith("No search of learning rates is in this folder")


def test_a_method_that_answers_one_class_in_every_run_is_named(tmp_path: Path) -> None:
    answers = {("full", 0): [1, 1], ("full", 1): [0, 0], ("frod", 0): [1, 1], ("frod", 1): [0, 1]}
    for (method, seed), predicted in answers.items():
        path = write_record(tmp_path, make_record("rte", method, seed))
        table = pd.DataFrame({"prediction": predicted, "label": [0, 1], "row_id": [0, 1]})
        table.assign(split="test").to_parquet(store.predictions_path(path))
    cells = [Cell("rte", method, seed) for method, seed in answers]
    (line,) = one_class(constant_predictions(collect(tmp_path, "embedded", cells).frame))
    assert line.startswith("RTE: all test predictions of Full FT are one class, in every run.")
