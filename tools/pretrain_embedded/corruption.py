"""Corrupts encoded documents, so that there is something to detect in pretraining.

A document is met whole, with one or two words replaced by others of their role, or with two
neighbours swapped. In a pair only the second text is changed, because no reader could tell which of
two texts is at fault. In some documents words are masked, whether or not anything else was changed,
so that a mask says nothing about the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from frod_bench.common.errors import InputError

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
START, PAD, END, _, MASK = range(len(SPECIALS))
WHOLE, CORRUPTED = 0, 1  # what the first token is to tell of a single text
UNTOLD = -100  # of a pair: to compare two texts is for the tasks to learn
REPLACED_RATE = 0.5
SWAPPED_RATE = 0.15  # of the corrupted documents: neighbours swapped and no word replaced
MASKED_RATE, MASK_RATE = 0.5, 0.15  # documents with masks, and words masked in them
UNMASKED = -100  # the index that cross-entropy leaves out

Encoded = tuple[list[int], ...]  # the ids of one text or of two, without special tokens


@dataclass(frozen=True)
class Batch:
    """Corrupted documents, (documents, tokens) each and `kind` (documents,)."""

    tokens: Tensor
    attention: Tensor
    replaced: Tensor  # 1 where a token is not the original one
    hidden: Tensor  # the word that a mask hides, UNMASKED elsewhere
    kind: Tensor


class Corrupter:
    """Makes batches of corrupted documents.

    Args:
        tokenizer: every word of `alternatives` must be one token of it.
        alternatives: word -> the words that may replace it.
        rng: all randomness.

    Raises:
        InputError: a word is more than one token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        alternatives: dict[str, tuple[str, ...]],
        rng: np.random.Generator,
    ) -> None:
        self.rng = rng
        self.others = {
            _id(tokenizer, word): [_id(tokenizer, other) for other in others]
            for word, others in alternatives.items()
            if others
        }

    def batch(self, documents: Sequence[Encoded]) -> Batch:
        """The documents, corrupted and padded to the longest."""
        tokens, replaced, hidden, kind = zip(*map(self._row, documents), strict=True)
        ids = _padded(tokens, PAD)
        return Batch(
            tokens=ids,
            attention=(ids != PAD).long(),
            replaced=_padded(replaced, 0),
            hidden=_padded(hidden, UNMASKED),
            kind=torch.tensor(kind),
        )

    def _row(self, document: Encoded) -> tuple[list[int], list[int], list[int], int]:
        tokens = frame_ids(document)
        is_pair = len(document) == 2
        first = len(document[0]) + 3 if is_pair else 1  # the first word that may be changed
        changed: list[int] = []
        if self.rng.random() < REPLACED_RATE:
            changed = self._swap(tokens, first) if self.rng.random() < SWAPPED_RATE else []
            changed = changed or self._replace(tokens, first)
        replaced = [int(place in changed) for place in range(len(tokens))]
        kind = UNTOLD if is_pair else CORRUPTED if changed else WHOLE
        return tokens, replaced, self._mask(tokens, replaced), kind

    def _replace(self, tokens: list[int], first: int) -> list[int]:
        """Replace one or two words from `first` on, in place; returns their places."""
        places = [p for p in range(first, len(tokens)) if tokens[p] in self.others]
        count = min(len(places), 1 + int(self.rng.integers(2)))
        chosen = [int(place) for place in self.rng.permutation(places)[:count]]
        for place in chosen:
            others = self.others[tokens[place]]
            tokens[place] = others[self.rng.integers(len(others))]
        return chosen

    def _swap(self, tokens: list[int], first: int) -> list[int]:
        """Swap two neighbouring words from `first` on, in place; returns their places, if any."""
        place = first + int(self.rng.integers(len(tokens) - first - 1))
        pair = tokens[place : place + 2]
        if min(pair) < len(SPECIALS) or pair[0] == pair[1]:
            return []
        tokens[place : place + 2] = pair[::-1]
        return [place, place + 1]

    def _mask(self, tokens: list[int], replaced: list[int]) -> list[int]:
        """Mask words in place; returns what the masks hide. Corrupted words stay visible."""
        hidden = [UNMASKED] * len(tokens)
        if self.rng.random() >= MASKED_RATE:
            return hidden
        for place in np.flatnonzero(self.rng.random(len(tokens)) < MASK_RATE):
            if tokens[place] >= len(SPECIALS) and not replaced[place]:
                hidden[place], tokens[place] = tokens[place], MASK
        return hidden


def frame_ids(document: Encoded) -> list[int]:
    """`<s> a </s>` or `<s> a </s> </s> b </s>`."""
    tokens = [START, *document[0], END]
    return [*tokens, END, *document[1], END] if len(document) == 2 else tokens


def _padded(rows: Sequence[list[int]], value: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def _id(tokenizer: Tokenizer, word: str) -> int:
    ids = tokenizer.encode(word, add_special_tokens=False).ids
    if len(ids) != 1:
        raise InputError(
            f"word {word!r} is {len(ids)} tokens; it must be one: "
            "enlarge the vocabulary or let the corpus hold the word more often."
        )
    return ids[0]
