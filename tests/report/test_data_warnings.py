"""What reports warn of: rates that were not tuned, and runs that answer one class."""

from pathlib import Path

import pandas as pd

from frod_bench.records import store
from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.collect import collect
from frod_bench.report.picks import untuned
from frod_bench.report.uninformative import (
    UNEVEN,
    below_frozen,
    constant_predictions,
    gained_nothing,
    one_class,
    slow_seeds,
    uneven_seconds,
)
from tests.report.factory import make_record, synthetic_curve, write_record


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


def warned(tmp_path: Path, values: dict[tuple[str, int], float], **change: object) -> list[str]:
    for (method, seed), value in values.items():
        write_record(tmp_path, make_record("rte", method, seed, value))
    cells = [Cell("rte", method, seed) for method, seed in values]
    frame = collect(tmp_path, "embedded", cells).frame
    return gained_nothing(below_frozen(frame.assign(**change)))


def test_a_method_below_the_frozen_backbone_is_named_with_both_scores(tmp_path: Path) -> None:
    values = {("full", 0): 0.5, ("full", 1): 0.6, ("frod", 0): 0.7, ("frod", 1): 0.5}
    (line,) = warned(tmp_path, values | {("frozen", 0): 0.56, ("frozen", 1): 0.59})
    words = "Full FT is below the frozen backbone on test on RTE (55.0 against 57.5, 2 seeds): "
    assert line.startswith(words)


def test_scores_are_compared_over_the_seeds_that_both_have(tmp_path: Path) -> None:
    assert not warned(tmp_path, {("full", 0): 0.6, ("frozen", 0): 0.5, ("frozen", 1): 0.9})
    assert not warned(tmp_path, {("full", 0): 0.6, ("full", 1): 0.7})


def test_what_is_equal_in_a_table_is_not_below(tmp_path: Path) -> None:
    """Also where the sum of the same scores, in another order, differs in its last digit."""
    values = {("full", 0): 0.1, ("full", 1): 0.2, ("full", 2): 0.3}
    frozen = {("frozen", 0): 0.3, ("frozen", 1): 0.2, ("frozen", 2): 0.1004}
    assert not warned(tmp_path, values | frozen)


def test_of_a_metric_that_falls_the_lower_is_better(tmp_path: Path) -> None:
    values = {("full", 0): 0.5, ("frod", 0): 0.7, ("frozen", 0): 0.6}
    (line,) = warned(tmp_path, values, higher_is_better=False)
    assert line.startswith("FRoD is below the frozen backbone on test on RTE (70.0 against 60.0, ")


def test_settings_of_a_sweep_are_not_warned_of(tmp_path: Path) -> None:
    values = {("full", 0): 0.5, ("frozen", 0): 0.6}
    assert warned(tmp_path, values)
    variants = ["r 1", ""]
    assert not warned(tmp_path, values, variant=variants)


def test_the_tables_and_the_page_say_so(tmp_path: Path) -> None:
    cells = [Cell("rte", method, seed) for method in ("full", "frozen") for seed in (0, 1)]
    for cell in cells:
        value = {"full": 0.5, "frozen": 0.6}[cell.method]
        made = make_record(cell.task, cell.method, cell.seed, value)
        write_record(tmp_path, made, synthetic_curve())
    write_report(tmp_path, "embedded", cells, "synthetic", parts=("tables", "html"))
    for path in ("tables/main.md", "report.html"):
        text = (tmp_path / "embedded" / path).read_text()
        assert "Full FT is below the frozen backbone on test on RTE (50.0 against 60.0" in text


def seconds_of(tmp_path: Path, step_sec: dict[tuple[str, int], float]) -> list[str]:
    for method, seed in step_sec:
        write_record(tmp_path, make_record("rte", method, seed))
    cells = [Cell("rte", method, seed) for method, seed in step_sec]
    frame = collect(tmp_path, "embedded", cells).frame
    return slow_seeds(uneven_seconds(frame.assign(step_sec=list(step_sec.values()))))


def test_a_seed_whose_steps_took_longer_for_most_methods_is_named(tmp_path: Path) -> None:
    quiet = {("full", 0): 1.0, ("lora", 0): 2.0, ("frod", 0): 3.0}
    busy = {("full", 1): 1.8, ("lora", 1): 3.0, ("frod", 1): 3.0}
    (line,) = seconds_of(tmp_path, quiet | busy)
    assert "quickest seed on RTE (seed 1: 1.5 times). Other work may have run" in line


def test_steps_that_took_about_as_long_are_not_warned_of(tmp_path: Path) -> None:
    quiet = {("full", 0): 1.0, ("lora", 0): 2.0, ("frod", 0): 3.0}
    one_slow = {("full", 1): 2.0, ("lora", 1): 2.0 * UNEVEN, ("frod", 1): 3.0}
    assert not seconds_of(tmp_path, quiet | one_slow)


def test_nothing_is_said_of_the_seconds_of_one_method_or_without_training(tmp_path: Path) -> None:
    assert not seconds_of(tmp_path, {("full", 0): 1.0, ("full", 1): 9.0, ("frozen", 0): 0.0})


def test_seconds_of_another_processor_and_of_runs_that_broke_off_are_not_compared(
    tmp_path: Path,
) -> None:
    seconds = {("full", 0): 1.0, ("lora", 0): 2.0, ("full", 1): 5.0, ("lora", 1): 9.0}
    for method, seed in seconds:
        write_record(tmp_path, make_record("rte", method, seed))
    cells = [Cell("rte", method, seed) for method, seed in seconds]
    frame = collect(tmp_path, "embedded", cells).frame.assign(step_sec=list(seconds.values()))
    assert uneven_seconds(frame)
    assert not uneven_seconds(frame.assign(processor=frame["seed"].map({0: "Intel", 1: "AMD"})))
    assert not uneven_seconds(frame.assign(status=frame["seed"].map({0: "ok", 1: "diverged"})))


def test_a_report_warns_of_uneven_seconds(tmp_path: Path) -> None:
    cells = [Cell("rte", method, seed) for method in ("full", "frod") for seed in (0, 1)]
    for cell in cells:
        made = make_record("rte", cell.method, cell.seed)
        made["time"]["train_sec"] *= 1 + 2 * cell.seed
        write_record(tmp_path, made)
    write_report(tmp_path, "embedded", cells, "synthetic", parts=["tables"])
    table = (tmp_path / "embedded/tables/main.md").read_text(encoding="utf-8")
    assert "quickest seed on RTE (seed 1: 3.0 times)" in table
