"""Encoded rows, and splits of them.

A `PreparedSplit` encodes rows of a split when they are first selected, and keeps them as far as
memory allows. A `Split` is a selection of its rows. Seeds only select rows, so all cells of a task
that run in one process share the work.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset

from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.labels import Label, allowed_labels

MAX_UNUSABLE_PERCENT = 1.0
MAX_KEPT_BYTES = 512 * 1024**2  # per split; rows beyond it are encoded whenever they are read
_CHUNK_ROWS = 512  # rows that are read and encoded at a time

Inputs = dict[str, np.ndarray] | torch.Tensor


@dataclass(frozen=True, slots=True)
class Row:
    """One example; its inputs are shared and must not be written to."""

    id: int  # position in the split of the data set
    inputs: Inputs  # token arrays (L,) by name, or an image (3, H, W) of bytes
    label: Label


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder makes of a row."""

    inputs: Inputs | None  # None if it cannot be decoded
    cut: bool = False  # whether its text was


class Encoder:
    """Turns the rows of a task into model inputs, and these into batches."""

    columns: tuple[str, ...] = ()  # that `problem` and `option_count` read; they are loaded whole
    row_bytes = 0  # size of the inputs of a row, if many may not fit into memory

    def problem(self, _row: Mapping[str, Any]) -> str | None:
        """Return why a row cannot be used, as far as `columns` show; None if it can."""
        return None

    def option_count(self, _row: Mapping[str, Any]) -> int | None:
        """Return how many options a row has; None if it has none, and may be of any class."""
        return None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Return the model inputs of each row."""
        raise NotImplementedError

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Return the model's inputs for one batch."""
        raise NotImplementedError

    def collate(self, rows: Sequence[Row], label_type: torch.dtype) -> dict[str, torch.Tensor]:
        """Return the model's inputs for these rows, and their `labels` (N,)."""
        labels = torch.tensor([row.label for row in rows], dtype=label_type)
        return {**self.stack([row.inputs for row in rows]), "labels": labels}


class PreparedSplit:
    """One split: which rows are usable, their labels, and their inputs once they are needed."""

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
        self._task, self._dataset, self._labels, self._encoder = task, dataset, labels, encoder
        self._rows: dict[int, Row] = {}
        self.cut: set[int] = set()  # examined rows that were too long for the backbone
        self.broken: set[int] = set()  # examined rows whose content cannot be decoded
        self._examined: set[int] = set()
        self.usable = self._scan()

    def examine(self, ids: Sequence[int]) -> None:
        """Check rows, each once per process. Raises InputError if more than 1 % are broken."""
        unseen = [i for i in ids if i not in self._examined]
        for start in range(0, len(unseen), _CHUNK_ROWS):
            chunk = unseen[start : start + _CHUNK_ROWS]
            encoded_rows = self._encoder.encode(self._dataset.select(chunk).to_list())
            for index, encoded in zip(chunk, encoded_rows, strict=True):
                self._examined.add(index)
                if encoded.inputs is None:
                    self.broken.add(index)
                elif (len(self._rows) + 1) * self._encoder.row_bytes <= MAX_KEPT_BYTES:
                    self._rows[index] = self._as_row(index, encoded.inputs)
                if encoded.cut:
                    self.cut.add(index)
        broken = len(self.broken.intersection(ids))
        problems = Counter({"an image that cannot be decoded": broken})
        self._refuse_if_many(problems, len(ids))

    def select(self, ids: Sequence[int]) -> "Split":
        """Return these examined rows, without the broken ones."""
        return Split(tuple(i for i in ids if i not in self.broken), self)

    def row(self, index: int) -> Row:
        """Return the row at a position; it is encoded again if it was not kept."""
        if index in self._rows:
            return self._rows[index]
        (encoded,) = self._encoder.encode([self._dataset[index]])
        if encoded.inputs is None:
            raise InputError(
                f"task {self._task.name}: row {index} of split {self.name!r} of "
                f"{self._task.hub_id} has an image that cannot be decoded. Download the file again."
            )
        return self._as_row(index, encoded.inputs)

    def _as_row(self, index: int, inputs: Inputs) -> Row:
        label = self._labels[index]
        assert label is not None, "only usable rows are selected"
        return Row(index, inputs, label)

    def _scan(self) -> np.ndarray:
        """Return the positions of the usable rows, ascending."""
        texts = self._dataset.select_columns(list(self._encoder.columns))[:]
        raw_labels = self._dataset[self._task.label_column][:]
        problems: Counter[str] = Counter()
        usable = []
        for index, label in enumerate(self._labels):
            row = {name: texts[name][index] for name in self._encoder.columns}
            problem = self._encoder.problem(row)
            if label is None:
                problem = f"label {raw_labels[index]!r} (allowed: {allowed_labels(self._task)})"
            elif problem is None and (count := self._encoder.option_count(row)) is not None:
                problem = "a label that names no option of the row" if label >= count else None
            if problem is None:
                usable.append(index)
            else:
                problems[problem] += 1
        self._refuse_if_many(problems, self.rows_read)
        return np.array(usable, dtype=np.int64)

    def _refuse_if_many(self, problems: Counter[str], rows: int) -> None:
        unusable = problems.total()
        if 100 * unusable <= MAX_UNUSABLE_PERCENT * rows:
            return
        reasons = "; ".join(f"{number} with {what}" for what, number in problems.most_common(5))
        raise InputError(
            f"task {self._task.name}: {unusable} of {rows} rows of split {self.name!r} of "
            f"{self._task.hub_id} (config {self._task.hub_config!r}) cannot be used: {reasons}. "
            f"At most {MAX_UNUSABLE_PERCENT:g} % may be unusable. Choose a split with labels, or "
            "correct the task's columns and label_values."
        )


class RowSource(Protocol):
    """Something that has the rows of a split by their positions."""

    def row(self, index: int) -> Row:
        """Return the row at a position."""


@dataclass(frozen=True, eq=False)
class Split(Sequence[Row]):
    """An immutable selection of rows, indexable by a DataLoader."""

    ids: tuple[int, ...]
    source: RowSource

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: Any) -> Any:
        """Return the row at `index`, or a `Split` for a slice."""
        if isinstance(index, slice):
            return Split(self.ids[index], self.source)
        return self.source.row(self.ids[index])
