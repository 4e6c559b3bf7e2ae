"""Texts as token ids: sentences, pairs of sentences, and prompts.

A text that is longer than the backbone accepts is cut, and counted: a sentence at its end, a pair
in its longer sentence, a prompt in the column that its task names.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    names: tuple[str, ...]  # of the arrays of a row

    def encode(self, texts: Iterable[tuple[str, ...]], *, cut: bool = False) -> list[Inputs]:
        """Return the token arrays of each text or pair; `cut` shortens them to `max_length`."""
        columns = [list(column) for column in zip(*texts, strict=True)]
        batch = self.tokenizer(
            *columns,
            truncation=cut,
            max_length=self.max_length if cut else None,
            return_attention_mask=False,
            return_token_type_ids="token_type_ids" in self.names,
            verbose=False,
        )
        return [
            {name: np.array(batch[name][i], dtype=np.int32) for name in self.names}
            for i in range(len(columns[0]))
        ]

    def excess(self, inputs: Inputs) -> int:
        """Return by how many tokens a text is too long; 0 or less if it fits."""
        assert isinstance(inputs, dict)
        return len(inputs["input_ids"]) - self.max_length

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


class TextEncoder(Encoder):
    """One text, or pair of texts, per row."""

    def __init__(self, columns: Sequence[str], tokens: Tokens) -> None:
        self.columns = tuple(columns)
        self._tokens = tokens

    def texts(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the one or two texts of a row."""
        raise NotImplementedError

    def shorten(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the texts of a row that is too long; what is still too long is cut."""
        return self.texts(row)

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        return [
            Encoded(inputs)
            if self._tokens.excess(inputs) <= 0
            else Encoded(self._tokens.encode([self.shorten(row)], cut=True)[0], cut=True)
            for row, inputs in zip(rows, self._tokens.encode(map(self.texts, rows)), strict=True)
        ]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Return `input_ids`, `attention_mask` and, for pairs, `token_type_ids`: (N, L) int64.

        Padding is on the right, whatever side the tokenizer prefers.
        """
        rows = [row for row in inputs if isinstance(row, dict)]
        pad_id = self._tokens.pad_id
        columns = {
            name: [torch.from_numpy(row[name]).long() for row in rows]
            for name in self._tokens.names
        }
        columns["attention_mask"] = [torch.ones_like(ids) for ids in columns["input_ids"]]
        return {
            name: pad_sequence(
                values, batch_first=True, padding_value=pad_id if name == "input_ids" else 0
            )
            for name, values in columns.items()
        }


class SentenceEncoder(TextEncoder):
    """One text column, or a pair of which the longer one is cut first (family `nlu`)."""

    def problem(self, row: Mapping[str, Any]) -> str | None:
        empty = (column for column in self.columns if not str(row[column] or "").strip())
        return next((f"empty {column!r}" for column in empty), None)

    def texts(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(row[column] for column in self.columns)


class PromptEncoder(TextEncoder):
    """A prompt (family `reasoning`), never cut at its end, where the answer is asked for."""

    def __init__(self, prompt: Prompt, tokens: Tokens) -> None:
        super().__init__(prompt.columns_read, tokens)
        self._prompt = prompt
        # If cutting the named column is not enough the beginning is cut, so that "answer:" stays.
        tokens.tokenizer.truncation_side = "left"

    def problem(self, row: Mapping[str, Any]) -> str | None:
        clean = self._prompt.clean
        if self._prompt.option_columns and not any(map(clean, self._prompt.options(row))):
            return "no options"
        return self._prompt.empty_column(row)

    def option_count(self, row: Mapping[str, Any]) -> int | None:
        return len(self._prompt.options(row)) if self._prompt.option_columns else None

    def texts(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return (self._prompt.render(self._prompt.values(row)),)

    def shorten(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        column, render = self._prompt.config.truncate, self._prompt.render
        if column is None:
            return self.texts(row)

        def excess(values: Mapping[str, str]) -> int:
            return self._tokens.excess(self._tokens.encode([(render(values),)])[0])

        return (render(self._tokens.shorten(self._prompt.values(row), column, excess)),)


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
    limits = [backbone.max_length, tokenizer.model_max_length]
    if (positions := getattr(config, "max_position_embeddings", None)) is not None:
        offset = config.pad_token_id + 1 if config.model_type in _OFFSET_POSITIONS else 0
        limits.append(positions - offset)
    pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)  # masked, so any token will do
    distinguishes_pairs = getattr(config, "type_vocab_size", 0) > 1
    return Tokens(
        tokenizer,
        max_length=min(limits),
        pad_id=next(pad for pad in pads if pad is not None),
        names=("input_ids", "token_type_ids") if distinguishes_pairs else ("input_ids",),
    )
