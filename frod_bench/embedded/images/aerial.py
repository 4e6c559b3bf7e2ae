"""Pictures from above: what they share, and EuroSAT's land use."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image

from frod_bench.embedded.images.build import Scenes
from frod_bench.embedded.images.canvas import (
    Array,
    Canvas,
    Colour,
    Frame,
    Point,
    blend,
    curve,
    fractal_noise,
    grain,
    hsv,
    near,
    photograph,
    ring_points,
)

LAND_USE = Scenes()

GRASS: Colour = (0.42, 0.55, 0.28)
SOIL: Colour = (0.55, 0.44, 0.32)
WOOD: Colour = (0.13, 0.26, 0.14)
WATER: Colour = (0.12, 0.26, 0.42)
SAND: Colour = (0.82, 0.74, 0.56)
ASPHALT: Colour = (0.42, 0.42, 0.44)
CONCRETE: Colour = (0.66, 0.65, 0.63)
MEADOW: Colour = (0.42, 0.58, 0.3)
GARDENS: Colour = (0.4, 0.48, 0.33)
WHITE: Colour = (0.92, 0.92, 0.9)


def turned(rng: np.random.Generator, scale: tuple[float, float] = (0.8, 1.2)) -> Frame:
    """A random frame: tiles are roughly north up, and what they show can face either way."""
    return Frame.random(rng, turn=0.3, scale=scale, shift=0.06, flip=True)


def ground(
    colour: Colour,
    *,
    spread: float = 0.08,
    strength: float = 0.1,
    cells: int = 8,
    scale: Point = (0.8, 1.2),
) -> Callable[[np.random.Generator], tuple[Canvas]]:
    """How a scene starts: uneven ground of about one colour, turned at random."""
    return lambda rng: (
        Canvas(grain(rng, near(rng, colour, spread), strength, cells), turned(rng, scale)),
    )


def open_country(rng: np.random.Generator) -> Array:
    """Open country of some kind, as a background."""
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


@LAND_USE.add("annual crop land")
def annual_crop(rng: np.random.Generator) -> Array:
    """Large bare and green fields, with faint furrows."""
    canvas = Canvas(SOIL, turned(rng, (1.0, 1.5)))
    patchwork(rng, (SOIL, (0.66, 0.56, 0.4), GRASS, (0.5, 0.42, 0.3), (0.62, 0.62, 0.4)), canvas)
    return canvas.array() + (fractal_noise(rng, 10)[..., None] - 0.5) * 0.08


@LAND_USE.add("forest")
def forest(rng: np.random.Generator) -> Array:
    """Dark crowns without a gap."""
    return blend(
        near(rng, (0.06, 0.15, 0.08), 0.03),
        near(rng, (0.2, 0.36, 0.2), 0.05),
        fractal_noise(rng, 12),
    )


@LAND_USE.add("brushland or shrubland")
def shrubland(rng: np.random.Generator) -> Array:
    """Pale, uneven ground with scattered bushes."""
    canvas = Canvas(grain(rng, near(rng, (0.55, 0.52, 0.36)), 0.15, 4))
    for x, y in rng.random((int(rng.integers(15, 40)), 2)):
        canvas.ellipse((x, y), rng.uniform(0.015, 0.045), near(rng, (0.28, 0.34, 0.2)))
    return canvas.array()


@LAND_USE.add("highway or road")
def highway(rng: np.random.Generator) -> Array:
    """A grey band with a pale middle through the country."""
    canvas = Canvas(open_country(rng), turned(rng, (1.0, 1.3)))
    if rng.random() < 0.6:
        patchwork(rng, (SOIL, GRASS, (0.5, 0.5, 0.32)), canvas)
    road, width = curve(rng, 0.12), rng.uniform(0.07, 0.13)
    canvas.line(road, near(rng, CONCRETE, 0.06), width)
    canvas.line(road, near(rng, ASPHALT, 0.05), width * 0.3)
    return canvas.array()


@LAND_USE.add("industrial buildings or commercial buildings", ground(CONCRETE, strength=0.08))
def industrial(rng: np.random.Generator, canvas: Canvas) -> None:
    """A few large, bright, flat roofs on paved ground."""
    for x, y in np.stack(np.meshgrid([0.0, 0.35, 0.7, 1.0], [0.0, 0.4, 0.8]), -1).reshape(-1, 2):
        roof = WHITE if rng.random() < 0.6 else (0.45, 0.5, 0.58)
        sides = (rng.uniform(0.15, 0.33), rng.uniform(0.2, 0.37))
        canvas.rectangle((x + 0.02, y + 0.02), sides, (0.25, 0.25, 0.27))
        canvas.rectangle((x, y), sides, near(rng, roof, 0.07))


@LAND_USE.add(
    "pasture land", ground((0.42, 0.58, 0.3), spread=0.05, strength=0.07, cells=3, scale=(1, 1.5))
)
def pasture(rng: np.random.Generator, canvas: Canvas) -> None:
    """Even, light green meadows, parted by hedges."""
    for _ in range(int(rng.integers(1, 4))):
        start, end = rng.uniform(-0.2, 1.2, (2, 2))
        canvas.line([tuple(start), tuple(end)], near(rng, (0.2, 0.33, 0.18)), 0.025)


@LAND_USE.add("permanent crop land", ground((0.62, 0.54, 0.4), strength=0.08, scale=(1.1, 1.6)))
def permanent_crop(rng: np.random.Generator, canvas: Canvas) -> None:
    """Rows of trees or vines: regular lines on bare ground."""
    gap, dotted = rng.uniform(0.085, 0.15), rng.random() < 0.5
    for across in np.arange(-0.3, 1.3, gap):
        colour = near(rng, (0.28, 0.38, 0.2), 0.04)
        if dotted:
            for along in np.arange(-0.3, 1.3, gap):
                canvas.ellipse((along, across), gap * 0.33, colour)
        else:
            canvas.line([(-0.4, across), (1.4, across)], colour, gap * 0.45)


@LAND_USE.add("residential buildings or homes or apartments", ground(GARDENS, strength=0.1))
def residential(rng: np.random.Generator, canvas: Canvas) -> None:
    """Many small roofs along streets, with gardens."""
    gap = rng.uniform(0.13, 0.2)
    for row, y in enumerate(np.arange(-0.3, 1.3, gap)):
        if row % 3 == 0:
            canvas.line([(-0.4, y), (1.4, y)], near(rng, ASPHALT), 0.06)
            continue
        for x in np.arange(-0.3, 1.3, gap):
            roof = hsv(rng.uniform(0.0, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.75))
            sides = (gap * rng.uniform(0.45, 0.75), gap * rng.uniform(0.4, 0.65))
            canvas.rectangle((x + rng.normal(0, 0.01), y), sides, roof)


@LAND_USE.add("river")
def river(rng: np.random.Generator) -> Array:
    """A winding band of water through the country."""
    canvas = Canvas(open_country(rng))
    if rng.random() < 0.4:
        patchwork(rng, (SOIL, GRASS, WOOD), canvas)
    course, width = curve(rng, rng.uniform(0.15, 0.35)), rng.uniform(0.1, 0.28)
    canvas.line(course, near(rng, WOOD, 0.06), width * 1.35)
    canvas.line(course, near(rng, (0.2, 0.32, 0.38), 0.06), width)
    return canvas.array()


@LAND_USE.add("lake or sea")
def open_water(rng: np.random.Generator) -> Array:
    """Water nearly everywhere, at times with a piece of shore."""
    water = grain(rng, near(rng, (0.1, 0.22, 0.36), 0.05), 0.05, 5)
    canvas = Canvas(water, turned(rng))
    if rng.random() < 0.5:
        shore = ring_points((rng.uniform(-0.1, 1.1), 1.25), (rng.uniform(0.5, 0.9), 0.45), 10)
        canvas.polygon(shore + rng.normal(0, 0.03, shore.shape), near(rng, (0.36, 0.42, 0.26)))
    return canvas.array()


def render(name: str, rng: np.random.Generator) -> Image.Image:
    """A satellite's picture of the land use `name`: coarse, hazy."""
    return photograph(LAND_USE[name](rng), rng, noise=0.02, light=0.7, blur=0.5, occlusion=0.1)
