"""What pictures from above share: grounds, fields, and that there is no up."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from frod_bench.embedded.images.canvas import (
    Array,
    Canvas,
    Colour,
    Frame,
    grain,
    near,
)

Scene = Callable[[np.random.Generator], Array]

GRASS: Colour = (0.42, 0.55, 0.28)
SOIL: Colour = (0.55, 0.44, 0.32)
WOOD: Colour = (0.13, 0.26, 0.14)
WATER: Colour = (0.12, 0.26, 0.42)
SAND: Colour = (0.82, 0.74, 0.56)
ASPHALT: Colour = (0.42, 0.42, 0.44)
CONCRETE: Colour = (0.66, 0.65, 0.63)
WHITE: Colour = (0.92, 0.92, 0.9)


def turned(rng: np.random.Generator, scale: tuple[float, float] = (0.8, 1.2)) -> Frame:
    """Tiles lie about north up; what they show lies either way round."""
    return Frame.random(rng, turn=0.3, scale=scale, shift=0.06, flip=True)


def open_country(rng: np.random.Generator) -> Array:
    """Open country of some kind, for things that lie in it."""
    kinds = (GRASS, SOIL, (0.5, 0.52, 0.33), (0.35, 0.45, 0.25))
    return grain(rng, near(rng, kinds[rng.integers(len(kinds))]), 0.12, 5)


def patchwork(rng: np.random.Generator, colours: tuple[Colour, ...], canvas: Canvas) -> None:
    """A patchwork of rectangular fields."""
    edges = np.cumsum(rng.uniform(0.2, 0.5, 8)) - 0.6
    for left, right in pairwise(edges):
        rows = np.cumsum(rng.uniform(0.25, 0.6, 7)) - 0.6
        for top, bottom in pairwise(rows):
            colour = near(rng, colours[rng.integers(len(colours))], 0.06)
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            canvas.polygon([(float(x), float(y)) for x, y in corners], colour)
