"""A task's configuration and a backbone -> train, validation and test rows, ready to batch."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import datasets
import numpy as np
import torch
from datasets import Dataset

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import BackboneConfig, TaskConfig
from frod_bench.data.images import image_encoder
from frod_bench.data.labels import check_orders, read_labels
from frod_bench.data.local import splits_of
from frod_bench.data.prompts import prompt_of
from frod_bench.data.ranking import OptionEncoder, rank_prompt_of
from frod_bench.data.rows import Collator, Encoder, PreparedSplit, Row, Split
from frod_bench.data.source import check_column, read_data_set, take_split
from frod_bench.data.text import PromptEncoder, SentenceEncoder, tokens_of

FAMILIES = ("vision", "reasoning", "nlu")
TEST_SEED = 0  # a subsample of test is the same for every seed: seeds vary training, not the exam
_KEPT_TASKS = 4  # prepared tasks that a process keeps


@dataclass(frozen=True)
class Counts:
    """What happened to the rows. Read and unusable: of the splits; cut: of the chosen rows."""

    rows_read: int
    rows_unusable: int
    sequences_cut: int


@dataclass(frozen=True)
class TaskData:
    """One task, for one backbone and one seed."""

    train: Split
    validation: Split  # carved from train; empty where the protocol carves none
    tests: dict[str, Split]  # "test", and the task's extra test splits by their suffix
    collate: Callable[[Sequence[Row]], dict[str, torch.Tensor]]
    num_labels: int
    counts: Counts
    prompt_digest: str | None  # SHA-256 of the prompt; None for tasks without


def load_task(
    task: TaskConfig,
    backbone: BackboneConfig,
    backbone_path: str | Path,
    *,
    data_root: str | Path | None,
    validation_percent: float,
    train_rows: int | None,
    test_rows: int | None,
    seed: int,
    head: str = "classify",
) -> TaskData:
    """Read a task, encode it for a backbone, and carve validation out of train.

    The seed permutes the usable rows of train: the first `validation_percent` of them are the
    validation split, the next `train_rows` (None: all) are train. Encoding is done once a process
    for a (data root, task, backbone), and only for rows that are chosen.

    Args:
        backbone_path: folder of the checkpoint, or its Hub id.
        data_root: folder of a local mirror; None reads the Hub.
        head: `classify`, or `rank` for a question with each of its options behind it.

    Raises:
        InputError: the data set, a split, a column or the backbone's tokenizer or image processor
            is not there or does not fit; more than 1 % of a split's rows cannot be used; too few
            rows are left.
    """
    location = None if data_root is None else str(Path(data_root).resolve())
    prepared = _prepare(_Key.of(task, backbone, str(backbone_path), location, head))
    source = prepared.splits[task.train_split]
    train, validation = _carve(task, source, validation_percent, seed)
    tests = {
        name: prepared.splits[split]
        for name, split in {"test": task.test_split, **task.extra_test_splits}.items()
    }
    asked = [(source, train[:train_rows] + validation)]
    asked += [(split, _subsample(split, test_rows)) for split in tests.values()]
    for split, ids in asked:
        split.examine(ids)
    return TaskData(
        train=source.choose(train[:train_rows]),
        validation=source.choose(validation),
        tests={
            name: split.choose(ids) for name, (split, ids) in zip(tests, asked[1:], strict=True)
        },
        collate=Collator(prepared.encoder, regression=task.num_labels == 1),
        num_labels=task.num_labels,
        counts=Counts(
            rows_read=sum(split.rows_read for split in prepared.splits.values()),
            rows_unusable=sum(
                split.rows_read - len(split.usable) for split in prepared.splits.values()
            )
            + sum(split.broken(ids) for split, ids in asked),
            sequences_cut=sum(split.cut(ids) for split, ids in asked),
        ),
        prompt_digest=_digest(task, head),
    )


@dataclass(frozen=True)
class _Key:
    """Names what is prepared; equal where the data, the task and the backbone are."""

    text: str
    task: TaskConfig = field(compare=False)
    backbone: BackboneConfig = field(compare=False)
    backbone_path: str = field(compare=False)
    data_root: str | None = field(compare=False)
    head: str = field(compare=False)

    @classmethod
    def of(
        cls,
        task: TaskConfig,
        backbone: BackboneConfig,
        backbone_path: str,
        data_root: str | None,
        head: str,
    ) -> "_Key":
        parts = [data_root, asdict(task), asdict(backbone), backbone_path, head]
        return cls(json.dumps(parts), task, backbone, backbone_path, data_root, head)


@dataclass(frozen=True)
class _Prepared:
    encoder: Encoder
    splits: dict[str, PreparedSplit]


@lru_cache(maxsize=_KEPT_TASKS)
def _prepare(key: _Key) -> _Prepared:
    task = key.task
    data = read_data_set(task, key.data_root)
    encoder = _encoder(key)
    tables = {name: _checked(take_split(data, task, name), task) for name in splits_of(task)}
    check_orders(task, {name: table.features for name, table in tables.items()})
    splits = {
        name: PreparedSplit(task, name, table, read_labels(task, table), encoder)
        for name, table in tables.items()
    }
    return _Prepared(encoder, splits)


def _digest(task: TaskConfig, head: str) -> str | None:
    if head == "rank":
        return rank_prompt_of(task).digest
    return None if task.prompt is None else prompt_of(task).digest


def _encoder(key: _Key) -> Encoder:
    task, backbone, backbone_path = key.task, key.backbone, key.backbone_path
    if task.family not in FAMILIES:
        hint = did_you_mean(task.family, FAMILIES)
        raise InputError(f"task.family: unknown {task.family!r} of task {task.name}.{hint}")
    if key.head == "rank":
        prompt = rank_prompt_of(task)
        return OptionEncoder(prompt, tokens_of(backbone, backbone_path), task.num_labels)
    if task.family == "reasoning":
        return PromptEncoder(prompt_of(task), tokens_of(backbone, backbone_path))
    if task.label_column in task.input_columns:
        raise InputError(f"task.input_columns: they would show the label, {task.label_column!r}.")
    most = 1 if task.family == "vision" else 2
    if not 1 <= len(task.input_columns) <= most:
        raise InputError(
            f"task.input_columns: {list(task.input_columns)} of task {task.name}. A task of "
            f"family {task.family} has {'one' if most == 1 else 'one or two'}."
        )
    if task.family == "vision":
        folder = None if key.data_root is None else Path(key.data_root) / task.hub_id
        return image_encoder(task.input_columns[0], backbone, backbone_path, folder)
    return SentenceEncoder(task.input_columns, tokens_of(backbone, backbone_path))


def _checked(dataset: Dataset, task: TaskConfig) -> Dataset:
    """The split with all its columns there, and pictures left as they are stored."""
    check_column(dataset, task, "task.label_column", task.label_column)
    kind = "image" if task.family == "vision" else "text"
    for column in task.input_columns:
        check_column(dataset, task, "task.input_columns", column, kind)
    if task.prompt is not None:
        prompt = prompt_of(task)
        for column in prompt.columns:
            check_column(dataset, task, "task.prompt.template", column, "text")
        for column in task.prompt.option_columns:
            check_column(dataset, task, "task.prompt.option_columns", column, "option")
        for field_name in ("options_column", "option_labels_column"):
            column = getattr(task.prompt, field_name)
            if column is not None:
                check_column(dataset, task, f"task.prompt.{field_name}", column, "list")
    if task.family != "vision":
        return dataset
    return dataset.cast_column(task.input_columns[0], datasets.Image(decode=False))


def _carve(
    task: TaskConfig, train: PreparedSplit, validation_percent: float, seed: int
) -> tuple[list[int], list[int]]:
    """Row numbers of train and of validation, in the seed's order."""
    order = np.random.default_rng(seed).permutation(train.usable).tolist()
    if validation_percent == 0:
        return order, []
    size = max(1, round(len(order) * validation_percent / 100))
    if size >= len(order):
        raise InputError(
            f"protocol.validation_percent: {validation_percent} of {len(order)} usable rows of "
            f"task {task.name} leaves none to train on. Give more rows or a smaller percent."
        )
    return order[size:], order[:size]


def _subsample(split: PreparedSplit, rows: int | None) -> list[int]:
    """Row numbers of a test split, ascending; the same for every seed."""
    if rows is None or rows >= len(split.usable):
        return split.usable.tolist()
    drawn = np.random.default_rng(TEST_SEED).choice(split.usable, size=rows, replace=False)
    return sorted(drawn.tolist())
