"""Multiple choice for a language model: a question, and each option as its continuation.

    question: Which gas do plants take in?
    answer: carbon dioxide

Cutting, cleaning and columns are those of the prompt with listed options (`prompts`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from frod_bench.data.prompts import RankPrompt
from frod_bench.data.rows import Encoded, Encoder, Inputs
from frod_bench.data.text import Tokens


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
        """Return, for each option, the token ids of question and option, and the option's count."""
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
