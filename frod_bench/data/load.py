"""A cell's task and backbone -> train, validation and test rows, ready to be batched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import datasets
import numpy as np
import torch
from datasets import Dataset

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig, Settings, TaskConfig
from frod_bench.data.hub_layout import splits_read
from frod_bench.data.images import image_encoder
from frod_bench.data.labels import check_orders, read_labels
from frod_bench.data.prompts import prompt_of, rank_prompt_of
from frod_bench.data.ranking import OptionEncoder
from frod_bench.data.rows import Encoder, PreparedSplit, Row, Split
from frod_bench.data.source import check_column, read_data_set, take_split
from frod_bench.data.task import check_inputs
from frod_bench.data.text import PromptEncoder, SentenceEncoder, tokens_of

TEST_SEED = 0  # every seed is tested on the same subsample: seeds vary the training alone
_KEPT_TASKS = 4  # prepared tasks that a process keeps in memory


@dataclass(frozen=True)
class Counts:
    """Numbers of rows: read and unusable ones of the splits, cut ones of the selected rows."""

    rows_read: int
    rows_unusable: int
    sequences_cut: int


@dataclass(frozen=True)
class TaskData:
    """One task, for one backbone and one seed."""

    train: Split
    validation: Split  # part of the train split; empty if the protocol uses none
    tests: dict[str, Split]  # "test", and the task's extra test splits by their suffix
    collate: Callable[[Sequence[Row]], dict[str, torch.Tensor]]
    num_labels: int
    counts: Counts
    prompt_digest: str | None  # SHA-256 of the prompt, if the task has one


def load_data(settings: Settings) -> TaskData:
    """Read a cell's task, encode it for the backbone, and split validation rows off the train rows.

    The seed permutes the usable rows of train: the first `validation_percent` of them are the
    validation split, the next `train_rows` (None: all) are trained on. Only selected rows are
    encoded, once per process and (data root, task, backbone, head). Images that do not fit into
    `rows.MAX_KEPT_BYTES` are encoded again whenever they are read.

    Raises InputError if the data set, a split, a column or the backbone's tokenizer or image
    processor is missing or does not fit; if more than 1 % of a split's rows cannot be used; or if
    too few rows are left.
    """
    task, trainer, root = settings.task, settings.trainer, settings.data_root
    location = None if root is None else str(Path(root).resolve())
    encoder, splits = _prepare(
        _Source(task, settings.backbone, settings.backbone_path, location, settings.head)
    )
    source = splits[task.train_split]
    train, validation = _split_off(settings, source)
    train = train[: trainer.train_rows]
    names = {"test": task.test_split, **task.extra_test_splits}
    rows = {split: _subsample(splits[split], trainer.test_rows) for split in names.values()}
    parts = [(source, train + validation), *((splits[name], rows[name]) for name in names.values())]
    for split, ids in parts:
        split.examine(ids)
    unusable = sum(split.rows_read - len(split.usable) for split in splits.values())
    unusable += sum(len(split.broken.intersection(ids)) for split, ids in parts)
    prompt = None
    if task.prompt is not None:
        prompt = rank_prompt_of(task) if settings.head == "rank" else prompt_of(task)
    return TaskData(
        train=source.select(train),
        validation=source.select(validation),
        tests={name: splits[split].select(rows[split]) for name, split in names.items()},
        collate=partial(encoder.collate, label_type=label_type_of(task.num_labels)),
        num_labels=task.num_labels,
        counts=Counts(
            rows_read=sum(split.rows_read for split in splits.values()),
            rows_unusable=unusable,
            sequences_cut=sum(len(split.cut.intersection(ids)) for split, ids in parts),
        ),
        prompt_digest=None if prompt is None else prompt.digest,
    )


def label_type_of(num_labels: int) -> torch.dtype:
    """The type of a batch's labels: classes, or with one label real values."""
    return torch.float32 if num_labels == 1 else torch.int64


@dataclass(frozen=True)
class _Source:
    """Everything that determines the encoded rows; the key of the cache."""

    task: TaskConfig
    backbone: BackboneConfig
    backbone_path: str
    data_root: str | None
    head: str

    def __hash__(self) -> int:  # configurations compare by value, but have no hash
        return hash((self.task.name, self.backbone.name, self.data_root, self.head))


@lru_cache(maxsize=_KEPT_TASKS)
def _prepare(source: _Source) -> tuple[Encoder, dict[str, PreparedSplit]]:
    task = source.task
    data = read_data_set(task, source.data_root)
    encoder = _encoder(source)
    tables = {name: _checked(take_split(data, task, name), task) for name in splits_read(task)}
    check_orders(task, {name: table.features for name, table in tables.items()})
    splits = {
        name: PreparedSplit(task, name, table, read_labels(task, table), encoder)
        for name, table in tables.items()
    }
    return encoder, splits


def _encoder(source: _Source) -> Encoder:
    task, backbone, backbone_path = source.task, source.backbone, source.backbone_path
    check_inputs(task, backbone, source.head)
    if source.head == "rank":
        prompt = rank_prompt_of(task)
        return OptionEncoder(prompt, tokens_of(backbone, backbone_path), task.num_labels)
    if task.family == "reasoning":
        return PromptEncoder(prompt_of(task), tokens_of(backbone, backbone_path))
    if task.family == "vision":
        folder = None if source.data_root is None else Path(source.data_root) / task.hub_id
        return image_encoder(task.input_columns[0], backbone, backbone_path, folder)
    return SentenceEncoder(task.input_columns, tokens_of(backbone, backbone_path))


def _checked(dataset: Dataset, task: TaskConfig) -> Dataset:
    """Check the columns of a split, and leave its images as they are stored."""
    content = "image" if task.family == "vision" else "text"
    needed: list[tuple[str, str | None, str | None]] = [("label_column", task.label_column, None)]
    needed += [("input_columns", column, content) for column in task.input_columns]
    if (prompt := task.prompt) is not None:
        needed += [("prompt.template", column, "text") for column in prompt_of(task).columns]
        needed += [("prompt.option_columns", column, "option") for column in prompt.option_columns]
        needed.append(("prompt.options_column", prompt.options_column, "list"))
        needed.append(("prompt.option_labels_column", prompt.option_labels_column, "list"))
    for field, column, kind in needed:
        if column is not None:
            check_column(dataset, task, f"task.{field}", column, kind)
    if task.family != "vision":
        return dataset
    return dataset.cast_column(task.input_columns[0], datasets.Image(decode=False))


def _split_off(settings: Settings, train: PreparedSplit) -> tuple[list[int], list[int]]:
    """Return the row numbers of train and of validation, in the order of the seed."""
    percent = settings.protocol.validation_percent
    order = np.random.default_rng(settings.seed).permutation(train.usable).tolist()
    if percent == 0:
        return order, []
    size = max(1, round(len(order) * percent / 100))
    if size >= len(order):
        raise InputError(
            f"protocol.validation_percent={percent}: leaves none of the {len(order)} usable rows "
            f"of task {settings.task.name} to train on. Use more rows or a smaller percentage."
        )
    return order[size:], order[:size]


def _subsample(split: PreparedSplit, rows: int | None) -> list[int]:
    """Return row numbers of a test split, ascending; the same ones for every seed."""
    if rows is None or rows >= len(split.usable):
        return split.usable.tolist()
    drawn = np.random.default_rng(TEST_SEED).choice(split.usable, size=rows, replace=False)
    return sorted(drawn.tolist())
