"""Reading a question once, followed by all its options, with a causal language model.

    question: Which gas do plants take in? answer: | oxygen | carbon dioxide | helium

A token attends to the question and to its own option, at the positions that it would have if its
option were the only one: the same result for two to three times fewer tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_SHARED, _PADDING = -1, -2  # owners of the tokens that belong to no option


@dataclass(frozen=True)
class Packed:
    """N rows of at most P tokens.

    For each token of C sequences of length L, `before` is the index in its row of the token that
    precedes it in its sequence; it is undefined for the first one.
    """

    ids: Tensor  # tokens, (N, P) int64
    positions: Tensor  # of each token in its own sequence, (N, P) int64
    visible: Tensor  # whether token i attends to token j, (N, P, P) bool
    before: Tensor  # (N, C, L) int64

    def attention_bias(self, dtype: torch.dtype) -> Tensor:
        """Return the term added to attention scores, (N, 1, P, P): 0, or the minimum of `dtype`."""
        bias = torch.zeros(self.visible.shape, dtype=dtype, device=self.visible.device)
        return bias.masked_fill_(~self.visible, torch.finfo(dtype).min).unsqueeze(1)


def pack(input_ids: Tensor, attention_mask: Tensor) -> Packed:
    """Pack the C sequences of each row, a question and an option each, into one.

    Both arguments are (N, C, L), padded on the right. The shared part is the common beginning of
    all sequences of a row; it may be empty if their questions were cut at different positions. A
    sequence may have no tokens.
    """
    rows, _, length = input_ids.shape
    token = torch.arange(length, device=input_ids.device)
    is_token = attention_mask.bool()
    present = is_token.any(dim=-1)
    first = present.int().argmax(dim=-1)  # sequence of each row that has tokens
    first_ids = input_ids[torch.arange(rows, device=first.device), first]
    alike = (input_ids == first_ids[:, None]) & is_token
    shared = (alike | ~present[..., None]).all(dim=1).int().cumprod(dim=-1).sum(dim=-1)  # (N,)

    own = is_token & (token >= shared[:, None, None])
    sizes = own.sum(dim=-1)
    starts = shared[:, None] + sizes.cumsum(dim=-1) - sizes  # (N, C)
    index = starts[..., None] + token - shared[:, None, None]
    before = torch.where(token > shared[:, None, None], index, token) - 1

    width = int((shared + sizes.sum(dim=-1)).max())
    ids = input_ids.new_zeros(rows, width)
    positions, owner = torch.zeros_like(ids), torch.full_like(ids, _PADDING)
    row, sequence, number = own.nonzero(as_tuple=True)
    at = row, index[own]
    ids[at], positions[at], owner[at] = input_ids[own], number, sequence
    row, number = (token < shared[:, None]).nonzero(as_tuple=True)
    at = row, number
    ids[at], positions[at], owner[at] = first_ids[at], number, _SHARED

    order = torch.arange(width, device=ids.device)
    is_related = (owner[:, None, :] == _SHARED) | (owner[:, None, :] == owner[:, :, None])
    return Packed(ids, positions, is_related & (order <= order[:, None]), before)
