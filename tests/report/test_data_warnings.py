"""What reports warn of: rates that were not tuned, and runs that answer one class."""

from pathlib import Path

import pandas as pd

from frod_bench.records import store
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.picks import untuned
from frod_bench.report.uninformative import below_frozen, constant_predictions, one_class
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


def warned(tmp_path: Path, values: dict[tuple[str, int], float]) -> list[str]:
    for (method, seed), value in values.items():
        write_record(tmp_path, make_record("rte", method, seed, value))
    cells = [Cell("rte", method, seed) for method, seed in values]
    return list(below_frozen(collect(tmp_path, "embedded", cells).frame))


def test_training_that_does_harm_is_named_with_both_scores(tmp_path: Path) -> None:
    values = {("full", 0): 0.5, ("full", 1): 0.6, ("frod", 0): 0.7, ("frod", 1): 0.5}
    frozen = {("frozen", 0): 0.56, ("frozen", 1): 0.58}
    (line,) = warned(tmp_path, values | frozen)
    assert line.startswith("RTE: worse than the frozen backbone on test: Full FT (55.0 against 57.")
    assert "FRoD" not in line


def test_harm_is_judged_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    assert not warned(tmp_path, {("full", 0): 0.6, ("frozen", 0): 0.5, ("frozen", 1): 0.9})
    assert not warned(tmp_path, {("full", 0): 0.6, ("full", 1): 0.7})


def test_of_a_metric_that_falls_the_lower_is_better(tmp_path: Path) -> None:
    values = {("full", 0): 0.5, ("frod", 0): 0.7, ("frozen", 0): 0.6}
    for (method, seed), value in values.items():
        write_record(tmp_path, make_record("rte", method, seed, value))
    frame = collect(tmp_path, "embedded", [Cell("rte", m, s) for m, s in values]).frame
    (line,) = below_frozen(frame.assign(higher_is_better=False))
    assert "FRoD (70.0 against 60.0)" in line
    assert "Full" not in line


def test_a_sweep_over_settings_is_not_warned_of(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "full", 0, 0.5))
    write_record(tmp_path, make_record("rte", "frozen", 0, 0.6))
    frame = collect(tmp_path, "embedded", [Cell("rte", "full", 0), Cell("rte", "frozen", 0)]).frame
    assert list(below_frozen(frame))
    swept = pd.concat([frame, frame[frame["method"] == "full"]])
    assert not list(below_frozen(swept))
