"""Texts as token ids: sentences, pairs of sentences, and prompts.

A text is tokenised without padding; a batch is padded on the right to its longest row, whatever
side the tokenizer prefers. A text longer than the backbone takes is cut, and that is counted: a
sentence at its end, a pair where it is longer, a prompt in the column that it names for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from frod_bench.common.errors import InputError
from frod_bench.config.settings import BackboneConfig
from frod_bench.data.prompts import Prompt
from frod_bench.data.rows import Encoded, Inputs
from frod_bench.models.loading import readable

# RoBERTa and its kin count positions from the padding id on: 514 positions hold 512 tokens.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert"}


@dataclass(frozen=True)
class Tokens:
    """A tokenizer, and what the backbone behind it takes."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int  # tokens, special ones counted
    pad_id: int
    token_types: bool  # whether the backbone tells the two texts of a pair apart

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays of a row."""
        return ("input_ids", "token_type_ids") if self.token_types else ("input_ids",)

    def encode(self, texts: Sequence[tuple[str, ...]], *, cut: bool = False) -> list[Inputs]:
        """Token arrays of each text or pair; `cut` shortens them to `max_length`."""
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

    def fits(self, inputs: Inputs) -> bool:
        """Whether the backbone takes the text whole."""
        return _length(inputs) <= self.max_length

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask` and perhaps `token_type_ids`, each (N, L) int64."""
        longest = max(_length(row) for row in inputs)
        fill = {"input_ids": self.pad_id, "token_type_ids": 0}
        batch = {
            name: np.full((len(inputs), longest), fill[name], dtype=np.int64) for name in self.names
        }
        mask = np.zeros((len(inputs), longest), dtype=np.int64)
        for i, row in enumerate(inputs):
            assert isinstance(row, dict)
            mask[i, : _length(row)] = 1
            for name in self.names:
                batch[name][i, : _length(row)] = row[name]
        batch["attention_mask"] = mask
        return {name: torch.from_numpy(values) for name, values in batch.items()}


class SentenceEncoder:
    """One text column, or a pair of them (family `nlu`)."""

    row_bytes = 0

    def __init__(self, columns: Sequence[str], tokens: Tokens) -> None:
        self.columns = tuple(columns)
        self._tokens = tokens

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Rows without a text cannot be used."""
        empty = (column for column in self.columns if not str(row[column] or "").strip())
        return next((f"empty {column!r}" for column in empty), None)

    def places(self, _row: Mapping[str, Any]) -> int | None:
        """A row may be of any class."""
        return None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Token arrays; what is too long is cut, the longer text of a pair first."""
        texts = [tuple(row[column] for column in self.columns) for row in rows]
        return [
            Encoded(inputs)
            if self._tokens.fits(inputs)
            else Encoded(self._tokens.encode([text], cut=True)[0], cut=True)
            for text, inputs in zip(texts, self._tokens.encode(texts), strict=True)
        ]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Pad to the longest."""
        return self._tokens.stack(inputs)


class PromptEncoder:
    """A prompt (family `reasoning`), always whole at its end, where the answer is asked for."""

    row_bytes = 0

    def __init__(self, prompt: Prompt, tokens: Tokens) -> None:
        self._prompt = prompt
        self._tokens = tokens
        # The tokenizer is this encoder's own. Where cutting the named column is not enough, the
        # beginning goes, so that "answer:" stays.
        tokens.tokenizer.truncation_side = "left"
        roots = (column.split(".")[0] for column in prompt.option_columns)
        self.columns = tuple(dict.fromkeys((*prompt.columns, *roots)))

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Rows without a question, or with options wanted and none there, cannot be used.

        Text is judged as it is read: one that holds marks only is empty.
        """
        clean = self._prompt.clean
        if self._prompt.option_columns and not any(map(clean, self._prompt.options(row))):
            return "no options"
        return self._prompt.empty_column(row)

    def places(self, row: Mapping[str, Any]) -> int | None:
        """The options listed."""
        return len(self._prompt.options(row)) if self._prompt.option_columns else None

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
        """Token arrays; in what is too long, the column named by the prompt is cut."""
        values = [self._prompt.values(row) for row in rows]
        whole = self._tokens.encode([(self._prompt.render(value),) for value in values])
        return [
            Encoded(inputs) if self._tokens.fits(inputs) else self._shorten(value, inputs)
            for value, inputs in zip(values, whole, strict=True)
        ]

    def stack(self, inputs: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        """Pad to the longest."""
        return self._tokens.stack(inputs)

    def _shorten(self, values: Mapping[str, str], inputs: Inputs) -> Encoded:
        """Drop tokens from the end of the column that gives way until the prompt fits."""
        column = self._prompt.config.truncate
        if column is not None:
            text = values[column]
            ends = [end for _, end in self._offsets(text)]
            keep, kept = len(ends), text
            while keep > 0 and not self._tokens.fits(inputs):
                # Joining may change how many tokens there are, so measure and drop again.
                keep -= _length(inputs) - self._tokens.max_length
                kept = text[: ends[keep - 1]] if keep > 0 else ""
                rendered = self._prompt.render({**values, column: kept.rstrip()})
                (inputs,) = self._tokens.encode([(rendered,)])
            values = {**values, column: kept.rstrip()}
        if not self._tokens.fits(inputs):
            (inputs,) = self._tokens.encode([(self._prompt.render(values),)], cut=True)
        return Encoded(inputs, cut=True)

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        return self._tokens.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]


def tokens_of(backbone: BackboneConfig, backbone_path: str) -> Tokens:
    """A backbone's tokenizer and limits.

    Args:
        backbone_path: a folder, or the Hub id.

    Raises:
        InputError: the backbone has no tokenizer, or no length is given.
    """
    if backbone.max_length <= 0:
        raise InputError(
            f"backbone.max_length: {backbone.max_length} of {backbone.name}, whose task reads "
            "text. A vision backbone has none and cannot read it: choose a language model, or give "
            "the number of tokens that it keeps, 128 say."
        )
    with readable(backbone_path, "tokenizer", "A task on text needs a language model"):
        tokenizer = AutoTokenizer.from_pretrained(
            backbone_path, revision=backbone.revision, trust_remote_code=False
        )
        config = AutoConfig.from_pretrained(
            backbone_path, revision=backbone.revision, trust_remote_code=False
        )
    limits = (backbone.max_length, tokenizer.model_max_length, _positions(config))
    pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)  # masked: any token will do
    return Tokens(
        tokenizer,
        max_length=min(limits),
        pad_id=next(pad for pad in pads if pad is not None),
        token_types=getattr(config, "type_vocab_size", 0) > 1,
    )


def _positions(config: Any) -> int:
    """Tokens that the backbone has positions for."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return np.iinfo(np.int32).max
    offset = config.pad_token_id + 1 if config.model_type in _OFFSET_POSITIONS else 0
    return positions - offset


def _length(inputs: Inputs) -> int:
    assert isinstance(inputs, dict)
    return len(inputs["input_ids"])
