"""Classes by name: other orders, other configurations, other spellings."""

from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Features, Value

from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_schema import features_of
from tests.data.conftest import Load, png, task_config, write_mirror
from tests.data.test_layouts import rows_of, splits_of, write_card, write_parquet

SWAPPED = ["not_entailment", "entailment"]
RECORDED = SWAPPED[::-1]


def typed(task: TaskConfig, kind: Any) -> Features:
    schema = features_of(task.hub_id, "default" if task.name == "piqa" else task.hub_config)
    return Features({**schema, task.label_column: kind})


def write(root: Path, task: TaskConfig, names: dict[str, list[str]], card: bool = True) -> None:
    """Splits whose labels are 0, 1, 0, ... and whose classes have these names."""
    folder = root / task.hub_id
    for split, classes in names.items():
        path = folder / task.hub_config / f"{split}.parquet"
        write_parquet(path, rows_of(task), typed(task, ClassLabel(names=classes)))
    if card:
        files = [{"split": split, "path": f"{task.hub_config}/{split}.*"} for split in names]
        write_card(folder, {"configs": [{"config_name": task.hub_config, "data_files": files}]})


@pytest.mark.parametrize("card", [True, False])
@pytest.mark.parametrize(
    ("train", "validation"), [(SWAPPED, SWAPPED), (SWAPPED, RECORDED), (RECORDED, SWAPPED)]
)
def test_classes_in_another_order_are_read_by_name(
    train: list[str], validation: list[str], card: bool, load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    write(tmp_path, task, {"train": train, "validation": validation}, card)
    data = load(task)
    for rows, names in ((data.train, train), (data.tests["test"], validation)):
        assert {(row.id % 2, row.label) for row in rows} == {
            (number, RECORDED.index(name)) for number, name in enumerate(names)
        }


def test_truth_values_as_classes_are_read_by_name(load: Load, tmp_path: Path) -> None:
    task = task_config("boolq")
    rows = [{**row, "answer": i % 2} for i, row in enumerate(rows_of(task))]
    features = typed(task, ClassLabel(names=["True", "False"]))
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    assert [row.label for row in load(task).tests["test"]] == [1, 0] * (len(rows) // 2)


def test_a_sample_of_the_classes_keeps_their_numbers(load: Load, tmp_path: Path) -> None:
    """A card's or a folder's own numbering of the few classes that are there."""
    task = task_config("svhn")
    rows = [{"image": {"bytes": png(i), "path": None}, "label": i % 2} for i in range(20)]
    features = typed(task, ClassLabel(names=["3", "7"]))
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    assert [row.label for row in load(task).tests["test"]] == [3, 7] * 10


def test_unrecorded_names_keep_their_numbers(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    write(tmp_path, task, {split: ["no", "yes"] for split in splits_of(task)})
    assert [row.label for row in load(task).tests["test"]][:2] == [0, 1]


@pytest.mark.parametrize("card", [True, False])
def test_splits_that_name_classes_in_other_orders_are_refused(
    card: bool, load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    write(tmp_path, task, {"train": ["no", "yes"], "validation": ["yes", "no"]}, card)
    with pytest.raises(InputError, match=r"'yes' is class 1 of split 'train' and class 0 of"):
        load(task)


@pytest.mark.parametrize("name", ["train-1", "dev"])
def test_files_read_as_one_may_not_name_classes_in_other_orders(
    name: str, load: Load, tmp_path: Path
) -> None:
    """Shards of a split; and splits that only `datasets` can tell, which gives them one type."""
    task = task_config("rte")
    names = {"train-0": SWAPPED, name: RECORDED}
    if name == "train-1":
        names["validation"] = RECORDED
    write(tmp_path, task, names, card=False)
    with pytest.raises(
        InputError, match=r"^task\.label_column: .*a number may mean either"
    ) as caught:
        load(task)
    for file, classes in (("train-0", SWAPPED), (name, RECORDED)):
        assert f"{classes} in rte/{file}.parquet" in str(caught.value)


SPELLED: dict[str, tuple[str, dict[str, Any], Any, list[Any], list[int]]] = {
    "digits of an unrecorded configuration": (
        *("piqa", {"hub_config": "plain_text"}, Value("string"), ["1", "0"], [1, 0]),
    ),
    "small letters": ("boolq", {}, Value("string"), ["true", "false"], [1, 0]),
    "capitals": ("boolq", {}, Value("string"), ["TRUE", "FALSE"], [1, 0]),
    "small letters of options": ("openbookqa", {}, Value("string"), ["b", "d"], [1, 3]),
    "whole floats": ("hellaswag", {}, Value("float64"), [3.0, 0.0, 1.0], [3, 0, 1]),
    "whole floats from one": ("winogrande", {}, Value("float32"), [2.0, 1.0], [1, 0]),
}


@pytest.mark.parametrize("kind", SPELLED)
def test_labels_may_be_spelled_differently(kind: str, load: Load, tmp_path: Path) -> None:
    name, changes, feature, written, expected = SPELLED[kind]
    task = task_config(name, **changes)
    plain = rows_of(task_config(name))
    rows = [{**row, task.label_column: written[i % len(written)]} for i, row in enumerate(plain)]
    if name == "openbookqa":
        for row in rows:
            row["choices"] = {"text": list("wxyz"), "label": list("ABCD")}
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), typed(task, feature))
    labels = [row.label for row in load(task).tests["test"]]
    assert labels == [expected[i % len(expected)] for i in range(len(rows))]


def test_a_float_between_classes_is_not_a_label(load: Load, tmp_path: Path) -> None:
    task = task_config("hellaswag")
    rows = [{**row, "label": 1.5} for row in rows_of(task)]
    features = typed(task, Value("float64"))
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    with pytest.raises(InputError, match=r"20 with label 1\.5"):
        load(task)


def test_configurations_that_disagree_give_no_names(load: Load, tmp_path: Path) -> None:
    """GLUE's name theirs differently, so that text in a further one may mean anything."""
    task = task_config("rte", hub_config="wnli")
    rows = [{**row, "label": "entailment"} for row in rows_of(task_config("rte"))]
    features = Features({**features_of(task.hub_id, "rte"), "label": Value("string")})
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    with pytest.raises(InputError, match=r"contains text\. List its values in task\.label_values"):
        load(task)


def test_names_that_differ_in_case_alone_are_distinguished(load: Load, tmp_path: Path) -> None:
    task = task_config("rte", label_values=["a", "A"])
    rows = [{**row, "label": "aA"[i % 2]} for i, row in enumerate(rows_of(task_config("rte")))]
    features = typed(task_config("rte"), Value("string"))
    write_mirror(tmp_path, task, dict.fromkeys(splits_of(task), rows), features)
    assert [row.label for row in load(task).tests["test"]][:2] == [0, 1]
