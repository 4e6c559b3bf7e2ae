"""Data sets laid out or typed in other ways than the Hub's: samples, plain folders, other types."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Image, List, Value

from frod_bench.cells.fingerprint import data_fingerprint
from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_schema import features_of
from tests.data.conftest import Load, png, sample_row, task_config, write_mirror

ROWS = 20


def rows_of(task: TaskConfig, count: int = ROWS) -> list[dict[str, Any]]:
    features = features_of(task.hub_id, task.hub_config)
    return [sample_row(task, features, i) for i in range(count)]


def splits_of(task: TaskConfig) -> list[str]:
    return list(dict.fromkeys((task.train_split, task.test_split)))


def write_parquet(path: Path, rows: list[dict[str, Any]], features: Features | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=features).to_parquet(path)


def write_card(folder: Path, card: dict[str, Any]) -> None:
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")


def in_folders_of_configs(folder: Path, task: TaskConfig) -> None:
    """Another configuration with the same columns is next to the task's."""
    for split in splits_of(task):
        name = f"{split}-00000-of-00001.parquet"
        write_parquet(folder / task.hub_config / name, rows_of(task))
        write_parquet(folder / "other" / name, rows_of(task, 7))


def in_one_folder(folder: Path, task: TaskConfig) -> None:
    for split in splits_of(task):
        write_parquet(folder / "data" / f"{split}-00000-of-00001.parquet", rows_of(task))
    (folder / "LICENSE").write_text("")
    (folder / "README.md").write_text("No front matter.\n")


def beside_the_card(folder: Path, task: TaskConfig) -> None:
    for split in splits_of(task):
        write_parquet(folder / f"{split}.parquet", rows_of(task))
    write_card(folder, {"license": "other"})


def in_shards(folder: Path, task: TaskConfig) -> None:
    for split in splits_of(task):
        for number in range(2):
            half = rows_of(task)[number * ROWS // 2 : (number + 1) * ROWS // 2]
            write_parquet(folder / task.hub_config / f"{split}-0000{number}-of-00002.parquet", half)
    files = [{"split": split, "path": f"{task.hub_config}/{split}-*"} for split in splits_of(task)]
    write_card(folder, {"configs": [{"config_name": task.hub_config, "data_files": files}]})


def in_a_listed_folder(folder: Path, task: TaskConfig) -> None:
    for split in splits_of(task):
        write_parquet(folder / "here" / f"{split}.parquet", rows_of(task))
        write_parquet(folder / "there" / f"{split}.parquet", rows_of(task, 7))
    places = {"other": "there", task.hub_config: "here"}
    configs = [{"config_name": name, "data_dir": place} for name, place in places.items()]
    write_card(folder, {"configs": configs})


def a_sample_with_the_whole_card(folder: Path, task: TaskConfig) -> None:
    """The card speaks of configurations, splits and rows that are not there."""
    in_shards(folder, task)
    names = [*splits_of(task), "hidden"]
    configs = [
        {
            "config_name": config,
            "data_files": [{"split": name, "path": f"{config}/{name}-*"} for name in names],
        }
        for config in ("ax", task.hub_config)
    ]
    info = {
        "config_name": task.hub_config,
        "features": [
            {"name": "sentence1", "dtype": "string"},
            {"name": "sentence2", "dtype": "string"},
            {"name": "label", "dtype": {"class_label": {"names": {"0": "yes", "1": "no"}}}},
            {"name": "idx", "dtype": "int32"},
        ],
        "splits": [{"name": name, "num_bytes": 1, "num_examples": 2490} for name in names],
    }
    write_card(folder, {"configs": configs, "dataset_info": [info]})


def as_lines(folder: Path, task: TaskConfig) -> None:
    folder.mkdir(parents=True)
    for split in splits_of(task):
        text = "".join(json.dumps(row) + "\n" for row in rows_of(task))
        (folder / f"{split}.jsonl").write_text(text)


def as_a_table(folder: Path, task: TaskConfig) -> None:
    folder.mkdir(parents=True)
    for split in splits_of(task):
        Dataset.from_list(rows_of(task)).to_csv(folder / f"{split}.csv")


LAYOUTS: list[Callable[[Path, TaskConfig], None]] = [
    in_folders_of_configs,
    in_one_folder,
    beside_the_card,
    in_shards,
    in_a_listed_folder,
    a_sample_with_the_whole_card,
    as_lines,
    as_a_table,
]


@pytest.mark.parametrize("write", LAYOUTS, ids=lambda write: write.__name__)
def test_a_data_set_is_read_in_every_layout(
    write: Callable[[Path, TaskConfig], None], load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    folder = tmp_path / task.hub_id
    write(folder, task)
    data = load(task)
    assert data.counts.rows_read == 2 * ROWS
    assert [row.label for row in data.tests["test"]] == [0, 1] * (ROWS // 2)
    before = data_fingerprint(task.hub_id, task.hub_config, None, str(tmp_path))
    others = {"other", "there"}
    read = next(file for file in sorted(folder.rglob("train*")) if not others & {*file.parts})
    read.write_bytes(read.read_bytes() + b"\n")
    assert data_fingerprint(task.hub_id, task.hub_config, None, str(tmp_path)) != before


def test_a_missing_split_is_named(load: Load, tmp_path: Path) -> None:
    task = task_config("mnli")
    write_mirror(tmp_path, task, {"train": rows_of(task), "validation_matched": rows_of(task)})
    with pytest.raises(InputError, match="has no split 'validation_mismatched'"):
        load(task)


def test_extra_columns_and_another_order_are_accepted(load: Load, tmp_path: Path) -> None:
    task = task_config("boolq")
    rows = [
        {"title": "t", **{name: row[name] for name in ("passage", "answer", "question")}, "n": i}
        for i, row in enumerate(rows_of(task))
    ]
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), Features.from_dict({
        "title": {"_type": "Value", "dtype": "string"},
        "passage": {"_type": "Value", "dtype": "large_string"},
        "answer": {"_type": "Value", "dtype": "bool"},
        "question": {"_type": "Value", "dtype": "string"},
        "n": {"_type": "Value", "dtype": "int64"},
    }))  # fmt: skip
    assert [row.label for row in load(task).tests["test"]] == [0, 1] * (ROWS // 2)


LABELS: dict[str, tuple[str, Any, list[Any], list[int]]] = {
    "names": ("rte", Value("string"), ["not_entailment", "entailment "], [1, 0]),
    "digits in text": ("sst2", Value("string"), ["1", "0"], [1, 0]),
    "numbers": ("mnli", Value("int64"), [2, 0, 1], [2, 0, 1]),
    "truth values": ("sst2", Value("bool"), [True, False], [1, 0]),
    "truth values in text": ("boolq", Value("string"), ["True", "False"], [1, 0]),
    "truth values as numbers": ("boolq", Value("uint8"), [1, 0], [1, 0]),
    "numbers from one": ("siqa", Value("int32"), [3, 1, 2], [2, 0, 1]),
    "classes called by number": ("winogrande", ClassLabel(names=["1", "2"]), [1, 0], [1, 0]),
    "classes with one for none": ("winogrande", ClassLabel(names=["", "1", "2"]), [2, 1], [1, 0]),
    "letters as classes": ("arc_easy", ClassLabel(names=list("ABCDE")), [3, 0], [3, 0]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_become_class_numbers(kind: str, load: Load, tmp_path: Path) -> None:
    name, feature, written, expected = LABELS[kind]
    task = task_config(name)
    column = task.label_column
    rows = [{**row, column: written[i % len(written)]} for i, row in enumerate(rows_of(task))]
    if name == "arc_easy":
        for row in rows:
            row["choices"] = {"text": list("wxyz"), "label": list("ABCD")}
    features = Features({**features_of(task.hub_id, task.hub_config), column: feature})
    names = {*splits_of(task), *task.extra_test_splits.values()}
    write_mirror(tmp_path, task, dict.fromkeys(names, rows), features)
    labels = [row.label for row in load(task).tests["test"]]
    assert labels == [expected[i % len(expected)] for i in range(ROWS)]


@pytest.mark.parametrize("value", ["maybe", "7"])
def test_a_label_that_names_no_class_is_refused(value: str, load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    rows = [{**row, "label": value} for row in rows_of(task)]
    features = Features({**features_of(task.hub_id, task.hub_config), "label": Value("string")})
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    with pytest.raises(InputError, match=r"0 to 1, or by name: 'entailment', 'not_entailment'"):
        load(task)


def test_options_may_be_a_list_of_structs(load: Load, tmp_path: Path) -> None:
    task = task_config("openbookqa")
    plain, turned = rows_of(task), []
    for row in plain:
        pairs = zip(row["choices"]["text"], row["choices"]["label"], strict=True)
        choices = [{"text": text, "label": label} for text, label in pairs]
        turned.append({**row, "choices": choices})
    features = features_of(task.hub_id, task.hub_config)
    kind = List({"text": Value("string"), "label": Value("string")})
    batches = []
    for name, rows, types in (
        ("plain", plain, features),
        ("turned", turned, Features({**features, "choices": kind})),
    ):
        write_mirror(tmp_path / name, task, dict.fromkeys(splits_of(task), rows), types)
        data = load(task, data_root=tmp_path / name)
        batches.append(data.collate(list(data.tests["test"])))
    assert all(batches[0][key].equal(batches[1][key]) for key in batches[0])


PICTURES = {
    "an image": (Image(), lambda i, _: {"bytes": png(i), "path": None}),
    "bytes": (Value("binary"), lambda i, _: png(i)),
    "a struct": (
        {"bytes": Value("binary"), "path": Value("string")},
        lambda i, _: {"bytes": png(i), "path": f"{i}.png"},
    ),
    "a path in the data set": (Value("string"), lambda i, _: f"pictures/{i}.png"),
    "a path": (Value("string"), lambda i, folder: str(folder / f"pictures/{i}.png")),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_images_are_read_in_every_form(kind: str, load: Load, tmp_path: Path) -> None:
    task = task_config("svhn")
    feature, store = PICTURES[kind]
    folder = tmp_path / task.hub_id
    (folder / "pictures").mkdir(parents=True)
    for i in range(ROWS):
        (folder / f"pictures/{i}.png").write_bytes(png(i))
    rows = [{"image": store(i, folder), "label": i % 10} for i in range(ROWS)]
    features = Features({"image": feature, "label": Value("int64")})
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    expected = tmp_path / "expected"
    whole = [{"image": {"bytes": png(i), "path": None}, "label": i % 10} for i in range(ROWS)]
    write_mirror(expected, task, dict.fromkeys(splits_of(task), whole))
    ours, theirs = load(task).tests["test"], load(task, data_root=expected).tests["test"]
    assert all(a.inputs.equal(b.inputs) for a, b in zip(ours, theirs, strict=True))


def test_images_may_be_in_folders_of_their_classes(load: Load, tmp_path: Path) -> None:
    task = task_config("svhn")
    for split in splits_of(task):
        for i in range(ROWS):
            folder = tmp_path / task.hub_id / split / str(i % 10)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{i}.png").write_bytes(png(i))
    data = load(task)
    assert len(data.tests["test"]) == ROWS
    assert sorted(row.label for row in data.tests["test"]) == sorted(i % 10 for i in range(ROWS))


def test_a_text_that_names_no_image_is_refused(load: Load, tmp_path: Path) -> None:
    task = task_config("svhn")
    rows = [{"image": f"no-{i}.png", "label": i % 10} for i in range(ROWS)]
    features = Features({"image": Value("string"), "label": Value("int64")})
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    with pytest.raises(InputError, match="an image that cannot be decoded"):
        load(task)


@pytest.mark.parametrize("hub_config", ["ARC-Easy", "ARC-Challenge"])
def test_a_task_reads_another_configuration(hub_config: str, load: Load, tmp_path: Path) -> None:
    easy = task_config("arc_easy")
    write_mirror(tmp_path, easy, dict.fromkeys(splits_of(easy), rows_of(easy)))
    task = task_config("arc_challenge", hub_config=hub_config)
    if hub_config == "ARC-Easy":
        assert len(load(task).tests["test"]) == ROWS
    else:
        with pytest.raises(InputError, match=r"ARC-Challenge.*ARC-Easy"):
            load(task)


def test_a_sample_may_have_fewer_splits(load: Load, tmp_path: Path) -> None:
    task = task_config("mnli", test_split="validation_mismatched", extra_test_splits={})
    rows = rows_of(task)
    write_mirror(tmp_path, task, {"train": rows, "validation_mismatched": rows})
    assert len(load(task).tests["test"]) == ROWS
