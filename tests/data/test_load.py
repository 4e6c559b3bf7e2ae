"""`load_data` on mirrors with the Hub's schema: every task, splits, counts, bad input."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from datasets import Features, Value
from torch.utils.data import DataLoader

from frod_bench.common.errors import InputError
from frod_bench.data.hub_schema import features_of
from tests.conftest import MakeCell
from tests.data.conftest import TASKS, Load, sample_row, task_config, write_mirror, write_sample


@pytest.mark.parametrize("name", TASKS)
def test_every_task_loads_from_its_recorded_schema(name: str, load: Load, tmp_path: Path) -> None:
    task = task_config(name)
    write_sample(tmp_path, task)
    data = load(task)
    assert (len(data.train), len(data.validation), len(data.tests["test"])) == (32, 8, 40)
    assert data.num_labels == task.num_labels
    splits = {task.train_split, task.test_split, *task.extra_test_splits.values()}
    assert data.counts.rows_read == 40 * len(splits)
    assert data.counts.rows_unusable == 0
    batch = next(iter(DataLoader(data.train, batch_size=4, collate_fn=data.collate)))  # type: ignore[arg-type]
    assert batch["labels"].shape == (4,)
    assert batch["labels"].dtype == (torch.float32 if name == "stsb" else torch.int64)
    expected = {"pixel_values"} if task.family == "vision" else {"input_ids", "attention_mask"}
    assert set(batch) == expected | {"labels"}


@pytest.mark.parametrize("name", TASKS)
def test_labels_match_their_rows(name: str, load: Load, tmp_path: Path) -> None:
    task = task_config(name)
    write_sample(tmp_path, task)
    test = load(task).tests["test"]
    start = 40 * (1 if task.test_split.startswith("validation") else 2)
    if task.family == "vision":
        start = 40
    for row in test:
        number = start + row.id
        if name == "stsb":
            assert row.label == (number % 11) / 2
        elif task.prompt is not None and task.prompt.option_labels_column is not None:
            options = (5 if number % 2 else 4) if task.num_labels == 5 else 4
            assert row.label == number % options
        else:
            assert row.label == number % task.num_labels


HEADS = [(name, "classify") for name in TASKS]
HEADS += [(name, "rank") for name in TASKS if task_config(name).family == "reasoning"]


@pytest.mark.parametrize(("name", "head"), HEADS)
def test_no_label_leaks_into_the_inputs(name: str, head: str, load: Load, tmp_path: Path) -> None:
    """The same rows with every label turned into another give the same inputs."""
    task = task_config(name)
    features = features_of(task.hub_id, task.hub_config)
    plain = [sample_row(task, features, i) for i in range(20)]
    turned = [
        {**row, task.label_column: sample_row(task, features, i + 1)[task.label_column]}
        for i, row in enumerate(plain)
    ]
    if task.prompt is not None and task.prompt.option_labels_column is not None:
        for row in turned:  # options have names of their own in each row
            row[task.label_column] = row["choices"]["label"][0]
    names = {task.train_split, task.test_split, *task.extra_test_splits.values()}
    batches = []
    for folder, rows in (("plain", plain), ("turned", turned)):
        write_mirror(tmp_path / folder, task, dict.fromkeys(names, rows))
        data = load(task, data_root=tmp_path / folder, head=head)
        batches.append(data.collate(list(data.tests["test"])))
    assert not torch.equal(batches[0]["labels"], batches[1]["labels"])
    for key in batches[0].keys() - {"labels"}:
        assert torch.equal(batches[0][key], batches[1][key])


def test_mnli_is_measured_on_both_validation_sets(load: Load, tmp_path: Path) -> None:
    task = task_config("mnli")
    write_sample(tmp_path, task)
    assert set(load(task).tests) == {"test", "mismatched"}


def test_the_seed_splits_validation_off_train(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    first, again, other = load(task), load(task), load(task, seed=1)
    assert first.train.ids == again.train.ids
    assert first.train.ids != other.train.ids
    assert set(first.train.ids).isdisjoint(first.validation.ids)
    assert set(first.train.ids) | set(first.validation.ids) == set(range(40))
    assert first.tests["test"].ids == other.tests["test"].ids


def test_train_rows_and_test_rows_subsample(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    whole = load(task)
    data = load(task, train_rows=5, test_rows=6)
    assert data.train.ids == whole.train.ids[:5]
    assert data.validation.ids == whole.validation.ids
    assert len(data.tests["test"]) == 6
    # Seeds vary training and not the exam.
    assert load(task, test_rows=6, seed=3).tests["test"].ids == data.tests["test"].ids


def test_a_protocol_without_validation_has_an_empty_split(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    data = load(task, validation_percent=0)
    assert (len(data.train), len(data.validation)) == (40, 0)


def test_rows_are_encoded_once_for_all_seeds(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    rows = {row.id: row for row in load(task, seed=0).train}
    shared = [row for row in load(task, seed=1).train if row.id in rows]
    assert shared
    assert all(row is rows[row.id] for row in shared)


def test_a_slice_of_a_split_is_a_split(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    test = load(task).tests["test"]
    assert test[3:5].ids == test.ids[3:5]
    assert [row.id for row in test[3:5]] == [3, 4]


def test_few_unusable_rows_are_counted_and_left_out(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(200)]
    rows[7] = {**rows[7], "label": -1}
    rows[9] = {**rows[9], "sentence1": "  "}
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    data = load(task)
    assert data.counts.rows_read == 400
    assert data.counts.rows_unusable == 4
    assert {7, 9}.isdisjoint(data.tests["test"].ids)
    assert len(data.tests["test"]) == 198


def test_an_answer_outside_its_options_is_unusable(load: Load, tmp_path: Path) -> None:
    task = task_config("arc_easy")
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(200)]
    rows[3] = {**rows[3], "answerKey": "1"}  # row 3 lists A to E
    write_mirror(tmp_path, task, dict.fromkeys(("train", "test"), rows))
    assert load(task).counts.rows_unusable == 2


def test_hidden_labels_are_refused_with_their_value(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(20)]
    hidden = [{**row, "label": -1} for row in rows]
    write_mirror(tmp_path, task, {"train": rows, "validation": hidden})
    with pytest.raises(InputError, match=r"20 of 20 rows .* 20 with label -1 \(allowed: 0 to 1, "):
        load(task)


def test_string_labels_are_refused_by_name(load: Load, tmp_path: Path) -> None:
    task = task_config("siqa")
    features = features_of(task.hub_id, task.hub_config)
    rows = [{**sample_row(task, features, i), "label": "D"} for i in range(20)]
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    with pytest.raises(InputError, match=r"label 'D' \(allowed: '1', '2', '3'\)"):
        load(task)


def test_a_label_outside_the_head_is_refused(load: Load, tmp_path: Path) -> None:
    task = task_config("piqa")
    features = Features({**features_of(task.hub_id, task.hub_config), "label": Value("int64")})
    rows = [{**sample_row(task, features, i), "label": 2} for i in range(20)]
    write_mirror(tmp_path, task, {"train": rows, "validation": rows}, features)
    with pytest.raises(InputError, match="class 2, outside the head of 2 classes"):
        load(task)


def test_more_class_names_than_the_head_are_refused(load: Load, tmp_path: Path) -> None:
    task = task_config("eurosat", num_labels=7)
    write_sample(tmp_path, task)
    with pytest.raises(InputError, match=r"task\.num_labels: eurosat has 7, .* 10 classes"):
        load(task)


def test_text_labels_without_a_list_are_refused(load: Load, tmp_path: Path) -> None:
    write_sample(tmp_path, task_config("siqa"))
    with pytest.raises(InputError, match="label_values"):
        load(replace(task_config("siqa"), label_values=None))


def test_a_missing_data_set_is_reported_with_a_way_to_get_it(load: Load, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(task_config("boolq"))
    message = str(caught.value)
    assert "google/boolq" in message
    assert str(tmp_path / "google/boolq") in message
    assert "hf download --repo-type dataset google/boolq" in message
    assert "profile=embedded" in message


def test_a_missing_config_split_or_column_is_named(load: Load, tmp_path: Path) -> None:
    write_sample(tmp_path, task_config("rte"))
    with pytest.raises(InputError, match=r"no configuration 'cola'\. It has: rte\."):
        load(task_config("cola"))
    with pytest.raises(InputError, match=r"no split 'validaton'\. Did you mean 'validation'"):
        load(task_config("rte", test_split="validaton"))
    with pytest.raises(InputError, match=r"task\.input_columns: .*Did you mean 'sentence1'"):
        load(task_config("rte", input_columns=["sentense1"]))
    with pytest.raises(InputError, match=r"task\.label_column: .*Allowed: idx, label"):
        load(task_config("rte", label_column="labl"))


def test_a_broken_file_is_bad_input(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task)
    (tmp_path / "nyu-mll/glue/rte/train-00000-of-00001.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="cannot read nyu-mll/glue"):
        load(task)


def test_mirrors_do_not_share_rows(load: Load, tmp_path: Path) -> None:
    """`datasets` names its cache after the folder's last part; ours must tell mirrors apart."""
    task = task_config("rte")
    write_sample(tmp_path / "one", task, rows=40)
    write_sample(tmp_path / "two", task, rows=20)
    assert len(load(task, data_root=tmp_path / "one").tests["test"]) == 40
    assert len(load(task, data_root=tmp_path / "two").tests["test"]) == 20


def test_the_label_may_not_be_an_input(load: Load, tmp_path: Path) -> None:
    write_sample(tmp_path, task_config("rte"))
    with pytest.raises(InputError, match="would show the label"):
        load(task_config("rte", input_columns=["sentence1", "label"]))


def test_an_unknown_family_suggests_the_nearest(make_cell: MakeCell) -> None:
    with pytest.raises(InputError, match=r"task\.family=nlo.* Did you mean 'nlu'"):
        make_cell("task=rte", "task.family=nlo")


def test_a_train_split_too_small_for_validation_is_refused(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write_sample(tmp_path, task, rows=1)
    with pytest.raises(InputError, match="validation_percent"):
        load(task)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("rte", {"input_columns": ["idx"]}, r"task\.input_columns: .*kind text"),
        (
            "boolq",
            {"prompt": {"template": "{passage}\nanswer:"}, "label_column": "question"},
            "contains text",
        ),
        ("arc_easy", {"prompt": {"options_column": "question"}}, r"options_column: .*kind list"),
        ("openbookqa", {"label_column": "choices"}, r"contains .*Name a column of numbers"),
        ("sst2", {"label_column": "sentence", "input_columns": ["sentence"]}, "show the label"),
        ("stsb", {"label_column": "sentence1", "input_columns": ["sentence2"]}, "contains text"),
        ("winogrande", {"num_labels": 1}, "a regression"),
    ],
)
def test_a_column_of_the_wrong_kind_is_refused(
    name: str, changes: dict, message: str, load: Load, tmp_path: Path
) -> None:
    task = task_config(name)
    write_sample(tmp_path, task)
    with pytest.raises(InputError, match=message):
        load(task_config(name, **changes))


def test_class_numbers_may_be_floats_but_whole(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    features = Features({**features_of(task.hub_id, task.hub_config), "label": Value("float64")})
    rows = [{**sample_row(task, features, i), "label": float(i % 2)} for i in range(200)]
    rows[4]["label"], rows[5]["label"] = 0.5, float("nan")
    write_mirror(tmp_path, task, {"train": rows, "validation": rows}, features)
    data = load(task)
    assert data.counts.rows_unusable == 4
    assert {row.label for row in data.train} == {0, 1}


def test_counts_do_not_depend_on_what_else_was_loaded(load: Load, tmp_path: Path) -> None:
    """A cell's record is the same in a warm process and in a fresh one."""
    task = task_config("sst2")
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(40)]
    rows = [{**row, "sentence": "a" * (200 if i < 20 else 5)} for i, row in enumerate(rows)]
    write_mirror(tmp_path, task, {"train": rows, "validation": rows})
    fresh = load(task, train_rows=5, test_rows=5, seed=1)
    load(task)
    assert load(task, train_rows=5, test_rows=5, seed=1).counts == fresh.counts
