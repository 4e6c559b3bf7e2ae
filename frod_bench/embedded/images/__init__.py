"""The eight vision data sets: rendered images, and real handwritten digits, in the Hub's schema."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image
from sklearn.datasets import load_digits

from frod_bench.data.hub_schema import features_of
from frod_bench.embedded.images import aerial, cars, scenes, signs, textures
from frod_bench.embedded.images.canvas import placed
from frod_bench.embedded.images.colours import Array
from frod_bench.embedded.images.shapes import Frame

ROWS = {"train": 1200, "test": 500}
LABEL_NOISE = 0.03  # share of the rows of every split that get the label of another class
MNIST = ("ylecun/mnist", "mnist")
MNIST_SIZE = 28

Splits = dict[str, list[dict[str, Any]]]
Renderer = Callable[[str, Generator], Image.Image]


def generator_of(seed: int, hub_id: str, *parts: int) -> Generator:
    """The random numbers of a row, or of a split: keyed by seed, set and place, so that none are
    shared.
    """
    return np.random.default_rng([seed, zlib.crc32(hub_id.encode()), *parts])


def noisy_labels(rng: Generator, hub_id: str, config: str, names: Sequence[str]) -> list[int]:
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


def rendered(
    hub_id: str, config: str, classes: Iterable[str], render: Renderer, seed: int
) -> Splits:
    """A data set with balanced classes whose images `render(class name, rng)` draws."""
    names, rows_of = list(classes), {}
    for part, (split, rows) in enumerate(ROWS.items()):
        rng = generator_of(seed, hub_id, part)
        shown = [names[i % len(names)] for i in rng.permutation(rows)]
        labels = noisy_labels(rng, hub_id, config, shown)
        rows_of[split] = [
            {"image": render(name, generator_of(seed, hub_id, part, row)), "label": label}
            for row, (name, label) in enumerate(zip(shown, labels, strict=True))
        ]
    return rows_of


def handwritten(seed: int) -> Splits:
    """MNIST: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, enlarged to 28 x 28.

    No digit is in both splits. Each is turned, resized and moved a little.
    """
    digits = load_digits()
    order = generator_of(seed, MNIST[0]).permutation(len(digits.images))
    rows_of, start = {}, 0
    for part, (split, rows) in enumerate(ROWS.items()):
        picked, start = order[start : start + rows], start + rows
        names = [str(digits.target[index]) for index in picked]
        labels = noisy_labels(generator_of(seed, MNIST[0], part), *MNIST, names)
        rows_of[split] = [
            {"image": _enlarged(ink, generator_of(seed, MNIST[0], part, row)), "label": label}
            for row, (ink, label) in enumerate(zip(digits.images[picked], labels, strict=True))
        ]
    return rows_of


def _enlarged(ink: Array, rng: Generator) -> Image.Image:
    """An 8 x 8 digit with ink 0..16 as a 28 x 28 grey image, white on black."""
    frame = Frame.random(rng, turn=0.3, scale=(0.85, 1.15), shift=0.05)
    inverse = np.linalg.inv(frame.matrix) * (8 / MNIST_SIZE) * 1.2
    middle, image = (0.5 + frame.shift) * MNIST_SIZE, Image.fromarray(ink.astype(np.float32))
    grown = placed(image, MNIST_SIZE, inverse, middle, Image.Resampling.BICUBIC)
    sharp = np.clip((np.asarray(grown) / 16 - 0.2) * 1.5, 0, 1)
    return Image.fromarray((sharp * 255).astype(np.uint8))


_RENDERED: dict[tuple[str, str], tuple[Iterable[str], Renderer]] = {
    ("tanganke/dtd", "default"): (textures.NAMES, textures.render),
    ("tanganke/eurosat", "default"): (aerial.LAND_USE, aerial.LAND_USE.render),
    ("tanganke/gtsrb", "default"): (signs.SIGNS, signs.render),
    ("tanganke/resisc45", "default"): (aerial.REMOTE_SENSING, aerial.REMOTE_SENSING.render),
    ("tanganke/stanford_cars", "default"): (cars.OUTLINES, cars.render),
    ("tanganke/sun397", "default"): (scenes.SCENES, scenes.SCENES.render),
    ("ufldl-stanford/svhn", "cropped_digits"): ("0123456789", signs.render_house_number),
}

# (Hub id, Hub config) -> seed -> split -> rows
SETS: dict[tuple[str, str], Callable[[int], Splits]] = {
    **{key: partial(rendered, *key, *drawn) for key, drawn in _RENDERED.items()},
    MNIST: handwritten,
}
