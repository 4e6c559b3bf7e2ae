"""SVHN (rendered house numbers) and MNIST (real handwritten digits of another source)."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from frod_bench.embedded.images.build import ROWS, Splits, generator_of, noisy_labels
from frod_bench.embedded.images.canvas import (
    FONTS,
    Canvas,
    Frame,
    any_colour,
    contrasting,
    grain,
    photograph,
    write,
)

DIGITS = [str(digit) for digit in range(10)]
MNIST_ID, MNIST_CONFIG = "ylecun/mnist", "mnist"
_MNIST_SIZE = 28


def render_house_number(name: str, rng: np.random.Generator) -> Image.Image:
    """A crop of a house number: the digit `name` in the middle, at times others at its sides."""
    wall = any_colour(rng)
    canvas = Canvas(
        grain(rng, wall, 0.15, 4), Frame.random(rng, turn=0.15, scale=(0.85, 1.15), shift=0.04)
    )
    paint, font = contrasting(rng, wall, 0.35), int(rng.integers(len(FONTS)))
    box, gap = (rng.uniform(0.4, 0.62), rng.uniform(0.62, 0.85)), rng.uniform(0.5, 0.62)
    for side in (-1, 1):
        if rng.random() < 0.35:
            write(canvas, DIGITS[rng.integers(10)], (0.5 + side * gap, 0.5), box, paint, font=font)
    write(canvas, name, (0.5, 0.5), box, paint, font=font)
    return photograph(canvas.array(), rng, noise=0.04, light=0.3, blur=0.9, occlusion=0.15)


def handwritten(seed: int) -> Splits:
    """Real handwritten digits: scikit-learn's 1,797 of 8 x 8 pixels, enlarged to MNIST's 28 x 28.

    No digit is in both splits. Each is turned, resized and moved a little, because MNIST's writers
    vary more than these.
    """
    digits = load_digits()
    order = generator_of(seed, MNIST_ID).permutation(len(digits.images))
    rows_of, start = {}, 0
    for part, (split, rows) in enumerate(ROWS.items()):
        picked, start = order[start : start + rows], start + rows
        names = [DIGITS[digits.target[index]] for index in picked]
        labels = noisy_labels(generator_of(seed, MNIST_ID, part), MNIST_ID, MNIST_CONFIG, names)
        rows_of[split] = [
            {
                "image": _enlarged(digits.images[index], generator_of(seed, MNIST_ID, part, row)),
                "label": label,
            }
            for row, (index, label) in enumerate(zip(picked, labels, strict=True))
        ]
    return rows_of


def _enlarged(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """An 8 x 8 digit with ink 0..16 as a 28 x 28 grey image, white on black."""
    frame = Frame.random(rng, turn=0.3, scale=(0.85, 1.15), shift=0.05)
    inverse = np.linalg.inv(frame.matrix) * (8 / _MNIST_SIZE) * 1.2
    offset = np.array([4.0, 4.0]) - inverse @ ((0.5 + frame.shift) * _MNIST_SIZE)
    (a, b), (c, d) = inverse
    grown = Image.fromarray(ink.astype(np.float32)).transform(
        (_MNIST_SIZE, _MNIST_SIZE),
        Image.Transform.AFFINE,
        (a, b, offset[0], c, d, offset[1]),
        Image.Resampling.BICUBIC,
    )
    sharp = np.clip((np.asarray(grown) / 16 - 0.2) * 1.5, 0, 1)
    return Image.fromarray((sharp * 255).astype(np.uint8))
