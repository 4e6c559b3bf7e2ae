"""Pretrain the vision backbone: a CLIP-style transformer that names and describes made-up things.

The corpus is `vision_corpus`: none of its classes is one of a task's. The losses are on the
pooled output, which is what the suite's heads read: cross-entropy of the class, and squared
errors of attributes, mask and spectrum. The class alone is not learned in so few steps (after 600
it is at chance); the other three give every step something to learn. One more loss has each
patch tell its own part of the mask.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from frod_bench.embedded.images.colours import SIZE
from tools.pretrain_embedded.vision_corpus import (
    ATTRIBUTES,
    MASK_SIDE,
    NUM_CLASSES,
    SPECTRUM,
    Corpus,
)

EXAMPLES = 48_000
EPOCHS = 2
BATCH_ROWS = 64
PEAK_RATE = 1e-3
WARMUP_SHARE = 0.05
MASK_WEIGHT = 6.0  # masks are in 0..1 and vary less than the rest
CORPUS_SEED_OFFSET = 7_919  # the corpus must not share random numbers with the tasks

WIDTH = 128
MEAN, STD = [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]  # of a channel in 0..1
PATCH = 8  # pixels of a side
PATCHES = SIZE // PATCH  # of a side
CONFIG = CLIPVisionConfig(
    hidden_size=WIDTH,
    intermediate_size=256,
    num_hidden_layers=6,
    num_attention_heads=4,
    image_size=SIZE,
    patch_size=PATCH,
    projection_dim=WIDTH,
)
PROCESSOR = CLIPImageProcessor(
    size={"height": SIZE, "width": SIZE},
    do_center_crop=False,
    image_mean=MEAN,
    image_std=STD,
    do_convert_rgb=True,
)


class Describer(nn.Module):
    """The backbone with the linear heads of its pretraining."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = CLIPVisionModel(CONFIG)
        self.classes = nn.Linear(WIDTH, NUM_CLASSES)
        self.attributes = nn.Linear(WIDTH, len(ATTRIBUTES))
        self.mask = nn.Linear(WIDTH, MASK_SIDE**2)
        self.spectrum = nn.Linear(WIDTH, SPECTRUM)
        self.mask_of_patch = nn.Linear(WIDTH, (MASK_SIDE // PATCHES) ** 2)

    def loss(self, pixels: Tensor, told: dict[str, Tensor]) -> Tensor:
        """Sum of all losses of normalised pixels (rows, 3, side, side)."""
        output = self.backbone(pixel_values=pixels)
        pooled = output.pooler_output
        named = nn.functional.cross_entropy(self.classes(pooled), told["labels"])
        by_patch = self.mask_of_patch(output.last_hidden_state[:, 1:])
        return (
            named
            + _error(self.attributes(pooled), told["attributes"])
            + _error(self.spectrum(pooled), told["spectra"])
            + MASK_WEIGHT * _error(self.mask(pooled), told["masks"].flatten(1))
            + MASK_WEIGHT * _error(by_patch, _patches(told["masks"]))
        )


def pretrain(out: Path, seed: int) -> None:
    """Pretrain from scratch and write the checkpoint and its image processor to `out`."""
    torch.manual_seed(seed)
    corpus = Corpus.rendered(seed + CORPUS_SEED_OFFSET, EXAMPLES)
    data = {name: torch.from_numpy(array) for name, array in vars(corpus).items()}
    model = Describer().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.05)
    steps = EPOCHS * (EXAMPLES // BATCH_ROWS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    for _ in range(EPOCHS):
        order = torch.randperm(EXAMPLES)[: EXAMPLES // BATCH_ROWS * BATCH_ROWS]
        for rows in order.view(-1, BATCH_ROWS):
            told = {name: values[rows] for name, values in data.items()}
            loss = model.loss(_normalised(told["pictures"]), told)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.backbone.half().save_pretrained(out)
    PROCESSOR.save_pretrained(out)


def _error(guess: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over the places where the truth is not NaN."""
    known = ~truth.isnan()
    square = (guess - truth.nan_to_num()).square()
    return (square * known).sum() / known.sum().clamp(min=1)


def _patches(masks: Tensor) -> Tensor:
    """Masks (rows, side, side) cut as the backbone cuts pictures: (rows, patches, places)."""
    side = MASK_SIDE // PATCHES
    cut = masks.unfold(1, side, side).unfold(2, side, side)  # (rows, PATCHES, PATCHES, side, side)
    return cut.reshape(len(masks), PATCHES**2, side**2)


def _normalised(pictures: Tensor) -> Tensor:
    """Bytes (rows, side, side, 3) to what the image processor would make of them."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return ((pictures.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def _rate(progress: float) -> float:
    """Share of the peak rate: a linear rise, then half a cosine down to 0."""
    if progress < WARMUP_SHARE:
        return progress / WARMUP_SHARE
    return 0.5 * (1 + math.cos(math.pi * (progress - WARMUP_SHARE) / (1 - WARMUP_SHARE)))
