"""Colours, and pictures without shapes: grounds, noise and blends.

Pictures are float arrays of shape (SIZE, SIZE, 3) with values in 0..1.
"""

import colorsys

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

SIZE = 32  # pixels of a picture's side

Array = NDArray[np.float64]
Colour = tuple[float, float, float]  # red, green, blue in 0..1


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (1 is a full turn), saturation and value; the latter two are clipped."""
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))


def near(rng: Generator, colour: Colour, spread: float = 0.08) -> Colour:
    """A colour close to `colour`: brightness moves most, the tint a little."""
    light = rng.normal(0, spread)
    red, green, blue = (c + light + rng.normal(0, spread / 2) for c in colour)
    return (min(max(red, 0), 1), min(max(green, 0), 1), min(max(blue, 0), 1))


def any_colour(rng: Generator) -> Colour:
    """A colour of any hue."""
    return hsv(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.25, 1.0))


def contrasting(rng: Generator, other: Colour, gap: float = 0.3) -> Colour:
    """A colour of any hue whose brightness differs from that of `other` by at least `gap`."""
    while True:
        colour = any_colour(rng)
        if abs(sum(colour) - sum(other)) / 3 >= gap:
            return colour


def smooth_noise(rng: Generator, cells: int) -> Array:
    """Noise of about `cells` bumps a side: (SIZE, SIZE) in 0..1, more or less."""
    coarse = Image.fromarray(rng.random((cells + 1, cells + 1), dtype=np.float32))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)


def fractal_noise(rng: Generator, cells: int) -> Array:
    """Three octaves of smooth noise, each half as strong as the one before: (SIZE, SIZE)."""
    octaves = [smooth_noise(rng, min(cells * 2**i, SIZE)) / 2**i for i in range(3)]
    return np.sum(octaves, axis=0) / 1.75


def blend(low: Colour, high: Colour, amount: Array) -> Array:
    """The picture that is `low` where `amount` (SIZE, SIZE) is 0 and `high` where it is 1."""
    share = np.clip(amount, 0, 1)[..., None]
    return np.asarray(low) * (1 - share) + np.asarray(high) * share


def grain(rng: Generator, colour: Colour, strength: float = 0.1, cells: int = 8) -> Array:
    """A ground of one colour, made uneven by noise."""
    uneven = (fractal_noise(rng, cells) - 0.5) * 2 * strength
    return np.clip(np.asarray(colour) + uneven[..., None], 0, 1)
