"""DTD: describable textures, each a rule for light and dark."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from frod_bench.embedded.images.canvas import photograph
from frod_bench.embedded.images.colours import (
    SIZE,
    Array,
    any_colour,
    blend,
    contrasting,
    fractal_noise,
    smooth_noise,
)
from frod_bench.embedded.images.shapes import rotation

PI2 = 2 * np.pi
TURN = 0.3  # radians: people hold a camera about upright


def _coordinates(start: float = 0, stop: float = 1) -> list[Array]:
    """Every pixel's x and y, both (SIZE, SIZE)."""
    return list(np.meshgrid(*[np.linspace(start, stop, SIZE)] * 2))


def _plane(rng: Generator, low: float, high: float) -> tuple[Array, Array]:
    """Turned and shifted coordinates (u, v), both (SIZE, SIZE), with `low` to `high` periods."""
    x, y = _coordinates(-0.5, 0.5)
    angle, periods = rng.uniform(-TURN, TURN), rng.uniform(low, high)
    u = (np.cos(angle) * x - np.sin(angle) * y) * periods + rng.random()
    v = (np.sin(angle) * x + np.cos(angle) * y) * periods + rng.random()
    warp = rng.uniform(0, 0.35)
    return u + warp * smooth_noise(rng, 2), v + warp * smooth_noise(rng, 2)


def _wave(phase: Array) -> Array:
    return 0.5 + 0.5 * np.cos(PI2 * phase)


def _step(value: Array, sharpness: float = 12.0) -> Array:
    """A soft threshold at 0."""
    return 1 / (1 + np.exp(-np.clip(sharpness * value, -30, 30)))


def _nearest(points: Array) -> tuple[Array, Array]:
    """Distances in units of the picture's side to the nearest and second nearest of `points`."""
    x, y = _coordinates()
    square = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    two = np.sqrt(np.partition(square, 1, axis=-1)[..., :2])
    return two[..., 0], two[..., 1]


def _lattice(start: int, stop: int) -> NDArray[np.int64]:
    """All pairs of whole numbers from `start` to before `stop`, (n, 2)."""
    return np.stack(np.meshgrid(*[np.arange(start, stop)] * 2), axis=-1).reshape(-1, 2)


def banded(rng: Generator) -> Array:
    """A few broad bands of several tones."""
    u, _ = _plane(rng, 3.5, 6)
    tones = rng.permutation(4) / 3
    return tones[np.floor(u).astype(int) % 4]


def bubbly(rng: Generator) -> Array:
    """Circles with a bright rim, of many sizes, packed at random."""
    count = int(rng.integers(10, 20))
    x, y = _coordinates()
    field = np.full((SIZE, SIZE), 0.25)
    for centre, radius in zip(rng.random((count, 2)), rng.uniform(0.06, 0.16, count), strict=True):
        distance = np.hypot(x - centre[0], y - centre[1]) / radius
        field = np.where(distance < 1, 0.2 + 0.8 * distance**3, field)
    return field


def cracked(rng: Generator) -> Array:
    """Thin dark edges between irregular plates."""
    first, second = _nearest(rng.random((int(rng.integers(8, 18)), 2)))
    return np.clip((second - first) / 0.06, 0, 1)


def crosshatched(rng: Generator) -> Array:
    """Fine strokes in two directions that are not at right angles, unevenly inked."""
    u, v = _plane(rng, 6, 9)
    ink = _step(_wave(u) - 0.7) * fractal_noise(rng, 5) + _step(_wave(0.8 * v + 0.6 * u) - 0.7)
    return 1 - ink * (0.4 + 0.6 * fractal_noise(rng, 6))


def dotted(rng: Generator) -> Array:
    """Many small dots, placed at random but apart."""
    side = int(rng.integers(6, 9))
    lattice = _lattice(0, side + 1)
    points = (lattice + rng.uniform(-0.35, 0.35, lattice.shape)) / side
    return _step(0.04 - _nearest(points)[0], 80)


def honeycombed(rng: Generator) -> Array:
    """Regular six-sided cells with thin walls."""
    side = rng.uniform(3.5, 6.5)
    lattice = _lattice(-9, 10) @ np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    turned = lattice @ rotation(rng.uniform(-TURN, TURN))
    first, second = _nearest(turned / side + 0.5 + rng.uniform(-0.1, 0.1, 2))
    return np.clip((second - first) * side / 0.35, 0, 1)


def marbled(rng: Generator) -> Array:
    """Veins: waves that noise has pushed about."""
    u, _ = _plane(rng, 1.5, 3)
    return _wave(u + rng.uniform(1.2, 2.2) * fractal_noise(rng, 3)) ** 2


def spiralled(rng: Generator) -> Array:
    """Arms that wind about a centre."""
    x, y = (axis + rng.uniform(-0.2, 0.2) for axis in _coordinates(-0.5, 0.5))
    arms = int(rng.integers(1, 4)) * rng.choice([-1, 1])
    return _wave(np.hypot(x, y) * rng.uniform(3, 6) + arms * np.arctan2(y, x) / PI2)


def sprinkled(rng: Generator) -> Array:
    """Few, scattered specks of uneven strength."""
    specks = (rng.random((SIZE, SIZE)) < rng.uniform(0.03, 0.08)) * rng.uniform(0.6, 1.2)
    grown = np.asarray(Image.fromarray(specks.astype(np.float32)).resize((SIZE * 2,) * 2))
    return np.clip(grown[:SIZE, :SIZE], 0, 1)


def woven(rng: Generator) -> Array:
    """Strips that go over and under each other."""
    u, v = _plane(rng, 3, 5)
    over = (np.floor(u) + np.floor(v)) % 2 == 0
    across = np.where(over, np.sin(np.pi * (u % 1)), np.sin(np.pi * (v % 1)))
    return np.where(over, 0.55, 0.25) * across + 0.4 * across**2


def zigzagged(rng: Generator) -> Array:
    """Stripes that run up and down in sharp turns."""
    u, v = _plane(rng, 3, 5)
    triangle = np.abs((v * rng.uniform(0.8, 1.3)) % 1.0 * 2 - 1)
    return _step(_wave(u + 0.7 * triangle) - 0.5, 10)


# What depends on turned coordinates alone: the fewest and most periods, and the tone at (u, v).
PLANE_RULES: dict[str, tuple[float, float, Callable[[Array, Array], Array]]] = {
    "chequered": (2, 4.5, lambda u, v: _step(np.sin(PI2 * u) * np.sin(PI2 * v), 8)),
    "grid": (3.5, 6.5, lambda u, v: np.maximum(_step(_wave(u) - 0.8), _step(_wave(v) - 0.8))),
    "polka-dotted": (2.5, 4.5, lambda u, v: _step(0.33 - np.hypot(u % 1 - 0.5, v % 1 - 0.5), 25)),
    "striped": (3.5, 7, lambda u, _: _step(_wave(u) - 0.5, 10)),
}
_OTHERS: tuple[Callable[[Generator], Array], ...] = (
    banded, bubbly, cracked, crosshatched, dotted, honeycombed, marbled, spiralled,
    sprinkled, woven, zigzagged,
)  # fmt: skip
RULES = {rule.__name__: rule for rule in _OTHERS}
RULES["blotchy"] = lambda rng: _step(fractal_noise(rng, int(rng.integers(3, 6))) - 0.5, 25)
NAMES = sorted((*RULES, *PLANE_RULES))


def render(name: str, rng: Generator) -> Image.Image:
    """A photograph of the texture `name`, in two colours of any hue."""
    low = any_colour(rng)
    high = contrasting(rng, low, 0.3)
    if name in RULES:
        tone = RULES[name](rng)
    else:
        fewest, most, of_plane = PLANE_RULES[name]
        tone = of_plane(*_plane(rng, fewest, most))
    return photograph(blend(low, high, tone), rng, noise=0.03, light=0.3, occlusion=0.1)
