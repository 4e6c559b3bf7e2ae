"""Multiple choice for a language model: a question, and each option as its continuation.

    question: Which gas do plants take in?
    answer: carbon dioxide

Cutting, cleaning and columns are those of the prompt with listed options (`prompts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from frod_bench.common.errors import InputError
from frod_bench.config.settings import RankConfig, TaskConfig
from frod_bench.data.prompts import Prompt, digest_of, names_in, prompt_of
from frod_bench.data.rows import Encoded, Encoder, Inputs
from frod_bench.data.text import Tokens


@dataclass(frozen=True)
class RankPrompt:
    """A task's question without the options, and the source of the options."""

    question: Prompt
    config: RankConfig

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the text of question and options."""
        return digest_of({"question": asdict(self.question.config), "rank": asdict(self.config)})

    def options(self, row: Mapping[str, Any]) -> list[str]:
        """Return the row's options in class order."""
        if self.config.options:
            return list(self.config.options)
        return [self.question.clean(option) for option in self.question.options(row)]


def rank_prompt_of(task: TaskConfig) -> RankPrompt:
    """Return the task's question and options. Raises InputError if `task.rank` does not fit."""
    rank = task.rank
    if rank is None or task.prompt is None or task.num_labels < 2:
        raise InputError(
            f"head=rank: task {task.name} is not multiple choice (it has no task.rank). "
            "Allowed for it: classify. Set head=classify, or describe its options in task.rank."
        )
    listed = prompt_of(task)
    config = replace(task.prompt, template=rank.template, version=rank.version)
    columns = names_in(rank.template, "task.rank.template")
    question = replace(listed, config=config, columns=columns)
    if bool(rank.options) == bool(listed.option_columns):
        raise InputError(
            f"task.rank.options={list(rank.options)} of task {task.name}: a task needs them if its "
            "rows have no options of their own, and only then. Add or remove them."
        )
    if rank.options and len(rank.options) != task.num_labels:
        raise InputError(
            f"task.rank.options={list(rank.options)}: {len(rank.options)} options for the "
            f"{task.num_labels} classes of task {task.name}. Give one per class, in class order."
        )
    known = set(listed.columns)
    if not question.columns or not set(question.columns) <= known:
        raise InputError(
            f"task.rank.template={rank.template!r}: must name columns of task.prompt.template "
            f"({', '.join(sorted(known))}) in braces, and not the options."
        )
    if task.prompt.truncate is not None and task.prompt.truncate not in question.columns:
        raise InputError(
            f"task.prompt.truncate={task.prompt.truncate!r}: is not in task.rank.template. Name "
            f"one of its columns ({', '.join(question.columns)})."
        )
    return RankPrompt(question, rank)


class OptionEncoder(Encoder):
    """A question followed by each of its options (family `reasoning`, `head=rank`).

    The inputs of a row are its sequences one after another, `input_ids`, and for each of them
    `lengths` and `option_tokens`, both in tokens.
    """

    def __init__(self, prompt: RankPrompt, tokens: Tokens, num_labels: int) -> None:
        self._prompt = prompt
        self._tokens = tokens
        self._num_labels = num_labels
        tokens.tokenizer.truncation_side = "left"  # the option at the end stays whole
        self.columns = prompt.question.columns_read

    def problem(self, row: Mapping[str, Any]) -> str | None:
        options = self._prompt.options(row)
        if not options or not all(options):
            return "no options" if not any(options) else "an empty option"
        if len(options) > self._num_labels:
            return f"{len(options)} options (task.num_labels is {self._num_labels})"
        return self._prompt.question.empty_column(row)

    def option_count(self, row: Mapping[str, Any]) -> int | None:
        return len(self._prompt.config.options or self._prompt.question.options(row))

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        return [self._encode(row) for row in rows]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask`, `option_mask`, each (N, C classes, L) int64.

        A row with fewer options has sequences without any token.
        """
        rows = [row for row in inputs if isinstance(row, dict)]
        shape = (len(rows), self._num_labels, max(int(row["lengths"].max()) for row in rows))
        ids = np.full(shape, self._tokens.pad_id, dtype=np.int64)
        mask, option_mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for i, row in enumerate(rows):
            sequences = np.split(row["input_ids"], row["lengths"].cumsum()[:-1])
            for j, (sequence, size) in enumerate(zip(sequences, row["option_tokens"], strict=True)):
                ids[i, j, : len(sequence)] = sequence
                mask[i, j, : len(sequence)] = 1
                option_mask[i, j, len(sequence) - size : len(sequence)] = 1
        arrays = {"input_ids": ids, "attention_mask": mask, "option_mask": option_mask}
        return {name: torch.from_numpy(values) for name, values in arrays.items()}

    def _encode(self, row: Mapping[str, Any]) -> Encoded:
        options = self._prompt.options(row)
        values: Mapping[str, str] = self._prompt.question.values(row)
        sequences = self._sequences(values, options)
        is_cut = self._excess(sequences) > 0
        if is_cut:
            column = self._prompt.question.config.truncate
            if column is not None:
                values = self._tokens.shorten(
                    values, column, lambda kept: self._excess(self._sequences(kept, options))
                )
            sequences = self._sequences(values, options, cut=True)
        arrays = {
            "input_ids": [token for ids, _ in sequences for token in ids],
            "lengths": [len(ids) for ids, _ in sequences],
            "option_tokens": [size for _, size in sequences],
        }
        return Encoded(
            {name: np.array(array, dtype=np.int32) for name, array in arrays.items()}, cut=is_cut
        )

    def _sequences(
        self, values: Mapping[str, str], options: Sequence[str], *, cut: bool = False
    ) -> list[tuple[list[int], int]]:
        """Return the token ids of the question with each option, and the number of the option's."""
        question = self._prompt.question.render(values)
        batch = self._tokens.tokenizer(
            [f"{question} {option}" for option in options],
            truncation=cut,
            max_length=self._tokens.max_length if cut else None,
            return_offsets_mapping=True,
            verbose=False,
        )
        return [
            (ids, sum(end > len(question) for _, end in offsets))
            for ids, offsets in zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        ]

    def _excess(self, sequences: Sequence[tuple[list[int], int]]) -> int:
        return max(len(ids) for ids, _ in sequences) - self._tokens.max_length
