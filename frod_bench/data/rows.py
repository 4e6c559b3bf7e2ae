"""Rows as a model sees them, and splits of them.

A `PreparedSplit` is one split of a data set with its rows scanned once and encoded (tokenised,
decoded) once each; a `Split` is a choice of its rows. Seeds only choose, so that all cells of a
task in one process share the work.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset

from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.labels import Label, allowed_labels

MAX_UNUSABLE_PERCENT = 1.0
# What a split may keep in memory. Rows beyond it are encoded each time that they are asked for.
MAX_KEPT_BYTES = 512 * 1024**2
_CHUNK_ROWS = 512  # rows that are read and encoded at a time

Inputs = dict[str, np.ndarray] | torch.Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    `id` is its position in the data set's split. `inputs` are token arrays (L,) by name, or a
    picture (3, H, W) of bytes; they are shared and must not be written to.
    """

    id: int
    inputs: Inputs
    label: Label


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row's model inputs. None: it cannot be decoded; `cut`: the text was too long."""

    inputs: Inputs | None
    cut: bool = False


class Encoder(Protocol):
    """How rows of a family become model inputs, and batches."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `problem` looks at; they are read whole, so none with pictures."""

    @property
    def row_bytes(self) -> int:
        """What the inputs of a row weigh, where that can be too much to keep; else 0."""

    def problem(self, row: Mapping[str, Any], /) -> str | None:
        """Why a row cannot be used, as far as `columns` tell; None where it can."""

    def places(self, row: Mapping[str, Any], /) -> int | None:
        """How many classes a row offers, where it has options of its own; None: all."""

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """The inputs of each row."""

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """One batch."""


class PreparedSplit:
    """One split: which rows can be used, their labels, and their inputs once asked for."""

    def __init__(
        self,
        task: TaskConfig,
        name: str,
        dataset: Dataset,
        labels: Sequence[Label | None],
        encoder: Encoder,
    ) -> None:
        self.name = name
        self.rows_read = len(dataset)
        self._task = task
        self._dataset = dataset
        self._labels = labels
        self._encoder = encoder
        self._rows: dict[int, Row] = {}
        self._cut: set[int] = set()
        self._broken: set[int] = set()
        self._examined: set[int] = set()
        self.usable = self._scan()

    def broken(self, ids: Iterable[int]) -> int:
        """How many of these rows, once chosen, turned out to have broken content."""
        return len(self._broken.intersection(ids))

    def cut(self, ids: Iterable[int]) -> int:
        """How many of these rows were too long for the backbone."""
        return len(self._cut.intersection(ids))

    def examine(self, ids: Sequence[int]) -> None:
        """Encode these rows, each once a process, and note which are cut or broken.

        Raises:
            InputError: more than 1 % of them are broken.
        """
        self._encode([i for i in ids if i not in self._examined])
        found = Counter({"an image that cannot be decoded": self.broken(ids)})
        self._refuse_if_many(found, len(ids))

    def choose(self, ids: Sequence[int]) -> "Split":
        """These examined rows, without the broken ones."""
        return Split(tuple(i for i in ids if i not in self._broken), self)

    def row(self, index: int) -> Row:
        """The row at a position of the split; encoded anew where it is not kept in memory.

        Raises:
            InputError: its content is broken.
        """
        if index in self._rows:
            return self._rows[index]
        (encoded,) = self._encoder.encode([self._dataset[index]])
        if encoded.inputs is None:
            raise InputError(
                f"task {self._task.name}: row {index} of split {self.name!r} of "
                f"{self._task.hub_id} holds an image that cannot be decoded. Fetch the file again."
            )
        return self._as_row(index, encoded.inputs)

    def _encode(self, ids: Sequence[int]) -> None:
        for start in range(0, len(ids), _CHUNK_ROWS):
            chunk = ids[start : start + _CHUNK_ROWS]
            encoded_rows = self._encoder.encode(self._dataset.select(chunk).to_list())
            for index, encoded in zip(chunk, encoded_rows, strict=True):
                self._examined.add(index)
                if encoded.inputs is None:
                    self._broken.add(index)
                elif (len(self._rows) + 1) * self._encoder.row_bytes <= MAX_KEPT_BYTES:
                    self._rows[index] = self._as_row(index, encoded.inputs)
                if encoded.cut:
                    self._cut.add(index)

    def _as_row(self, index: int, inputs: Inputs) -> Row:
        label = self._labels[index]
        assert label is not None, "only usable rows are chosen"
        return Row(index, inputs, label)

    def _scan(self) -> np.ndarray:
        """Positions of the rows that can be used, ascending."""
        texts = self._dataset.select_columns(list(self._encoder.columns))[:]
        raw_labels = self._dataset[self._task.label_column][:]
        found: Counter[str] = Counter()
        usable = []
        for index, label in enumerate(self._labels):
            row = {name: texts[name][index] for name in self._encoder.columns}
            problem = self._encoder.problem(row)
            if label is None:
                problem = f"label {raw_labels[index]!r} (allowed: {allowed_labels(self._task)})"
            elif problem is None and (places := self._encoder.places(row)) is not None:
                problem = "a label that names no option of the row" if label >= places else None
            if problem is None:
                usable.append(index)
            else:
                found[problem] += 1
        self._refuse_if_many(found, self.rows_read)
        return np.array(usable, dtype=np.int64)

    def _refuse_if_many(self, found: Counter[str], rows: int) -> None:
        unusable = found.total()
        if 100 * unusable <= MAX_UNUSABLE_PERCENT * rows:
            return
        reasons = "; ".join(f"{number} with {what}" for what, number in found.most_common(5))
        raise InputError(
            f"task {self._task.name}: {unusable} of {rows} rows of split {self.name!r} of "
            f"{self._task.hub_id} (config {self._task.hub_config!r}) cannot be used: {reasons}. "
            f"More than {MAX_UNUSABLE_PERCENT:g} % is an error. Choose a split with labels, or "
            "mend the task's columns and label_values."
        )


@dataclass(frozen=True, eq=False)
class Split(Sequence[Row]):
    """An immutable choice of rows, indexable by a DataLoader."""

    ids: tuple[int, ...]
    source: PreparedSplit

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        """The row at `index`; a slice gives a `Split`."""
        if isinstance(index, slice):
            return Split(self.ids[index], self.source)
        return self.source.row(self.ids[index])


@dataclass(frozen=True)
class Collator:
    """Makes a batch of rows: the model's inputs and `labels`.

    Labels are int64 (N,), or float32 (N,) for regression.
    """

    encoder: Encoder
    regression: bool

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Collate `rows` in their order."""
        dtype = torch.float32 if self.regression else torch.int64
        labels = torch.tensor([row.label for row in rows], dtype=dtype)
        return {**self.encoder.stack([row.inputs for row in rows]), "labels": labels}
