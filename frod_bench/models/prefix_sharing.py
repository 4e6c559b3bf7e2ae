"""A question once, and all its options behind it, for a model that reads from left to right.

    question: Which gas do plants take in? answer: | oxygen | carbon dioxide | helium

A token sees the question and what precedes it in its own option, at the places that it would have
if the option stood there alone. So each option is read as if it did, but the question only once;
on the reasoning tasks that is two to three times fewer tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_SHARED, _PADDING = -1, -2  # owners of tokens that no option owns


@dataclass(frozen=True)
class Packed:
    """N rows of at most P tokens.

    Attributes:
        ids: tokens, (N, P) int64.
        positions: a token's number in its own sequence, (N, P) int64.
        visible: whether token i sees token j, (N, P, P) bool.
        before: for each token of C sequences of length L, the place in its row of the token that
            precedes it in its sequence, (N, C, L) int64; of no meaning for a sequence's first one.
    """

    ids: Tensor
    positions: Tensor
    visible: Tensor
    before: Tensor

    def attention_bias(self, dtype: torch.dtype) -> Tensor:
        """What is added to attention scores, (N, 1, P, P): 0, or the lowest number of `dtype`."""
        bias = torch.zeros(self.visible.shape, dtype=dtype, device=self.visible.device)
        return bias.masked_fill_(~self.visible, torch.finfo(dtype).min).unsqueeze(1)


def pack(input_ids: Tensor, attention_mask: Tensor) -> Packed:
    """Pack C sequences a row, each a question and an option, (N, C, L) and padded on the right.

    Shared is what all sequences of a row begin with: where their questions were cut in different
    places that may be nothing. A sequence may be without tokens.
    """
    rows, _, length = input_ids.shape
    token = torch.arange(length, device=input_ids.device)
    is_token = attention_mask.bool()
    present = is_token.any(dim=-1)
    first = present.int().argmax(dim=-1)  # of a row's sequences
    first_ids = input_ids[torch.arange(rows, device=first.device), first]
    alike = (input_ids == first_ids[:, None]) & is_token
    shared = (alike | ~present[..., None]).all(dim=1).int().cumprod(dim=-1).sum(dim=-1)  # (N,)

    own = is_token & (token >= shared[:, None, None])
    sizes = own.sum(dim=-1)
    starts = shared[:, None] + sizes.cumsum(dim=-1) - sizes  # (N, C)
    place = starts[..., None] + token - shared[:, None, None]
    before = torch.where(token > shared[:, None, None], place, token) - 1

    width = int((shared + sizes.sum(dim=-1)).max())
    ids = input_ids.new_zeros(rows, width)
    positions, owner = torch.zeros_like(ids), torch.full_like(ids, _PADDING)
    row, sequence, number = own.nonzero(as_tuple=True)
    at = row, place[own]
    ids[at], positions[at], owner[at] = input_ids[own], number, sequence
    row, number = (token < shared[:, None]).nonzero(as_tuple=True)
    at = row, number
    ids[at], positions[at], owner[at] = first_ids[at], number, _SHARED

    order = torch.arange(width, device=ids.device)
    is_related = (owner[:, None, :] == _SHARED) | (owner[:, None, :] == owner[:, :, None])
    return Packed(ids, positions, is_related & (order <= order[:, None]), before)
