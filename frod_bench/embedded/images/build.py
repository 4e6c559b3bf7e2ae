"""From a renderer to the rows of a data set: splits, sizes, balance and label noise."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from frod_bench.data.hub_schema import features_of
from frod_bench.embedded.images.canvas import Array

ROWS = {"train": 1200, "test": 500}
LABEL_NOISE = 0.03  # share of the rows of every split that get the label of another class

Splits = dict[str, list[dict[str, Any]]]
Renderer = Callable[[str, np.random.Generator], Image.Image]
Scene = Callable[[np.random.Generator], Array]


class Scenes(dict[str, Scene]):
    """Class name -> function that draws a picture of it, in the order of registration."""

    def add(
        self, name: str, start: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register the decorated function under `name`.

        Without `start` it returns the picture. With it, it draws on the canvas that `start`
        prepares; what else `start` returns is passed on.
        """

        def register(draw: Callable[..., Any]) -> Callable[..., Any]:
            def scene(rng: np.random.Generator) -> Array:
                assert start is not None
                canvas, *others = start(rng)
                draw(rng, canvas, *others)
                return canvas.array()

            self[name] = scene if start else draw
            return draw

        return register


def generator_of(seed: int, hub_id: str, *parts: int) -> np.random.Generator:
    """The random numbers of one row: keyed by seed, set and place, so that no two rows share."""
    return np.random.default_rng([seed, zlib.crc32(hub_id.encode()), *parts])


def rendered_set(
    hub_id: str, config: str, classes: Iterable[str], render: Renderer
) -> Callable[[int], Splits]:
    """The generator of a data set whose images `render(class name, rng)` draws."""
    names = list(classes)

    def rows_of(seed: int, part: int, rows: int) -> list[dict[str, Any]]:
        rng = generator_of(seed, hub_id, part)
        shown = [names[i % len(names)] for i in rng.permutation(rows)]  # balanced
        labels = noisy_labels(rng, hub_id, config, shown)
        return [
            {"image": render(name, generator_of(seed, hub_id, part, row)), "label": label}
            for row, (name, label) in enumerate(zip(shown, labels, strict=True))
        ]

    return lambda seed: {
        split: rows_of(seed, part, rows) for part, (split, rows) in enumerate(ROWS.items())
    }


def noisy_labels(
    rng: np.random.Generator, hub_id: str, config: str, names: Sequence[str]
) -> list[int]:
    """The Hub's class index of every name; for a share `LABEL_NOISE` of them another name's."""
    classes = sorted(set(names))
    label_of = features_of(hub_id, config)["label"].str2int
    given = [
        classes[(classes.index(name) + int(rng.integers(1, len(classes)))) % len(classes)]
        if rng.random() < LABEL_NOISE
        else name
        for name in names
    ]
    return [label_of(name) for name in given]
