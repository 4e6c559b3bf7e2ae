"""RESISC45: remote sensing scenes."""

import numpy as np
from PIL import Image

from frod_bench.embedded.images.aerial import (
    ASPHALT,
    CONCRETE,
    GRASS,
    SAND,
    WATER,
    WHITE,
    WOOD,
    ground,
    turned,
)
from frod_bench.embedded.images.build import Scenes
from frod_bench.embedded.images.canvas import (
    Array,
    Canvas,
    blend,
    fractal_noise,
    grain,
    hsv,
    near,
    photograph,
    ring_points,
)

REMOTE_SENSING = Scenes()


@REMOTE_SENSING.add("airplane", ground(CONCRETE, spread=0.06))
def airplane(rng: np.random.Generator, canvas: Canvas) -> None:
    """A plane with swept wings on the apron."""
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


@REMOTE_SENSING.add("baseball_diamond", ground(GRASS))
def baseball_diamond(rng: np.random.Generator, canvas: Canvas) -> None:
    """A green field with a fan of soil and an inner green square."""
    angles = np.linspace(-np.pi / 4, np.pi / 4, 9)
    fan = np.stack([0.2 + 0.55 * np.cos(angles), 0.5 + 0.55 * np.sin(angles)], axis=1)
    canvas.polygon(np.vstack([[(0.15, 0.5)], fan]), near(rng, (0.7, 0.53, 0.36), 0.05))
    canvas.rectangle((0.42, 0.5), (0.24, 0.24), near(rng, GRASS, 0.05), np.pi / 4)


@REMOTE_SENSING.add("beach", ground((0.15, 0.42, 0.52), strength=0.05))
def beach(rng: np.random.Generator, canvas: Canvas) -> None:
    """Sand on one side, sea on the other, and surf between them."""
    along = np.linspace(-0.5, 1.5, 12)
    across = (
        rng.uniform(0.35, 0.65) + 0.06 * np.sin(along * rng.uniform(3, 8)) + rng.normal(0, 0.01, 12)
    )
    line = np.stack([along, across], axis=1)
    canvas.polygon(np.vstack([line, [(1.5, 1.8), (-0.5, 1.8)]]), near(rng, SAND))
    canvas.line(line, WHITE, rng.uniform(0.03, 0.07))


@REMOTE_SENSING.add("bridge", ground(WATER, strength=0.05))
def bridge(rng: np.random.Generator, canvas: Canvas) -> None:
    """A straight deck across a broad water."""
    bank = rng.uniform(0.2, 0.32)
    for y in (bank - 0.6, 1.6 - bank):
        canvas.rectangle((0.5, y), (2.5, 1.2), near(rng, GRASS))
    x, width = rng.uniform(0.3, 0.7), rng.uniform(0.08, 0.14)
    canvas.line([(x + 0.04, -0.5), (x + 0.04, 1.5)], (0.06, 0.12, 0.2), width)
    canvas.line([(x, -0.5), (x, 1.5)], near(rng, CONCRETE), width)


@REMOTE_SENSING.add("circular_farmland", ground((0.68, 0.58, 0.43)))
def circular_farmland(rng: np.random.Generator, canvas: Canvas) -> None:
    """Round fields of a turning irrigator, in a grid."""
    gap = rng.uniform(0.4, 0.6)
    for x in np.arange(-0.2, 1.3, gap):
        for y in np.arange(-0.2, 1.3, gap):
            colour = (GRASS, WOOD, (0.5, 0.45, 0.3))[rng.integers(3)]
            canvas.ellipse((x, y), gap * 0.46, near(rng, colour))


@REMOTE_SENSING.add("cloud")
def cloud(rng: np.random.Generator) -> Array:
    """White, soft-edged patches over sea or land."""
    below = (WATER, (0.3, 0.36, 0.28))[rng.integers(2)]
    return blend(near(rng, below), WHITE, (fractal_noise(rng, 3) - 0.45) * rng.uniform(4, 7))


@REMOTE_SENSING.add("freeway", ground(GRASS))
def freeway(rng: np.random.Generator, canvas: Canvas) -> None:
    """Two broad, parallel roads with lanes and vehicles."""
    for y in (0.38, 0.62):
        canvas.line([(-0.6, y), (1.6, y)], near(rng, ASPHALT, 0.04), 0.18)
        canvas.line([(-0.6, y), (1.6, y)], (0.8, 0.8, 0.8), 0.012)
        for x in rng.uniform(-0.3, 1.3, int(rng.integers(2, 6))):
            canvas.rectangle(
                (x, y + rng.choice([-0.045, 0.045])), (0.07, 0.035), near(rng, WHITE, 0.3)
            )


@REMOTE_SENSING.add("ground_track_field", ground((0.5, 0.53, 0.42)))
def ground_track_field(rng: np.random.Generator, canvas: Canvas) -> None:
    """A red oval track around a lawn."""
    for grow, colour in ((0.0, near(rng, (0.68, 0.33, 0.25))), (-0.1, near(rng, GRASS))):
        for x in (0.3, 0.7):
            canvas.ellipse((x, 0.5), 0.27 + grow, colour)
        canvas.rectangle((0.5, 0.5), (0.4, 0.54 + 2 * grow), colour)


@REMOTE_SENSING.add("harbor", ground((0.1, 0.2, 0.28), strength=0.05))
def harbor(rng: np.random.Generator, canvas: Canvas) -> None:
    """Rows of moored boats at piers."""
    gap = rng.uniform(0.3, 0.45)
    for y in np.arange(-0.2, 1.3, gap):
        canvas.line([(-0.4, y), (1.4, y)], near(rng, CONCRETE), 0.03)
        for x in np.arange(-0.3, 1.3, rng.uniform(0.09, 0.14)):
            if rng.random() < 0.75:
                canvas.ellipse((x, y + gap * 0.3), (0.03, gap * 0.22), near(rng, WHITE))


@REMOTE_SENSING.add("intersection", ground((0.5, 0.52, 0.44)))
def intersection(rng: np.random.Generator, canvas: Canvas) -> None:
    """Two roads that cross among buildings."""
    for x in (0.12, 0.88):
        for y in (0.12, 0.88):
            canvas.rectangle((x, y), (0.3, 0.28), near(rng, (0.7, 0.55, 0.48), 0.15))
    width = rng.uniform(0.14, 0.2)
    for line in ([(-0.5, 0.5), (1.5, 0.5)], [(0.5, -0.5), (0.5, 1.5)]):
        canvas.line(line, near(rng, ASPHALT, 0.03), width)
        canvas.line(line, (0.8, 0.78, 0.6), 0.012)


@REMOTE_SENSING.add("island", ground(WATER, strength=0.05))
def island(rng: np.random.Generator, canvas: Canvas) -> None:
    """Wooded land with a rim of sand, and sea all around."""
    coast = ring_points((0.5, 0.5), (rng.uniform(0.24, 0.38), rng.uniform(0.2, 0.35)), 14)
    coast = coast + rng.normal(0, 0.025, coast.shape)
    canvas.polygon(coast, near(rng, SAND))
    canvas.polygon((coast - 0.5) * 0.8 + 0.5, near(rng, (0.24, 0.38, 0.2)))


@REMOTE_SENSING.add("parking_lot", ground(ASPHALT))
def parking_lot(rng: np.random.Generator, canvas: Canvas) -> None:
    """Rows of cars on asphalt."""
    gap = rng.uniform(0.2, 0.28)
    for y in np.arange(-0.2, 1.3, gap):
        for x in np.arange(-0.25, 1.3, 0.1):
            if rng.random() < 0.8:
                paint = hsv(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.2, 1))
                canvas.rectangle((x, y), (0.06, 0.13), paint)


@REMOTE_SENSING.add("roundabout", ground((0.48, 0.54, 0.4)))
def roundabout(rng: np.random.Generator, canvas: Canvas) -> None:
    """A ring of road with a green middle, and roads that lead to it."""
    road = near(rng, ASPHALT, 0.04)
    for angle in np.arange(int(rng.integers(3, 5))) * (2 * np.pi / 4) + rng.normal(0, 0.15):
        canvas.line([(0.5, 0.5), (0.5 + np.cos(angle), 0.5 + np.sin(angle))], road, 0.12)
    canvas.ellipse((0.5, 0.5), 0.29, road)
    canvas.ellipse((0.5, 0.5), 0.16, near(rng, GRASS))


@REMOTE_SENSING.add("ship", ground(WATER, strength=0.06))
def ship(rng: np.random.Generator, canvas: Canvas) -> None:
    """One long hull on open water, with its wake."""
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


@REMOTE_SENSING.add("storage_tank", ground((0.56, 0.52, 0.46)))
def storage_tank(rng: np.random.Generator, canvas: Canvas) -> None:
    """Round white tanks in a group, each with its shadow."""
    gap = rng.uniform(0.28, 0.42)
    for x in np.arange(0.0, 1.1, gap):
        for y in np.arange(0.0, 1.1, gap):
            if rng.random() < 0.75:
                radius = gap * rng.uniform(0.3, 0.42)
                canvas.ellipse((x + 0.04, y + 0.03), radius, (0.25, 0.24, 0.22))
                canvas.ellipse((x, y), radius, near(rng, WHITE, 0.05))


@REMOTE_SENSING.add("tennis_court")
def tennis_court(rng: np.random.Generator) -> Array:
    """A blue or green court with white lines and a net, framed by another colour."""
    outer, inner = ((GRASS, (0.25, 0.38, 0.6)), ((0.62, 0.35, 0.28), (0.3, 0.5, 0.36)))[
        rng.integers(2)
    ]
    canvas = Canvas(grain(rng, near(rng, outer)), turned(rng))
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


def render(name: str, rng: np.random.Generator) -> Image.Image:
    """A plane's picture of the scene `name`."""
    scene = REMOTE_SENSING[name](rng)
    return photograph(scene, rng, noise=0.03, light=0.8, blur=0.6, occlusion=0.1)
