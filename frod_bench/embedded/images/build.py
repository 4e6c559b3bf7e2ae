"""From a renderer to the rows of a data set: splits, sizes, balance and label noise."""

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from frod_bench.data.hub_schema import features_of

ROWS = {"train": 1200, "test": 500}
LABEL_NOISE = 0.03  # share of rows, in every split, that carry another class of the same set

Renderer = Callable[[str, np.random.Generator], Image.Image]


def generator_of(seed: int, hub_id: str, *parts: int) -> np.random.Generator:
    """The random numbers of one row: keyed by seed, set and place, so no row shares them."""
    return np.random.default_rng([seed, zlib.crc32(hub_id.encode()), *parts])


def rendered_set(
    hub_id: str, config: str, classes: Sequence[str], render: Renderer
) -> Callable[[int], dict[str, list[dict[str, Any]]]]:
    """The generator of a data set whose images `render(class name, rng)` draws."""

    def rows_of_split(seed: int, part: int, rows: int) -> list[dict[str, Any]]:
        rng = generator_of(seed, hub_id, part)
        shown = [classes[i % len(classes)] for i in rng.permutation(rows)]  # balanced
        labels = noisy_labels(rng, hub_id, config, shown)
        return [
            {"image": render(name, generator_of(seed, hub_id, part, row)), "label": label}
            for row, (name, label) in enumerate(zip(shown, labels, strict=True))
        ]

    def generate(seed: int) -> dict[str, list[dict[str, Any]]]:
        return {
            split: rows_of_split(seed, part, rows)
            for part, (split, rows) in enumerate(ROWS.items())
        }

    return generate


def noisy_labels(
    rng: np.random.Generator, hub_id: str, config: str, names: Sequence[str]
) -> list[int]:
    """The Hub's class index of every name, a share `LABEL_NOISE` of them another name's."""
    classes = sorted(set(names))
    label_of = features_of(hub_id, config)["label"].str2int
    given = [
        classes[(classes.index(name) + int(rng.integers(1, len(classes)))) % len(classes)]
        if rng.random() < LABEL_NOISE
        else name
        for name in names
    ]
    return [label_of(name) for name in given]
