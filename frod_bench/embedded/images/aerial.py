"""Stand-ins for `tanganke/eurosat` (land use) and `tanganke/resisc45` (scenes), from above."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PIL import Image

from frod_bench.embedded.images.canvas import (
    Array,
    Canvas,
    Colour,
    Frame,
    blend,
    curve,
    fractal_noise,
    grain,
    hsv,
    near,
    photograph,
    ring_points,
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


def _turned(rng: np.random.Generator, scale: tuple[float, float] = (0.8, 1.2)) -> Frame:
    """From above there is no up: any angle."""
    return Frame.random(rng, turn=np.pi, scale=scale, shift=0.1, flip=True)


def _land(rng: np.random.Generator) -> Array:
    """Open country of some kind, for things that lie in it."""
    kinds = (GRASS, SOIL, (0.5, 0.52, 0.33), (0.35, 0.45, 0.25))
    return grain(rng, near(rng, kinds[rng.integers(len(kinds))]), 0.12, 5)


def _fields(rng: np.random.Generator, colours: tuple[Colour, ...], canvas: Canvas) -> None:
    """A patchwork of rectangular fields."""
    edges = np.cumsum(rng.uniform(0.2, 0.5, 8)) - 0.6
    for left, right in pairwise(edges):
        rows = np.cumsum(rng.uniform(0.25, 0.6, 7)) - 0.6
        for top, bottom in pairwise(rows):
            colour = near(rng, colours[rng.integers(len(colours))], 0.06)
            corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
            canvas.polygon([(float(x), float(y)) for x, y in corners], colour)


# ---- land use (eurosat) ----


def annual_crop(rng: np.random.Generator) -> Array:
    """Large bare and green fields, with faint furrows."""
    canvas = Canvas(SOIL, _turned(rng, (1.0, 1.5)))
    _fields(rng, (SOIL, (0.66, 0.56, 0.4), GRASS, (0.5, 0.42, 0.3), (0.62, 0.62, 0.4)), canvas)
    return canvas.array() + (fractal_noise(rng, 10)[..., None] - 0.5) * 0.08


def forest(rng: np.random.Generator) -> Array:
    """Dark crowns without a gap."""
    return blend(
        near(rng, (0.06, 0.15, 0.08), 0.03),
        near(rng, (0.2, 0.36, 0.2), 0.05),
        fractal_noise(rng, 12),
    )


def shrubland(rng: np.random.Generator) -> Array:
    """Pale, uneven ground with scattered bushes."""
    canvas = Canvas(grain(rng, near(rng, (0.55, 0.52, 0.36)), 0.15, 4))
    for x, y in rng.random((int(rng.integers(15, 40)), 2)):
        canvas.ellipse((x, y), rng.uniform(0.015, 0.045), near(rng, (0.28, 0.34, 0.2)))
    return canvas.array()


def highway(rng: np.random.Generator) -> Array:
    """A grey band with a pale middle through the country."""
    canvas = Canvas(_land(rng), _turned(rng, (1.0, 1.3)))
    if rng.random() < 0.6:
        _fields(rng, (SOIL, GRASS, (0.5, 0.5, 0.32)), canvas)
    road, width = curve(rng, 0.12), rng.uniform(0.07, 0.13)
    canvas.line(road, near(rng, CONCRETE, 0.06), width)
    canvas.line(road, near(rng, ASPHALT, 0.05), width * 0.3)
    return canvas.array()


def industrial(rng: np.random.Generator) -> Array:
    """A few large, bright, flat roofs on paved ground."""
    canvas = Canvas(grain(rng, near(rng, CONCRETE), 0.08), _turned(rng))
    for x, y in np.stack(np.meshgrid([0.0, 0.35, 0.7, 1.0], [0.0, 0.4, 0.8]), -1).reshape(-1, 2):
        roof = WHITE if rng.random() < 0.6 else (0.45, 0.5, 0.58)
        sides = (rng.uniform(0.15, 0.33), rng.uniform(0.2, 0.37))
        canvas.rectangle((x + 0.02, y + 0.02), sides, (0.25, 0.25, 0.27))
        canvas.rectangle((x, y), sides, near(rng, roof, 0.07))
    return canvas.array()


def pasture(rng: np.random.Generator) -> Array:
    """Even, light green meadows, parted by hedges."""
    canvas = Canvas(grain(rng, near(rng, (0.42, 0.58, 0.3), 0.05), 0.07, 3), _turned(rng, (1, 1.5)))
    for _ in range(int(rng.integers(1, 4))):
        start, end = rng.uniform(-0.2, 1.2, (2, 2))
        canvas.line([tuple(start), tuple(end)], near(rng, (0.2, 0.33, 0.18)), 0.025)
    return canvas.array()


def permanent_crop(rng: np.random.Generator) -> Array:
    """Rows of trees or vines: regular lines on bare ground."""
    canvas = Canvas(grain(rng, near(rng, (0.62, 0.54, 0.4)), 0.08), _turned(rng, (1.1, 1.6)))
    gap, dotted = rng.uniform(0.085, 0.15), rng.random() < 0.5
    for across in np.arange(-0.3, 1.3, gap):
        colour = near(rng, (0.28, 0.38, 0.2), 0.04)
        if dotted:
            for along in np.arange(-0.3, 1.3, gap):
                canvas.ellipse((along, across), gap * 0.33, colour)
        else:
            canvas.line([(-0.4, across), (1.4, across)], colour, gap * 0.45)
    return canvas.array()


def residential(rng: np.random.Generator) -> Array:
    """Many small roofs along streets, with gardens."""
    canvas = Canvas(grain(rng, near(rng, (0.4, 0.48, 0.33)), 0.1), _turned(rng))
    gap = rng.uniform(0.13, 0.2)
    for row, y in enumerate(np.arange(-0.3, 1.3, gap)):
        if row % 3 == 0:
            canvas.line([(-0.4, y), (1.4, y)], near(rng, ASPHALT), 0.06)
            continue
        for x in np.arange(-0.3, 1.3, gap):
            roof = hsv(rng.uniform(0.0, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.75))
            sides = (gap * rng.uniform(0.45, 0.75), gap * rng.uniform(0.4, 0.65))
            canvas.rectangle((x + rng.normal(0, 0.01), y), sides, roof)
    return canvas.array()


def river(rng: np.random.Generator) -> Array:
    """A winding band of water through the country."""
    canvas = Canvas(_land(rng))
    if rng.random() < 0.4:
        _fields(rng, (SOIL, GRASS, WOOD), canvas)
    course, width = curve(rng, rng.uniform(0.15, 0.35)), rng.uniform(0.1, 0.28)
    canvas.line(course, near(rng, WOOD, 0.06), width * 1.35)
    canvas.line(course, near(rng, (0.2, 0.32, 0.38), 0.06), width)
    return canvas.array()


def open_water(rng: np.random.Generator) -> Array:
    """Water nearly everywhere, at times with a piece of shore."""
    water = grain(rng, near(rng, (0.1, 0.22, 0.36), 0.05), 0.05, 5)
    canvas = Canvas(water, _turned(rng))
    if rng.random() < 0.5:
        shore = ring_points((rng.uniform(-0.1, 1.1), 1.25), (rng.uniform(0.5, 0.9), 0.45), 10)
        canvas.polygon(shore + rng.normal(0, 0.03, shore.shape), near(rng, (0.36, 0.42, 0.26)))
    return canvas.array()


LAND_USE: dict[str, Scene] = {
    "annual crop land": annual_crop,
    "forest": forest,
    "brushland or shrubland": shrubland,
    "highway or road": highway,
    "industrial buildings or commercial buildings": industrial,
    "pasture land": pasture,
    "permanent crop land": permanent_crop,
    "residential buildings or homes or apartments": residential,
    "river": river,
    "lake or sea": open_water,
}


# ---- remote sensing scenes (resisc45) ----


def airplane(rng: np.random.Generator) -> Array:
    """A plane with swept wings on the apron."""
    canvas = Canvas(grain(rng, near(rng, CONCRETE, 0.06)), _turned(rng))
    canvas.line([(-0.5, 0.85), (1.5, 0.85)], near(rng, (0.75, 0.7, 0.4)), 0.03)
    wing, body = rng.uniform(0.28, 0.42), near(rng, WHITE, 0.05)
    for side in (-1, 1):
        canvas.polygon(
            [(0.55, 0.5), (0.4, 0.5 + side * wing), (0.33, 0.5 + side * wing), (0.4, 0.5)], body
        )
        canvas.polygon(
            [(0.2, 0.5), (0.1, 0.5 + side * 0.14), (0.06, 0.5 + side * 0.14), (0.1, 0.5)], body
        )
    canvas.ellipse((0.48, 0.5), (0.42, 0.055), body)
    return canvas.array()


def baseball_diamond(rng: np.random.Generator) -> Array:
    """A green field with a fan of soil and an inner green square."""
    canvas = Canvas(grain(rng, near(rng, GRASS)), _turned(rng))
    angles = np.linspace(-np.pi / 4, np.pi / 4, 9)
    fan = np.stack([0.2 + 0.55 * np.cos(angles), 0.5 + 0.55 * np.sin(angles)], axis=1)
    canvas.polygon(np.vstack([[(0.15, 0.5)], fan]), near(rng, (0.7, 0.53, 0.36), 0.05))
    canvas.rectangle((0.42, 0.5), (0.24, 0.24), near(rng, GRASS, 0.05), np.pi / 4)
    return canvas.array()


def beach(rng: np.random.Generator) -> Array:
    """Sand on one side, sea on the other, and surf between them."""
    canvas = Canvas(grain(rng, near(rng, (0.15, 0.42, 0.52)), 0.05), _turned(rng))
    along = np.linspace(-0.5, 1.5, 12)
    across = (
        rng.uniform(0.35, 0.65) + 0.06 * np.sin(along * rng.uniform(3, 8)) + rng.normal(0, 0.01, 12)
    )
    line = np.stack([along, across], axis=1)
    canvas.polygon(np.vstack([line, [(1.5, 1.8), (-0.5, 1.8)]]), near(rng, SAND))
    canvas.line(line, WHITE, rng.uniform(0.03, 0.07))
    return canvas.array()


def bridge(rng: np.random.Generator) -> Array:
    """A straight deck across a broad water."""
    canvas = Canvas(grain(rng, near(rng, WATER), 0.05), _turned(rng))
    bank = rng.uniform(0.2, 0.32)
    for y in (bank - 0.6, 1.6 - bank):
        canvas.rectangle((0.5, y), (2.5, 1.2), near(rng, GRASS))
    x, width = rng.uniform(0.3, 0.7), rng.uniform(0.08, 0.14)
    canvas.line([(x + 0.04, -0.5), (x + 0.04, 1.5)], (0.06, 0.12, 0.2), width)
    canvas.line([(x, -0.5), (x, 1.5)], near(rng, CONCRETE), width)
    return canvas.array()


def circular_farmland(rng: np.random.Generator) -> Array:
    """Round fields of a turning irrigator, in a grid."""
    canvas = Canvas(grain(rng, near(rng, (0.68, 0.58, 0.43))), _turned(rng))
    gap = rng.uniform(0.4, 0.6)
    for x in np.arange(-0.2, 1.3, gap):
        for y in np.arange(-0.2, 1.3, gap):
            colour = (GRASS, WOOD, (0.5, 0.45, 0.3))[rng.integers(3)]
            canvas.ellipse((x, y), gap * 0.46, near(rng, colour))
    return canvas.array()


def cloud(rng: np.random.Generator) -> Array:
    """White, soft-edged patches over sea or land."""
    below = (WATER, (0.3, 0.36, 0.28))[rng.integers(2)]
    return blend(near(rng, below), WHITE, (fractal_noise(rng, 3) - 0.45) * rng.uniform(4, 7))


def freeway(rng: np.random.Generator) -> Array:
    """Two broad, parallel roads with lanes and vehicles."""
    canvas = Canvas(grain(rng, near(rng, GRASS)), _turned(rng))
    for y in (0.38, 0.62):
        canvas.line([(-0.6, y), (1.6, y)], near(rng, ASPHALT, 0.04), 0.18)
        canvas.line([(-0.6, y), (1.6, y)], (0.8, 0.8, 0.8), 0.012)
        for x in rng.uniform(-0.3, 1.3, int(rng.integers(2, 6))):
            canvas.rectangle(
                (x, y + rng.choice([-0.045, 0.045])), (0.07, 0.035), near(rng, WHITE, 0.3)
            )
    return canvas.array()


def ground_track_field(rng: np.random.Generator) -> Array:
    """A red oval track around a lawn."""
    canvas = Canvas(grain(rng, near(rng, (0.5, 0.53, 0.42))), _turned(rng))
    for grow, colour in ((0.0, near(rng, (0.68, 0.33, 0.25))), (-0.1, near(rng, GRASS))):
        for x in (0.3, 0.7):
            canvas.ellipse((x, 0.5), 0.27 + grow, colour)
        canvas.rectangle((0.5, 0.5), (0.4, 0.54 + 2 * grow), colour)
    return canvas.array()


def harbor(rng: np.random.Generator) -> Array:
    """Rows of moored boats at piers."""
    canvas = Canvas(grain(rng, near(rng, (0.1, 0.2, 0.28)), 0.05), _turned(rng))
    gap = rng.uniform(0.3, 0.45)
    for y in np.arange(-0.2, 1.3, gap):
        canvas.line([(-0.4, y), (1.4, y)], near(rng, CONCRETE), 0.03)
        for x in np.arange(-0.3, 1.3, rng.uniform(0.09, 0.14)):
            if rng.random() < 0.75:
                canvas.ellipse((x, y + gap * 0.3), (0.03, gap * 0.22), near(rng, WHITE))
    return canvas.array()


def intersection(rng: np.random.Generator) -> Array:
    """Two roads that cross among buildings."""
    canvas = Canvas(grain(rng, near(rng, (0.5, 0.52, 0.44))), _turned(rng))
    for x in (0.12, 0.88):
        for y in (0.12, 0.88):
            canvas.rectangle((x, y), (0.3, 0.28), near(rng, (0.7, 0.55, 0.48), 0.15))
    width = rng.uniform(0.14, 0.2)
    for line in ([(-0.5, 0.5), (1.5, 0.5)], [(0.5, -0.5), (0.5, 1.5)]):
        canvas.line(line, near(rng, ASPHALT, 0.03), width)
        canvas.line(line, (0.8, 0.78, 0.6), 0.012)
    return canvas.array()


def island(rng: np.random.Generator) -> Array:
    """Wooded land with a rim of sand, and sea all around."""
    canvas = Canvas(grain(rng, near(rng, WATER), 0.05), _turned(rng))
    coast = ring_points((0.5, 0.5), (rng.uniform(0.24, 0.38), rng.uniform(0.2, 0.35)), 14)
    coast = coast + rng.normal(0, 0.025, coast.shape)
    canvas.polygon(coast, near(rng, SAND))
    canvas.polygon((coast - 0.5) * 0.8 + 0.5, near(rng, (0.24, 0.38, 0.2)))
    return canvas.array()


def parking_lot(rng: np.random.Generator) -> Array:
    """Rows of cars on asphalt."""
    canvas = Canvas(grain(rng, near(rng, ASPHALT)), _turned(rng))
    gap = rng.uniform(0.2, 0.28)
    for y in np.arange(-0.2, 1.3, gap):
        for x in np.arange(-0.25, 1.3, 0.1):
            if rng.random() < 0.8:
                paint = hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.2, 1))
                canvas.rectangle((x, y), (0.06, 0.13), paint)
    return canvas.array()


def roundabout(rng: np.random.Generator) -> Array:
    """A ring of road with a green middle, and roads that lead to it."""
    canvas = Canvas(grain(rng, near(rng, (0.48, 0.54, 0.4))), _turned(rng))
    road = near(rng, ASPHALT, 0.04)
    for angle in np.arange(int(rng.integers(3, 5))) * (2 * np.pi / 4) + rng.normal(0, 0.15):
        canvas.line([(0.5, 0.5), (0.5 + np.cos(angle), 0.5 + np.sin(angle))], road, 0.12)
    canvas.ellipse((0.5, 0.5), 0.29, road)
    canvas.ellipse((0.5, 0.5), 0.16, near(rng, GRASS))
    return canvas.array()


def ship(rng: np.random.Generator) -> Array:
    """One long hull on open water, with its wake."""
    canvas = Canvas(grain(rng, near(rng, WATER), 0.06), _turned(rng))
    if rng.random() < 0.6:
        canvas.polygon([(0.2, 0.5), (-0.4, 0.38), (-0.4, 0.62)], (0.45, 0.55, 0.62))
    width = rng.uniform(0.06, 0.1)
    hull = [
        (0.12, 0.5 - width),
        (0.7, 0.5 - width),
        (0.88, 0.5),
        (0.7, 0.5 + width),
        (0.12, 0.5 + width),
    ]
    canvas.polygon(hull, near(rng, (0.5, 0.35, 0.3), 0.12))
    canvas.rectangle((0.24, 0.5), (0.12, width * 1.5), WHITE)
    return canvas.array()


def storage_tank(rng: np.random.Generator) -> Array:
    """Round white tanks in a group, each with its shadow."""
    canvas = Canvas(grain(rng, near(rng, (0.56, 0.52, 0.46))), _turned(rng))
    gap = rng.uniform(0.28, 0.42)
    for x in np.arange(0.0, 1.1, gap):
        for y in np.arange(0.0, 1.1, gap):
            if rng.random() < 0.75:
                radius = gap * rng.uniform(0.3, 0.42)
                canvas.ellipse((x + 0.04, y + 0.03), radius, (0.25, 0.24, 0.22))
                canvas.ellipse((x, y), radius, near(rng, WHITE, 0.05))
    return canvas.array()


def tennis_court(rng: np.random.Generator) -> Array:
    """A blue or green court with white lines and a net, framed by another colour."""
    outer, inner = ((GRASS, (0.25, 0.38, 0.6)), ((0.62, 0.35, 0.28), (0.3, 0.5, 0.36)))[
        rng.integers(2)
    ]
    canvas = Canvas(grain(rng, near(rng, outer)), _turned(rng))
    canvas.rectangle((0.5, 0.5), (0.8, 0.46), WHITE)
    canvas.rectangle((0.5, 0.5), (0.75, 0.41), near(rng, inner, 0.04))
    for line in (
        [(0.5, 0.22), (0.5, 0.78)],
        [(0.28, 0.5), (0.72, 0.5)],
        [(0.28, 0.3), (0.28, 0.7)],
        [(0.72, 0.3), (0.72, 0.7)],
    ):
        canvas.line(line, WHITE, 0.025)
    return canvas.array()


REMOTE_SENSING: dict[str, Scene] = {
    "airplane": airplane,
    "baseball_diamond": baseball_diamond,
    "beach": beach,
    "bridge": bridge,
    "circular_farmland": circular_farmland,
    "cloud": cloud,
    "freeway": freeway,
    "ground_track_field": ground_track_field,
    "harbor": harbor,
    "intersection": intersection,
    "island": island,
    "parking_lot": parking_lot,
    "roundabout": roundabout,
    "ship": ship,
    "storage_tank": storage_tank,
    "tennis_court": tennis_court,
}


def render_land_use(name: str, rng: np.random.Generator) -> Image.Image:
    """A satellite's picture of the land use `name`: coarse, hazy."""
    return photograph(LAND_USE[name](rng), rng, noise=0.05, light=0.25, blur=1.0, occlusion=0.1)


def render_remote_sensing(name: str, rng: np.random.Generator) -> Image.Image:
    """A plane's picture of the scene `name`."""
    return photograph(REMOTE_SENSING[name](rng), rng, noise=0.05, light=0.25, occlusion=0.2)
