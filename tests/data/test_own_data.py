"""Data of one's own under a shipped task: names and types that the Hub's sets do not use."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Features, Value

from frod_bench.cells.fingerprint import data_fingerprint
from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import features_of
from tests.data.conftest import Load, task_config, write_mirror
from tests.data.test_layouts import ROWS, rows_of, splits_of, write_card, write_parquet


@pytest.mark.parametrize(("train", "test"), [("fit", "holdout"), ("my_train", "held_out")])
@pytest.mark.parametrize("place", ["{}.parquet", "data/{}-00000-of-00001.parquet", "{}/a.parquet"])
def test_files_with_the_names_of_the_tasks_splits_are_read(
    train: str, test: str, place: str, load: Load, tmp_path: Path
) -> None:
    task = task_config("rte", hub_config="default", train_split=train, test_split=test)
    for split in (train, test):
        write_parquet(tmp_path / task.hub_id / place.format(split), rows_of(task_config("rte")))
    assert load(task).counts.rows_read == 2 * ROWS
    asked = (task.hub_id, "default", None, str(tmp_path), (train, test))
    assert len(data_fingerprint(*asked)) == 64


def test_a_split_with_a_longer_name_is_a_different_split(load: Load, tmp_path: Path) -> None:
    task = task_config("rte", hub_config="default", test_split="validation")
    rows = rows_of(task_config("rte"))
    for name, count in (("train", ROWS), ("validation_matched", 5)):
        write_parquet(tmp_path / task.hub_id / f"{name}.parquet", rows[:count])
    with pytest.raises(InputError, match="has no split 'validation'"):
        load(task)
    write_parquet(tmp_path / task.hub_id / "validation.parquet", rows)
    assert load(task).counts.rows_read == 2 * ROWS


def test_options_may_be_named_by_numbers(load: Load, tmp_path: Path) -> None:
    task = task_config("arc_easy")
    rows = [
        {
            **row,
            "choices": {"text": ["w", "x", "y"], "label": [1, 2, 3]},
            "answerKey": str(i % 3 + 1),
        }
        for i, row in enumerate(rows_of(task))
    ]
    folder = tmp_path / task.hub_id
    for split in splits_of(task):
        write_parquet(folder / task.hub_config / f"{split}.parquet", rows)
    assert [row.label for row in load(task).tests["test"]] == [i % 3 for i in range(ROWS)]


def test_options_may_be_numbers(load: Load, tmp_path: Path) -> None:
    task = task_config("siqa")
    columns = ("answerA", "answerB", "answerC")
    rows = [{**row, **dict.fromkeys(columns, i)} for i, row in enumerate(rows_of(task))]
    kinds = {**features_of(task.hub_id, task.hub_config), **dict.fromkeys(columns, Value("int64"))}
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), Features(kinds))
    assert load(task).counts.rows_unusable == 0


def test_class_numbers_may_be_floats_in_text(load: Load, tmp_path: Path) -> None:
    task = task_config("sst2")
    rows = [{**row, "label": f"{i % 2}.0"} for i, row in enumerate(rows_of(task))]
    kinds = {**features_of(task.hub_id, task.hub_config), "label": Value("string")}
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), Features(kinds))
    assert [row.label for row in load(task).tests["test"]] == [0, 1] * (ROWS // 2)


def test_scores_in_text_are_refused(load: Load, tmp_path: Path) -> None:
    task = task_config("stsb")
    rows = [{**row, "label": "3.5"} for row in rows_of(task)]
    kinds = {**features_of(task.hub_id, task.hub_config), "label": Value("string")}
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), Features(kinds))
    with pytest.raises(InputError, match=r"regression \(num_labels 1\) needs a column of numbers"):
        load(task)


@pytest.mark.parametrize(
    ("field", "value"), [("input_columns", ["m.text"]), ("label_column", "m.y")]
)
def test_a_column_inside_a_struct_is_refused(
    field: str, value: Any, load: Load, tmp_path: Path
) -> None:
    task = task_config("sst2", hub_config="default", **{field: value})
    rows = [
        {"sentence": f"s {i}", "label": i % 2, "m": {"text": f"t {i}", "y": i % 2}}
        for i in range(ROWS)
    ]
    for split in splits_of(task):
        write_parquet(tmp_path / task.hub_id / f"{split}.parquet", rows)
    with pytest.raises(InputError, match="Columns inside a struct are not read"):
        load(task)


def test_a_column_whose_name_has_a_dot_is_read(load: Load, tmp_path: Path) -> None:
    task = task_config("sst2", hub_config="default", input_columns=["text.en"])
    rows = [{"text.en": f"s {i}", "label": i % 2} for i in range(ROWS)]
    for split in splits_of(task):
        write_parquet(tmp_path / task.hub_id / f"{split}.parquet", rows)
    write_card(tmp_path / task.hub_id, {"license": "other"})
    assert load(task).counts.rows_read == 2 * ROWS
