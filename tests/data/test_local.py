"""Folders of data: which files are read, by their names, and messages about bad ones."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frod_bench.cells.fingerprint import MissingInputError
from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_layout import files_of
from frod_bench.data.hub_schema import features_of
from tests.data.conftest import Load, sample_row, task_config
from tests.data.test_layouts import rows_of, write_card, write_parquet

OTHER = 7  # rows of a configuration that must not be read


def folder_of(root: Path, task: TaskConfig) -> Path:
    folder = root / task.hub_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_splits(
    folder: Path, task: TaskConfig, pattern: str, rows: list[dict[str, Any]] | None = None
) -> None:
    """The task's splits; `pattern` is a file's path with {split} in it."""
    for split in (task.train_split, task.test_split, *task.extra_test_splits.values()):
        write_parquet(folder / pattern.format(split=split), rows or rows_of(task))


ABSENT = {
    "another folder": ("arc_challenge", ["ARC-Easy/{split}-00000-of-00001.parquet"], "ARC-Easy"),
    "several folders": (
        "winogrande",
        [f"winogrande_{size}/{{split}}.parquet" for size in ("xs", "debiased", "xl")],
        "winogrande_debiased, winogrande_xl, winogrande_xs",
    ),
    "a folder of another within data": ("rte", ["data/mrpc/{split}.parquet"], "mrpc"),
    "a folder beside files": ("rte", ["{split}.parquet", "mrpc/{split}.parquet"], "mrpc"),
    "files of another": ("rte", ["mrpc_{split}.parquet"], "mrpc"),
    "folders of others": ("dtd", ["one/{split}.parquet", "two/{split}.parquet"], "one, two"),
    "splits' folders of another": ("rte", ["mrpc-{split}/0000.parquet"], "mrpc"),
}


@pytest.mark.parametrize("kind", ABSENT)
def test_a_missing_configuration_is_not_replaced_by_another(
    kind: str, load: Load, tmp_path: Path
) -> None:
    name, patterns, has = ABSENT[kind]
    task = task_config(name)
    for pattern in patterns:
        write_splits(folder_of(tmp_path, task), task, pattern)
    message = f"no configuration '{task.hub_config}'. It has: {has}."
    with pytest.raises(InputError) as caught:
        load(task)
    assert message in str(caught.value)
    # The fingerprint, which comes first in a sweep, says the same, for all tasks at once.
    with pytest.raises(MissingInputError) as caught:
        files_of(tmp_path / task.hub_id, task.hub_config)
    assert message in str(caught.value)


PRESENT = {
    "beside another": ["rte/{split}-00000-of-00001.parquet", "*mrpc/{split}.parquet"],
    "within data": ["data/rte/{split}.parquet", "*data/mrpc/{split}.parquet"],
    "by file name": ["rte_{split}.parquet", "*mrpc_{split}.parquet"],
    "by file name in data": ["data/rte-{split}.parquet", "*data/mrpc-{split}.parquet"],
    "called as the repository": ["glue_{split}.parquet"],
    "split folders": ["{split}/0000.parquet"],
    "split folders of a configuration": ["rte/{split}/0000.parquet", "*mrpc/{split}/0000.parquet"],
    "split folders in data": ["data/{split}/part-0.parquet"],
}


@pytest.mark.parametrize("kind", PRESENT)
def test_a_configuration_is_found_by_its_name(kind: str, load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    for pattern in PRESENT[kind]:
        rows = rows_of(task, OTHER) if pattern.startswith("*") else rows_of(task)
        write_splits(folder_of(tmp_path, task), task, pattern.lstrip("*"), rows)
    assert load(task).counts.rows_read == 2 * len(rows_of(task))
    files = files_of(tmp_path / task.hub_id, "rte")
    assert files
    assert not any("mrpc" in str(file.relative_to(tmp_path)) for file in files)


def test_the_only_folder_is_the_default_configuration(load: Load, tmp_path: Path) -> None:
    task = task_config("siqa")
    folder = folder_of(tmp_path, task)
    write_splits(folder, task, "plain_text/{split}.parquet")
    (folder / "dataset_infos.json").write_text("{}")
    assert len(load(task).tests["test"]) == len(rows_of(task))


def test_a_card_without_the_configuration_lists_the_existing_ones(
    load: Load, tmp_path: Path
) -> None:
    task = task_config("siqa")
    folder = folder_of(tmp_path, task)
    write_splits(folder, task, "data/{split}.parquet")
    files = [{"split": split, "path": f"data/{split}.*"} for split in ("train", "validation")]
    write_card(folder, {"configs": [{"config_name": "plain", "data_files": files}]})
    with pytest.raises(InputError, match=r"'default'\. It has: plain\. Set task\.hub_config=plain"):
        load(task)
    assert len(load(task_config("siqa", hub_config="plain")).tests["test"]) == len(rows_of(task))


def test_all_missing_configurations_are_reported_together(tmp_path: Path) -> None:
    task = task_config("mrpc")
    write_splits(folder_of(tmp_path, task), task, "mrpc/{split}.parquet")
    lacks = []
    for config in ("rte", "cola"):
        with pytest.raises(MissingInputError) as caught:
            files_of(tmp_path / task.hub_id, config)
        lacks += caught.value.lacks
    message = str(MissingInputError(lacks))
    assert "has no configuration 'rte'; no configuration 'cola'. It has: mrpc." in message


@pytest.mark.parametrize("pattern", ["x/{split}/**", "x/{split}/**/*", "x/{split}/deep/*.parquet"])
def test_a_card_may_name_everything_below_a_folder(
    pattern: str, load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    folder = folder_of(tmp_path, task)
    write_splits(folder, task, "x/{split}/deep/a.parquet")
    (folder / "x/train/README.md").write_text("no data")
    files = [{"split": s, "path": pattern.format(split=s)} for s in ("train", "validation")]
    write_card(folder, {"configs": [{"config_name": "rte", "data_files": files}]})
    assert len(load(task).tests["test"]) == len(rows_of(task))
    names = [file.parent.parent.name for file in files_of(folder, "rte")]
    assert names == ["train", "validation"]


MNLI = [
    *("mnli/{split}-00000-of-00001.parquet", "mnli/{split}.parquet", "{split}.parquet"),
    *("data/{split}-00000-of-00001-0a1b.parquet", "mnli/{split}/0000.parquet"),
]


@pytest.mark.parametrize("pattern", MNLI)
def test_mnli_needs_no_card(pattern: str, load: Load, tmp_path: Path) -> None:
    task = task_config("mnli")
    folder = folder_of(tmp_path, task)
    write_splits(folder, task, pattern)
    write_parquet(folder / pattern.format(split="validation_mismatched"), rows_of(task)[:OTHER])
    write_parquet(folder / pattern.format(split="test_matched"), rows_of(task))
    tests = load(task).tests
    assert {name: len(split) for name, split in tests.items()} == {"test": 20, "mismatched": OTHER}


def test_a_missing_split_of_mnli_is_named(load: Load, tmp_path: Path) -> None:
    task = task_config("mnli")
    folder = folder_of(tmp_path, task)
    for split in ("train", "validation_matched"):
        write_parquet(folder / f"mnli/{split}.parquet", rows_of(task))
    with pytest.raises(InputError) as caught:
        load(task)
    assert str(caught.value).endswith(
        "no split 'validation_mismatched'. Did you mean 'validation_matched'? "
        "Allowed: train, validation_matched."
    )


def test_splits_may_have_the_names_that_datasets_knows(load: Load, tmp_path: Path) -> None:
    task = task_config("rte")
    for split in ("train", "dev"):
        write_parquet(folder_of(tmp_path, task) / f"rte/{split}.parquet", rows_of(task))
    assert len(load(task).tests["test"]) == len(rows_of(task))


def broken(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(b"garbage")


def cut_off(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def empty(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def with_another_column(path: Path, rows: list[dict[str, Any]]) -> None:
    path.rename(path.with_name("validation-00000-of-00002.parquet"))
    table = pa.Table.from_pylist([{**row, "extra": 1} for row in rows])
    pq.write_table(table, path.with_name("validation-00001-of-00002.parquet"))


def a_broken_shard(path: Path, rows: list[dict[str, Any]]) -> None:
    path.rename(path.with_name("validation-00000-of-00002.parquet"))
    path.with_name("validation-00001-of-00002.parquet").write_bytes(b"PAR1 not really")


def only_a_header(path: Path, rows: list[dict[str, Any]]) -> None:
    for file in path.parent.glob("*.parquet"):
        pq.read_table(file).to_pandas().to_csv(file.with_suffix(".csv"), index=False)
        file.unlink()
    table = path.with_suffix(".csv")
    table.write_text(table.read_text().splitlines()[0] + "\n")


def no_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    broken_lines(path, rows)
    path.with_suffix(".jsonl").write_text("")


def broken_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    for file in path.parent.glob("*.parquet"):
        pq.read_table(file).to_pandas().to_json(
            file.with_suffix(".jsonl"), orient="records", lines=True
        )
        file.unlink()
    path.with_suffix(".jsonl").write_text('{"sentence1": "a"\n{"x')


FAULTS = {
    broken: r"rte/validation\.parquet is broken or of another type \(ArrowInvalid: .*7 bytes",
    cut_off: r"rte/validation\.parquet is broken or of another type \(ArrowInvalid: ",
    empty: r"rte/validation\.parquet has no rows",
    no_lines: r"rte/validation\.jsonl is empty",
    only_a_header: r"split 'validation' has no rows \(rte/validation\.csv\)",
    with_another_column: (
        r"rte/validation-00001-of-00002\.parquet and rte/validation-00000-of-00002\.parquet "
        r"differ in their columns \(extra\)"
    ),
    a_broken_shard: r"rte/validation-00001-of-00002\.parquet is broken .*ArrowInvalid",
    broken_lines: r"rte/validation\.jsonl is broken or of another type \(\w+: ",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("card", [True, False])
def test_a_bad_file_is_named_with_its_problem(
    spoil: Any, card: bool, load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    folder = folder_of(tmp_path, task)
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(10)]
    write_splits(folder, task, "rte/{split}.parquet", rows)
    spoil(folder / "rte/validation.parquet", rows)
    if card:
        files = [{"split": s, "path": f"rte/{s}*"} for s in ("train", "validation")]
        write_card(folder, {"configs": [{"config_name": "rte", "data_files": files}]})
    with pytest.raises(InputError, match=FAULTS[spoil]) as caught:
        load(task)
    assert "hf download" not in str(caught.value)


def test_missing_files_of_a_card_are_reported_with_a_way_to_get_them(
    load: Load, tmp_path: Path
) -> None:
    task = task_config("rte")
    files = [{"split": "train", "path": "rte/train-*"}]
    card = {"configs": [{"config_name": "rte", "data_files": files}]}
    write_card(folder_of(tmp_path, task), card)
    with pytest.raises(InputError, match=r"has no files of configuration 'rte'.*hf download"):
        load(task)
