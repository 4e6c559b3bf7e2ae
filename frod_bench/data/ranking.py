"""Multiple choice as a language model sees it: a prompt, and options that continue it.

    question: Which gas do plants take in?
    answer: carbon dioxide

The options are not listed and have no letters; each is a text of its own behind the prompt. Yes/no
questions have the options "no" and "yes". What the prompt cuts, cleans and reads is as with the
listed options (`prompts`).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from frod_bench.common.errors import InputError
from frod_bench.config.settings import RankConfig, TaskConfig
from frod_bench.data.prompts import Prompt, names_in, prompt_of
from frod_bench.data.rows import Encoded, Inputs
from frod_bench.data.text import Tokens


@dataclass(frozen=True)
class RankPrompt:
    """A task's question without the options, and where these come from."""

    question: Prompt
    config: RankConfig

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides how question and options read."""
        parts = {"question": asdict(self.question.config), "rank": asdict(self.config)}
        canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        roots = (column.split(".")[0] for column in self.question.option_columns)
        return tuple(dict.fromkeys((*self.question.columns, *roots)))

    def options(self, row: Mapping[str, Any]) -> list[str]:
        """The row's options in class order."""
        if self.config.options:
            return list(self.config.options)
        return [self.question.clean(option) for option in self.question.options(row)]


def rank_prompt_of(task: TaskConfig) -> RankPrompt:
    """The task's question and options, checked.

    Raises InputError where the task is no multiple choice, or as `prompt_of` does.
    """
    rank = task.rank
    if rank is None or task.prompt is None or task.num_labels < 2:
        raise InputError(
            f"head=rank: task {task.name} is no multiple choice (it has no task.rank). "
            "Allowed for it: classify. Set head=classify, or describe its options in task.rank."
        )
    listed = prompt_of(task)
    config = replace(task.prompt, template=rank.template, version=rank.version)
    columns = names_in(rank.template, "task.rank.template")
    question = replace(listed, config=config, columns=columns)
    if bool(rank.options) == bool(listed.option_columns):
        raise InputError(
            f"task.rank.options: {list(rank.options)} of task {task.name}; they are for tasks "
            "whose rows have no options of their own. Give them there, and only there."
        )
    if rank.options and len(rank.options) != task.num_labels:
        raise InputError(
            f"task.rank.options: {list(rank.options)} are {len(rank.options)}, and task "
            f"{task.name} has {task.num_labels} classes. Give one a class, in class order."
        )
    known = set(listed.columns)
    if not question.columns or not set(question.columns) <= known:
        raise InputError(
            f"task.rank.template: {rank.template!r} must name columns of task.prompt.template "
            f"({', '.join(sorted(known))}) in braces, and not the options."
        )
    if task.prompt.truncate is not None and task.prompt.truncate not in question.columns:
        raise InputError(f"task.prompt.truncate: {task.prompt.truncate!r} is not in task.rank.")
    return RankPrompt(question, rank)


class OptionEncoder:
    """A question with each of its options behind it (family `reasoning`, `head=rank`).

    The inputs of a row are its sequences one after another, `input_ids`, and for each of them
    `lengths` and `option_tokens`, all in tokens.
    """

    row_bytes = 0

    def __init__(self, prompt: RankPrompt, tokens: Tokens, num_labels: int) -> None:
        self._prompt = prompt
        self._tokens = tokens
        self._num_labels = num_labels
        tokens.tokenizer.truncation_side = "left"  # an option stays whole, whatever else goes
        self.columns = prompt.columns

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Rows without a question, or with an option that has no text, cannot be used."""
        options = self._prompt.options(row)
        if not options or not all(options):
            return "no options" if not any(options) else "an empty option"
        if len(options) > self._num_labels:
            return f"{len(options)} options where task.num_labels is {self._num_labels}"
        return self._prompt.question.empty_column(row)

    def places(self, row: Mapping[str, Any]) -> int | None:
        """The row's own options, or the task's."""
        return len(self._prompt.config.options or self._prompt.question.options(row))

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Token arrays; in what is too long, the column named by the prompt is cut."""
        return [self._encode(row) for row in rows]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`, `option_mask`, each (N, C, L) int64.

        C is the number of classes; a row with fewer options has sequences without any token.
        `option_mask` tells an option's tokens from the question's.
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
        values = self._prompt.question.values(row)
        sequences = self._sequences(values, options)
        if self._excess(sequences) <= 0:
            return _encoded(sequences, cut=False)
        column = self._prompt.question.config.truncate
        if column is not None:
            text = values[column]
            ends = [end for _, end in self._offsets(text)]
            keep = len(ends)
            while keep > 0 and (excess := self._excess(sequences)) > 0:
                # Joining may change how many tokens there are, so measure and drop again.
                keep -= excess
                kept = text[: ends[keep - 1]] if keep > 0 else ""
                values = {**values, column: kept.rstrip()}
                sequences = self._sequences(values, options)
        if self._excess(sequences) > 0:
            sequences = self._sequences(values, options, cut=True)
        return _encoded(sequences, cut=True)

    def _sequences(
        self, values: Mapping[str, str], options: Sequence[str], *, cut: bool = False
    ) -> list[tuple[list[int], int]]:
        """Token ids of the question with each option, and how many of them are the option's.

        `cut` drops the beginning of what is too long.
        """
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
        """Tokens that the longest sequence has too many."""
        return max(len(ids) for ids, _ in sequences) - self._tokens.max_length

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        return self._tokens.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]


def _encoded(sequences: Sequence[tuple[list[int], int]], *, cut: bool) -> Encoded:
    return Encoded(
        {
            "input_ids": np.concatenate([np.array(ids, dtype=np.int32) for ids, _ in sequences]),
            "lengths": np.array([len(ids) for ids, _ in sequences], dtype=np.int32),
            "option_tokens": np.array([size for _, size in sequences], dtype=np.int32),
        },
        cut=cut,
    )
