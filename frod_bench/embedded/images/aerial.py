"""Pictures from above: EuroSAT's land use, then the scenes of RESISC45."""

from collections.abc import Callable
from itertools import pairwise, product

import numpy as np
from numpy.random import Generator

from frod_bench.embedded.images.canvas import Canvas, Scenes
from frod_bench.embedded.images.colours import Array, Colour, blend, fractal_noise, grain, hsv, near
from frod_bench.embedded.images.shapes import Frame, Point, arc, curve, ring_points

LAND_USE = Scenes(noise=0.02, light=0.7, blur=0.5, occlusion=0.1)  # a satellite's: coarse, hazy
REMOTE_SENSING = Scenes(noise=0.03, light=0.8, blur=0.6, occlusion=0.1)  # a plane's

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


def turned(rng: Generator, scale: Point = (0.8, 1.2)) -> Frame:
    """A random frame: tiles are roughly north up, and what they show can face either way."""
    return Frame.random(rng, turn=0.3, scale=scale, shift=0.06, flip=True)


def ground(
    colour: Colour,
    *,
    spread: float = 0.08,
    strength: float = 0.1,
    cells: int = 8,
    scale: Point = (0.8, 1.2),
) -> Callable[[Generator], tuple[Canvas]]:
    """How a scene starts: uneven ground of about one colour, turned at random."""
    return lambda rng: (
        Canvas(grain(rng, near(rng, colour, spread), strength, cells), turned(rng, scale)),
    )


def open_country(rng: Generator) -> Array:
    """Open country of some kind, as a background."""
    kinds = (GRASS, SOIL, (0.5, 0.52, 0.33), (0.35, 0.45, 0.25))
    return grain(rng, near(rng, kinds[rng.integers(len(kinds))]), 0.12, 5)


def patchwork(rng: Generator, colours: tuple[Colour, ...], canvas: Canvas) -> None:
    """A patchwork of rectangular fields."""
    for left, right in pairwise(np.cumsum(rng.uniform(0.2, 0.5, 8)) - 0.6):
        for top, bottom in pairwise(np.cumsum(rng.uniform(0.25, 0.6, 7)) - 0.6):
            colour = near(rng, colours[rng.integers(len(colours))], 0.06)
            canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)


@LAND_USE.add("annual crop land")
def _annual_crop(rng: Generator) -> Array:
    canvas = Canvas(SOIL, turned(rng, (1.0, 1.5)))
    patchwork(rng, (SOIL, (0.66, 0.56, 0.4), GRASS, (0.5, 0.42, 0.3), (0.62, 0.62, 0.4)), canvas)
    return canvas.array() + (fractal_noise(rng, 10)[..., None] - 0.5) * 0.08


@LAND_USE.add("forest")
def _forest(rng: Generator) -> Array:
    shade, light = near(rng, (0.06, 0.15, 0.08), 0.03), near(rng, (0.2, 0.36, 0.2), 0.05)
    return blend(shade, light, fractal_noise(rng, 12))


@LAND_USE.add("brushland or shrubland")
def _shrubland(rng: Generator) -> Array:
    canvas = Canvas(grain(rng, near(rng, (0.55, 0.52, 0.36)), 0.15, 4))
    for x, y in rng.random((int(rng.integers(15, 40)), 2)):
        canvas.ellipse((x, y), rng.uniform(0.015, 0.045), near(rng, (0.28, 0.34, 0.2)))
    return canvas.array()


@LAND_USE.add("highway or road")
def _highway(rng: Generator) -> Array:
    canvas = Canvas(open_country(rng), turned(rng, (1.0, 1.3)))
    if rng.random() < 0.6:
        patchwork(rng, (SOIL, GRASS, (0.5, 0.5, 0.32)), canvas)
    road, width = curve(rng, 0.12), rng.uniform(0.07, 0.13)
    canvas.line(road, near(rng, CONCRETE, 0.06), width)
    canvas.line(road, near(rng, ASPHALT, 0.05), width * 0.3)
    return canvas.array()


@LAND_USE.add("industrial buildings or commercial buildings", ground(CONCRETE, strength=0.08))
def _industrial(rng: Generator, canvas: Canvas) -> None:
    for y, x in product((0.0, 0.4, 0.8), (0.0, 0.35, 0.7, 1.0)):
        roof = WHITE if rng.random() < 0.6 else (0.45, 0.5, 0.58)
        sides = (rng.uniform(0.15, 0.33), rng.uniform(0.2, 0.37))
        canvas.rectangle((x + 0.02, y + 0.02), sides, (0.25, 0.25, 0.27))
        canvas.rectangle((x, y), sides, near(rng, roof, 0.07))


@LAND_USE.add("pasture land", ground(MEADOW, spread=0.05, strength=0.07, cells=3, scale=(1, 1.5)))
def _pasture(rng: Generator, canvas: Canvas) -> None:
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.uniform(-0.2, 1.2, (2, 2))
        canvas.line(ends, near(rng, (0.2, 0.33, 0.18)), 0.025)


@LAND_USE.add("permanent crop land", ground((0.62, 0.54, 0.4), strength=0.08, scale=(1.1, 1.6)))
def _permanent_crop(rng: Generator, canvas: Canvas) -> None:
    gap, dotted = rng.uniform(0.085, 0.15), rng.random() < 0.5
    for across in np.arange(-0.3, 1.3, gap):
        colour = near(rng, (0.28, 0.38, 0.2), 0.04)
        if dotted:
            for along in np.arange(-0.3, 1.3, gap):
                canvas.ellipse((along, across), gap * 0.33, colour)
        else:
            canvas.line([(-0.4, across), (1.4, across)], colour, gap * 0.45)


@LAND_USE.add("residential buildings or homes or apartments", ground(GARDENS, strength=0.1))
def _residential(rng: Generator, canvas: Canvas) -> None:
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
def _river(rng: Generator) -> Array:
    canvas = Canvas(open_country(rng))
    if rng.random() < 0.4:
        patchwork(rng, (SOIL, GRASS, WOOD), canvas)
    course, width = curve(rng, rng.uniform(0.15, 0.35)), rng.uniform(0.1, 0.28)
    canvas.line(course, near(rng, WOOD, 0.06), width * 1.35)
    canvas.line(course, near(rng, (0.2, 0.32, 0.38), 0.06), width)
    return canvas.array()


@LAND_USE.add("lake or sea", ground((0.1, 0.22, 0.36), spread=0.05, strength=0.05, cells=5))
def _open_water(rng: Generator, canvas: Canvas) -> None:
    if rng.random() < 0.5:
        shore = ring_points((rng.uniform(-0.1, 1.1), 1.25), (rng.uniform(0.5, 0.9), 0.45), 10)
        canvas.polygon(shore + rng.normal(0, 0.03, shore.shape), near(rng, (0.36, 0.42, 0.26)))


@REMOTE_SENSING.add("airplane", ground(CONCRETE, spread=0.06))
def _airplane(rng: Generator, canvas: Canvas) -> None:
    canvas.line([(-0.5, 0.85), (1.5, 0.85)], near(rng, (0.75, 0.7, 0.4)), 0.03)
    wing, body = rng.uniform(0.28, 0.42), near(rng, WHITE, 0.05)
    for side in (-1, 1):
        tip, tail = 0.5 + side * wing, 0.5 + side * 0.14
        canvas.polygon([(0.55, 0.5), (0.4, tip), (0.33, tip), (0.4, 0.5)], body)
        canvas.polygon([(0.2, 0.5), (0.1, tail), (0.06, tail), (0.1, 0.5)], body)
    canvas.ellipse((0.48, 0.5), (0.42, 0.055), body)


@REMOTE_SENSING.add("baseball_diamond", ground(GRASS))
def _baseball_diamond(rng: Generator, canvas: Canvas) -> None:
    fan = arc((0.2, 0.5), 0.55, np.linspace(-np.pi / 4, np.pi / 4, 9))
    canvas.polygon(np.vstack([[(0.15, 0.5)], fan]), near(rng, (0.7, 0.53, 0.36), 0.05))
    canvas.rectangle((0.42, 0.5), (0.24, 0.24), near(rng, GRASS, 0.05), np.pi / 4)


@REMOTE_SENSING.add("beach", ground((0.15, 0.42, 0.52), strength=0.05))
def _beach(rng: Generator, canvas: Canvas) -> None:
    along = np.linspace(-0.5, 1.5, 12)
    across = rng.uniform(0.35, 0.65) + 0.06 * np.sin(along * rng.uniform(3, 8))
    line = np.stack([along, across + rng.normal(0, 0.01, 12)], axis=1)
    canvas.polygon(np.vstack([line, [(1.5, 1.8), (-0.5, 1.8)]]), near(rng, SAND))
    canvas.line(line, WHITE, rng.uniform(0.03, 0.07))


@REMOTE_SENSING.add("bridge", ground(WATER, strength=0.05))
def _bridge(rng: Generator, canvas: Canvas) -> None:
    bank = rng.uniform(0.2, 0.32)
    for y in (bank - 0.6, 1.6 - bank):
        canvas.rectangle((0.5, y), (2.5, 1.2), near(rng, GRASS))
    x, width = rng.uniform(0.3, 0.7), rng.uniform(0.08, 0.14)
    canvas.line([(x + 0.04, -0.5), (x + 0.04, 1.5)], (0.06, 0.12, 0.2), width)
    canvas.line([(x, -0.5), (x, 1.5)], near(rng, CONCRETE), width)


@REMOTE_SENSING.add("circular_farmland", ground((0.68, 0.58, 0.43)))
def _circular_farmland(rng: Generator, canvas: Canvas) -> None:
    gap = rng.uniform(0.4, 0.6)
    for centre in product(np.arange(-0.2, 1.3, gap), repeat=2):
        colour = (GRASS, WOOD, (0.5, 0.45, 0.3))[rng.integers(3)]
        canvas.ellipse(centre, gap * 0.46, near(rng, colour))


@REMOTE_SENSING.add("cloud")
def _cloud(rng: Generator) -> Array:
    below = (WATER, (0.3, 0.36, 0.28))[rng.integers(2)]
    return blend(near(rng, below), WHITE, (fractal_noise(rng, 3) - 0.45) * rng.uniform(4, 7))


@REMOTE_SENSING.add("freeway", ground(GRASS))
def _freeway(rng: Generator, canvas: Canvas) -> None:
    for y in (0.38, 0.62):
        canvas.line([(-0.6, y), (1.6, y)], near(rng, ASPHALT, 0.04), 0.18)
        canvas.line([(-0.6, y), (1.6, y)], (0.8, 0.8, 0.8), 0.012)
        for x in rng.uniform(-0.3, 1.3, int(rng.integers(2, 6))):
            lane = y + rng.choice([-0.045, 0.045])
            canvas.rectangle((x, lane), (0.07, 0.035), near(rng, WHITE, 0.3))


@REMOTE_SENSING.add("ground_track_field", ground((0.5, 0.53, 0.42)))
def _ground_track_field(rng: Generator, canvas: Canvas) -> None:
    for grow, colour in ((0.0, near(rng, (0.68, 0.33, 0.25))), (-0.1, near(rng, GRASS))):
        for x in (0.3, 0.7):
            canvas.ellipse((x, 0.5), 0.27 + grow, colour)
        canvas.rectangle((0.5, 0.5), (0.4, 0.54 + 2 * grow), colour)


@REMOTE_SENSING.add("harbor", ground((0.1, 0.2, 0.28), strength=0.05))
def _harbor(rng: Generator, canvas: Canvas) -> None:
    gap = rng.uniform(0.3, 0.45)
    for y in np.arange(-0.2, 1.3, gap):
        canvas.line([(-0.4, y), (1.4, y)], near(rng, CONCRETE), 0.03)
        for x in np.arange(-0.3, 1.3, rng.uniform(0.09, 0.14)):
            if rng.random() < 0.75:
                canvas.ellipse((x, y + gap * 0.3), (0.03, gap * 0.22), near(rng, WHITE))


@REMOTE_SENSING.add("intersection", ground((0.5, 0.52, 0.44)))
def _intersection(rng: Generator, canvas: Canvas) -> None:
    for corner in product((0.12, 0.88), repeat=2):
        canvas.rectangle(corner, (0.3, 0.28), near(rng, (0.7, 0.55, 0.48), 0.15))
    width = rng.uniform(0.14, 0.2)
    for line in ([(-0.5, 0.5), (1.5, 0.5)], [(0.5, -0.5), (0.5, 1.5)]):
        canvas.line(line, near(rng, ASPHALT, 0.03), width)
        canvas.line(line, (0.8, 0.78, 0.6), 0.012)


@REMOTE_SENSING.add("island", ground(WATER, strength=0.05))
def _island(rng: Generator, canvas: Canvas) -> None:
    coast = ring_points((0.5, 0.5), (rng.uniform(0.24, 0.38), rng.uniform(0.2, 0.35)), 14)
    coast = coast + rng.normal(0, 0.025, coast.shape)
    canvas.polygon(coast, near(rng, SAND))
    canvas.polygon((coast - 0.5) * 0.8 + 0.5, near(rng, (0.24, 0.38, 0.2)))


@REMOTE_SENSING.add("parking_lot", ground(ASPHALT))
def _parking_lot(rng: Generator, canvas: Canvas) -> None:
    gap = rng.uniform(0.2, 0.28)
    for y, x in product(np.arange(-0.2, 1.3, gap), np.arange(-0.25, 1.3, 0.1)):
        if rng.random() < 0.8:
            paint = hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.2, 1))
            canvas.rectangle((x, y), (0.06, 0.13), paint)


@REMOTE_SENSING.add("roundabout", ground((0.48, 0.54, 0.4)))
def _roundabout(rng: Generator, canvas: Canvas) -> None:
    road = near(rng, ASPHALT, 0.04)
    for angle in np.arange(int(rng.integers(3, 5))) * (2 * np.pi / 4) + rng.normal(0, 0.15):
        canvas.line([(0.5, 0.5), (0.5 + np.cos(angle), 0.5 + np.sin(angle))], road, 0.12)
    canvas.ellipse((0.5, 0.5), 0.29, road)
    canvas.ellipse((0.5, 0.5), 0.16, near(rng, GRASS))


@REMOTE_SENSING.add("ship", ground(WATER, strength=0.06))
def _ship(rng: Generator, canvas: Canvas) -> None:
    if rng.random() < 0.6:
        canvas.polygon([(0.2, 0.5), (-0.4, 0.38), (-0.4, 0.62)], (0.45, 0.55, 0.62))
    width = rng.uniform(0.06, 0.1)
    left, right = 0.5 - width, 0.5 + width
    hull = [(0.12, left), (0.7, left), (0.88, 0.5), (0.7, right), (0.12, right)]
    canvas.polygon(hull, near(rng, (0.5, 0.35, 0.3), 0.12))
    canvas.rectangle((0.24, 0.5), (0.12, width * 1.5), WHITE)


@REMOTE_SENSING.add("storage_tank", ground((0.56, 0.52, 0.46)))
def _storage_tank(rng: Generator, canvas: Canvas) -> None:
    gap = rng.uniform(0.28, 0.42)
    for x, y in product(np.arange(0.0, 1.1, gap), repeat=2):
        if rng.random() < 0.75:
            radius = gap * rng.uniform(0.3, 0.42)
            canvas.ellipse((x + 0.04, y + 0.03), radius, (0.25, 0.24, 0.22))
            canvas.ellipse((x, y), radius, near(rng, WHITE, 0.05))


@REMOTE_SENSING.add("tennis_court")
def _tennis_court(rng: Generator) -> Array:
    courts = (GRASS, (0.25, 0.38, 0.6)), ((0.62, 0.35, 0.28), (0.3, 0.5, 0.36))
    outer, inner = courts[rng.integers(2)]
    canvas = Canvas(grain(rng, near(rng, outer)), turned(rng))
    canvas.rectangle((0.5, 0.5), (0.8, 0.46), WHITE)
    canvas.rectangle((0.5, 0.5), (0.75, 0.41), near(rng, inner, 0.04))
    canvas.line([(0.5, 0.22), (0.5, 0.78)], WHITE, 0.025)
    canvas.line([(0.28, 0.5), (0.72, 0.5)], WHITE, 0.025)
    for x in (0.28, 0.72):
        canvas.line([(x, 0.3), (x, 0.7)], WHITE, 0.025)
    return canvas.array()
