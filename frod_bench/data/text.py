"""Texts as token ids: sentences, pairs of sentences, and prompts.

A text that is longer than the backbone accepts is cut, and counted: a sentence at its end, a pair
in its longer sentence, a prompt in the column that its task names.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig
from frod_bench.data.prompts import Prompt
from frod_bench.data.rows import Encoded, Encoder, Inputs
from frod_bench.models.loading import readable

# RoBERTa and its relatives number positions from the padding id on: 514 positions hold 512 tokens.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert"}


@dataclass(frozen=True)
class Tokens:
    """A tokenizer, and the limits of its backbone."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int  # tokens, including special ones
    pad_id: int
    token_types: bool  # whether the backbone distinguishes the two texts of a pair

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays of a row."""
        return ("input_ids", "token_type_ids") if self.token_types else ("input_ids",)

    def encode(self, texts: Sequence[tuple[str, ...]], *, cut: bool = False) -> list[Inputs]:
        """Return the token arrays of each text or pair; `cut` shortens them to `max_length`."""
        columns = [list(column) for column in zip(*texts, strict=True)]
        batch = self.tokenizer(
            *columns,
            truncation=cut,
            max_length=self.max_length if cut else None,
            return_attention_mask=False,
            return_token_type_ids=self.token_types,
            verbose=False,
        )
        return [
            {name: np.array(batch[name][i], dtype=np.int32) for name in self.names}
            for i in range(len(texts))
        ]

    def excess(self, inputs: Inputs) -> int:
        """Return by how many tokens a text is too long; 0 or less if it fits."""
        return _length(inputs) - self.max_length

    def shorten(
        self, values: Mapping[str, str], column: str, excess: Callable[[Mapping[str, str]], int]
    ) -> Mapping[str, str]:
        """Drop tokens from the end of one of the values until `excess` of all of them is 0."""
        text = values[column]
        offsets = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        keep = len(offsets)
        # Joining texts may change their number of tokens, so measure again after each cut.
        while keep > 0 and (too_many := excess(values)) > 0:
            keep -= too_many
            kept = text[: offsets[keep - 1][1]] if keep > 0 else ""
            values = {**values, column: kept.rstrip()}
        return values

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and, for pairs, `token_type_ids`: (N, L) int64.

        Padding is on the right, whatever side the tokenizer prefers.
        """
        rows = [row for row in inputs if isinstance(row, dict)]
        columns = {
            name: [torch.from_numpy(row[name]).long() for row in rows] for name in self.names
        }
        columns["attention_mask"] = [torch.ones_like(ids) for ids in columns["input_ids"]]
        return {
            name: pad_sequence(
                values, batch_first=True, padding_value=self.pad_id if name == "input_ids" else 0
            )
            for name, values in columns.items()
        }


class TextEncoder(Encoder):
    """What the encoders of one text per row share."""

    def __init__(self, columns: Sequence[str], tokens: Tokens) -> None:
        self.columns = tuple(columns)
        self._tokens = tokens

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Pad to the longest row."""
        return self._tokens.stack(inputs)


class SentenceEncoder(TextEncoder):
    """One text column, or a pair of them (family `nlu`)."""

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Rows without a text cannot be used."""
        empty = (column for column in self.columns if not str(row[column] or "").strip())
        return next((f"empty {column!r}" for column in empty), None)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Return token arrays; texts that are too long are cut, the longer one of a pair first."""
        texts = [tuple(row[column] for column in self.columns) for row in rows]
        return [
            Encoded(inputs)
            if self._tokens.excess(inputs) <= 0
            else Encoded(self._tokens.encode([text], cut=True)[0], cut=True)
            for text, inputs in zip(texts, self._tokens.encode(texts), strict=True)
        ]


class PromptEncoder(TextEncoder):
    """A prompt (family `reasoning`), never cut at its end, where the answer is asked for."""

    def __init__(self, prompt: Prompt, tokens: Tokens) -> None:
        super().__init__(prompt.columns_read, tokens)
        self._prompt = prompt
        # If cutting the named column is not enough the beginning is cut, so that "answer:" stays.
        tokens.tokenizer.truncation_side = "left"

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Rows without a question, or without any of their options, cannot be used."""
        clean = self._prompt.clean
        if self._prompt.option_columns and not any(map(clean, self._prompt.options(row))):
            return "no options"
        return self._prompt.empty_column(row)

    def option_count(self, row: Mapping[str, Any]) -> int | None:
        """Return the number of listed options."""
        return len(self._prompt.options(row)) if self._prompt.option_columns else None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Return token arrays; prompts that are too long are cut in the column that they name."""
        values = [self._prompt.values(row) for row in rows]
        whole = self._tokens.encode([(self._prompt.render(value),) for value in values])
        return [
            Encoded(inputs)
            if self._tokens.excess(inputs) <= 0
            else Encoded(self._shortened(value), cut=True)
            for value, inputs in zip(values, whole, strict=True)
        ]

    def _shortened(self, values: Mapping[str, str]) -> Inputs:
        def encode(values: Mapping[str, str], cut: bool) -> Inputs:
            return self._tokens.encode([(self._prompt.render(values),)], cut=cut)[0]

        column = self._prompt.config.truncate
        if column is not None:
            values = self._tokens.shorten(
                values, column, lambda values: self._tokens.excess(encode(values, cut=False))
            )
        return encode(values, cut=True)


def tokens_of(backbone: BackboneConfig, backbone_path: str) -> Tokens:
    """Load the tokenizer and limits of a backbone in a folder, or on the Hub.

    Raises InputError if it has no tokenizer, or no `max_length` is given.
    """
    if backbone.max_length <= 0:
        raise InputError(
            f"backbone.max_length={backbone.max_length} of {backbone.name}: the task reads text, "
            "and needs the number of tokens to keep, e.g. 128. A vision backbone cannot read text: "
            "choose a language model."
        )
    with readable(backbone_path, "tokenizer", "A task on text needs a language model"):
        tokenizer, config = (
            one.from_pretrained(backbone_path, revision=backbone.revision, trust_remote_code=False)
            for one in (AutoTokenizer, AutoConfig)
        )
    limits = (backbone.max_length, tokenizer.model_max_length, _positions(config))
    pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)  # masked, so any token will do
    return Tokens(
        tokenizer,
        max_length=min(limits),
        pad_id=next(pad for pad in pads if pad is not None),
        token_types=getattr(config, "type_vocab_size", 0) > 1,
    )


def _positions(config: Any) -> int:
    """Return the number of tokens for which the backbone has positions."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return np.iinfo(np.int32).max
    offset = config.pad_token_id + 1 if config.model_type in _OFFSET_POSITIONS else 0
    return positions - offset


def _length(inputs: Inputs) -> int:
    assert isinstance(inputs, dict)
    return len(inputs["input_ids"])
