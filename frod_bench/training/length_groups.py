"""A forward pass in groups of rows of similar length, so that less is computed on padding."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

MASK = "attention_mask"


def forward(model: nn.Module, batch: Mapping[str, Tensor], count: int) -> Tensor:
    """Return the model's outputs for a batch, N x C, in the order of its rows; rows of similar
    length go through the model together, in `count` groups. Images have one length: they are one
    group, as is everything with `count` = 1.
    """
    if count == 1 or MASK not in batch:
        outputs: Tensor = model(**batch)
        return outputs
    chosen, parts = zip(*split(batch, count), strict=True)
    return torch.cat([model(**part) for part in parts])[torch.cat(chosen).argsort()]


def split(batch: Mapping[str, Tensor], count: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Yield the row numbers of each group, and its rows without the padding that all of them share.

    Every tensor of the batch is N x ... x L, padded on the right; the longest sequence of a row
    decides its group.
    """
    mask = batch[MASK]
    lengths = mask.flatten(1, -2).sum(dim=-1).amax(dim=-1) if mask.dim() > 2 else mask.sum(dim=-1)
    for rows in lengths.argsort(stable=True).tensor_split(min(count, len(lengths))):
        longest = int(lengths[rows].max())
        yield rows, {name: values[rows][..., :longest] for name, values in batch.items()}
