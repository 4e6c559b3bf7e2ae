"""SUN397: places, seen by someone who stands in them."""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.random import Generator

from frod_bench.embedded.images.canvas import Canvas, Scenes
from frod_bench.embedded.images.colours import Colour, grain, hsv, near
from frod_bench.embedded.images.shapes import Frame, Point, arc, ring_points, symmetric

SCENES = Scenes(texture=0.12, noise=0.05, light=0.4, occlusion=0.3)

SAND: Colour = (0.85, 0.74, 0.53)
SEA: Colour = (0.14, 0.38, 0.52)
GRASS: Colour = (0.36, 0.5, 0.24)
SNOW: Colour = (0.93, 0.95, 0.98)
ROCK: Colour = (0.38, 0.36, 0.37)
WHITE: Colour = (0.93, 0.92, 0.9)


def outdoors(*grounds: Colour) -> Callable[[Generator], tuple[Canvas, float]]:
    """How a scene starts: sky above ground of one of the colours, and the horizon's height."""

    def start(rng: Generator) -> tuple[Canvas, float]:
        ground = grounds[rng.integers(len(grounds))] if len(grounds) > 1 else grounds[0]
        sky = hsv(rng.uniform(0.52, 0.64), rng.uniform(0.05, 0.55), rng.uniform(0.6, 1))
        if rng.random() < 0.2:  # evening
            sky = hsv(rng.uniform(0.03, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.6, 1))
        frame = Frame.random(rng, turn=0.06, scale=(0.9, 1.15), shift=0.06, flip=True)
        canvas = Canvas(grain(rng, sky, 0.1, 3), frame)
        horizon = rng.uniform(0.4, 0.62)
        canvas.rectangle((0.5, horizon + 1), (4, 2), near(rng, ground, 0.06))
        return canvas, horizon

    return start


def indoors(
    colour: Colour, strength: float, scale: Point, flip: bool = False
) -> Callable[[Generator], tuple[Canvas]]:
    """How a scene starts: a wall of about one colour."""

    def start(rng: Generator) -> tuple[Canvas]:
        wall = grain(rng, near(rng, colour, 0.12), strength)
        return (Canvas(wall, Frame.random(rng, turn=0.1, scale=scale, shift=0.08, flip=flip)),)

    return start


def _hills(rng: Generator, canvas: Canvas, base: float, height: float) -> None:
    """A jagged line of far hills above `base`."""
    along = np.linspace(-0.3, 1.3, 9)
    line = np.stack([along, base - height * rng.uniform(0.4, 1.1, 9)], axis=1)
    hills = np.vstack([line, [(1.3, base + 0.02), (-0.3, base + 0.02)]])
    canvas.polygon(hills, near(rng, (0.42, 0.5, 0.5)))


@SCENES.add("beach", outdoors(SEA))
def _beach(rng: Generator, canvas: Canvas, horizon: float) -> None:
    shore = horizon + rng.uniform(0.08, 0.2)
    slope = rng.uniform(-0.1, 0.25)
    canvas.polygon([(-0.5, shore), (1.5, shore + slope), (1.5, 2), (-0.5, 2)], near(rng, SAND))
    canvas.line([(-0.5, shore), (1.5, shore + slope)], WHITE, 0.04)


@SCENES.add("corridor", indoors((0.75, 0.7, 0.62), 0.05, (0.9, 1.2)))
def _corridor(rng: Generator, canvas: Canvas) -> None:
    x, y, half = rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.55), rng.uniform(0.06, 0.12)
    floor = [(-0.5, 1.5), (1.5, 1.5), (x + half, y + half), (x - half, y + half)]
    canvas.polygon(floor, near(rng, (0.42, 0.34, 0.28), 0.12))
    ceiling = [(-0.5, -0.5), (1.5, -0.5), (x + half, y - half), (x - half, y - half)]
    canvas.polygon(ceiling, near(rng, WHITE, 0.05))
    door = near(rng, (0.4, 0.28, 0.2), 0.1)
    for side, (close, far) in product((-1, 1), ((0.85, 0.65), (0.5, 0.4))):
        (x1, y1), (x2, y2) = ((x + side * edge * 0.6, edge * 0.6) for edge in (close, far))
        canvas.polygon([(x1, y - y1 * 0.5), (x2, y - y2 * 0.5), (x2, y + y2), (x1, y + y1)], door)
    canvas.rectangle((x, y), (2 * half, 2 * half), near(rng, (0.85, 0.82, 0.7)))


@SCENES.add("desert sand", outdoors(SAND))
def _desert_sand(rng: Generator, canvas: Canvas, horizon: float) -> None:
    for base in np.linspace(horizon + 0.1, 1.1, 4):
        x, crest = rng.uniform(0.1, 0.9), base - rng.uniform(0.12, 0.25)
        lit, shaded = near(rng, (0.88, 0.7, 0.45), 0.04), near(rng, (0.66, 0.48, 0.3), 0.04)
        canvas.polygon([(-0.4, base), (x, crest), (1.4, base)], lit)
        canvas.polygon([(x, crest), (1.4, base), (x - 0.1, base)], shaded)


@SCENES.add("forest needleleaf", outdoors((0.25, 0.3, 0.18)))
def _forest_needleleaf(rng: Generator, canvas: Canvas, horizon: float) -> None:
    for x in rng.permutation(np.linspace(-0.1, 1.1, int(rng.integers(7, 12)))):
        height, foot = rng.uniform(0.4, 0.75), horizon + rng.uniform(0.1, 0.35)
        green = near(rng, (0.1, 0.24, 0.15), 0.05)
        for part in (0.0, 0.25, 0.5):
            base, top = foot - height * part, foot - height * (part + 0.45)
            canvas.polygon(symmetric(x, (0.14 * (1 - part), base), (0, top)), green)


@SCENES.add("highway", outdoors((0.45, 0.5, 0.28), SAND))
def _highway(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x = rng.uniform(0.35, 0.65)
    road = [(x - 0.02, horizon), (x + 0.02, horizon), (1.1, 1.3), (-0.1, 1.3)]
    canvas.polygon(road, near(rng, (0.35, 0.35, 0.37), 0.05))
    for far, close in ((0.1, 0.2), (0.32, 0.5), (0.65, 0.95)):
        line = np.array([(x + (0.5 - x) * t, horizon + (1.3 - horizon) * t) for t in (far, close)])
        canvas.line(line, (0.95, 0.9, 0.6), 0.02 + 0.04 * far)


@SCENES.add("igloo", outdoors(SNOW))
def _igloo(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x, foot, radius = rng.uniform(0.35, 0.65), horizon + 0.22, rng.uniform(0.26, 0.38)
    dome = arc((x, foot), radius, np.linspace(np.pi, 2 * np.pi, 14))
    canvas.polygon(dome, near(rng, (0.78, 0.84, 0.9), 0.04))
    for level in (0.35, 0.68):
        joint = symmetric(x, (radius * np.sqrt(1 - level**2), foot - radius * level))
        canvas.line(joint, (0.6, 0.68, 0.76), 0.015)
    canvas.ellipse((x, foot), (radius * 0.32, radius * 0.42), (0.12, 0.14, 0.2))
    canvas.rectangle((x, foot + 0.2), (1.2, 0.4), near(rng, SNOW, 0.03))


@SCENES.add("lighthouse", outdoors(SEA))
def _lighthouse(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x, top, foot = rng.uniform(0.3, 0.7), rng.uniform(0.12, 0.25), horizon + 0.12
    canvas.ellipse((x, foot + 0.1), (0.4, 0.16), near(rng, ROCK))
    red = hsv(float(rng.choice([0.0, 0.6])), 0.75, 0.7)
    for band in range(5):
        upper, lower = (top + (foot - top) * part / 5 for part in (band, band + 1))
        ring = symmetric(x, (0.06 + 0.01 * band, upper), (0.07 + 0.01 * band, lower))
        canvas.polygon(ring, (WHITE, red)[band % 2])
    canvas.rectangle((x, top - 0.04), (0.09, 0.08), (0.95, 0.85, 0.4))
    canvas.polygon(symmetric(x, (0.07, top - 0.08), (0, top - 0.14)), red)


@SCENES.add("mountain snowy", outdoors(GRASS))
def _mountain_snowy(rng: Generator, canvas: Canvas, horizon: float) -> None:
    _hills(rng, canvas, horizon, 0.2)
    for x in rng.uniform(0.0, 1.0, int(rng.integers(2, 4))):
        peak, half = horizon - rng.uniform(0.28, 0.42), rng.uniform(0.3, 0.45)
        foot = horizon + 0.05
        canvas.polygon(symmetric(x, (half, foot), (0, peak)), near(rng, ROCK, 0.05))
        drop = (foot - peak) * 0.45
        snow = symmetric(x, (half * 0.45, peak + drop), (0, peak))
        jagged = [(x + 0.05, peak + drop * 0.7), (x - 0.06, peak + drop * 1.2)]
        canvas.polygon(np.vstack([snow, jagged]), SNOW)


@SCENES.add("ocean", outdoors(SEA))
def _ocean(rng: Generator, canvas: Canvas, horizon: float) -> None:
    for y in horizon + np.cumsum(rng.uniform(0.03, 0.1, 8)):
        wave = symmetric(rng.uniform(0, 1), (rng.uniform(0.15, 0.4), y), (0, y - 0.012))
        canvas.line(wave, near(rng, (0.4, 0.6, 0.7)), 0.015)


@SCENES.add("railroad track", outdoors((0.52, 0.47, 0.42)))
def _railroad_track(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x, wide = rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.42)
    for t in np.linspace(0.12, 1.0, 9) ** 1.6:
        sleeper = symmetric(x, (wide * t * 1.35, horizon + (1.2 - horizon) * t))
        canvas.line(sleeper, near(rng, (0.28, 0.2, 0.15), 0.04), 0.015 + 0.05 * t)
    for side in (-1, 1):
        canvas.line([(x, horizon), (x + side * wide, 1.2)], (0.75, 0.75, 0.78), 0.03)


@SCENES.add("skyscraper", outdoors((0.4, 0.4, 0.42)))
def _skyscraper(rng: Generator, canvas: Canvas, _: float) -> None:
    for x in (0.05, 0.3, 0.75, 0.98):
        sides = (0.22, rng.uniform(0.5, 1.0))
        canvas.rectangle((x, 1.0), sides, near(rng, (0.5, 0.52, 0.55), 0.12))
    x, top, half = rng.uniform(0.35, 0.65), rng.uniform(0.0, 0.18), rng.uniform(0.12, 0.19)
    canvas.rectangle((x, top + 0.7), (2 * half, 1.4), near(rng, (0.3, 0.38, 0.48), 0.08))
    light = near(rng, (0.75, 0.8, 0.85), 0.08)
    for y in np.arange(top + 0.05, 1.2, 0.085):
        canvas.line(symmetric(x, (half * 0.85, y)), light, 0.03)


@SCENES.add("staircase", indoors((0.72, 0.67, 0.6), 0.06, (0.9, 1.15), flip=True))
def _staircase(rng: Generator, canvas: Canvas) -> None:
    steps, tread = int(rng.integers(5, 8)), near(rng, (0.42, 0.3, 0.22), 0.1)
    for step in range(steps):
        left, top = step / steps, 1.0 - 0.85 * (step + 1) / steps
        canvas.polygon([(left, top), (1.4, top), (1.4, 1.4), (left, 1.4)], near(rng, tread, 0.03))
        canvas.line([(left, top), (left + 1.2 / steps, top)], (0.85, 0.8, 0.72), 0.025)
    canvas.line([(0.0, 0.6), (0.9, -0.2)], near(rng, (0.25, 0.18, 0.14)), 0.03)


@SCENES.add("village", outdoors(GRASS))
def _village(rng: Generator, canvas: Canvas, horizon: float) -> None:
    _hills(rng, canvas, horizon, 0.12)
    for x in rng.permutation(np.linspace(0.08, 0.92, int(rng.integers(3, 5)))):
        foot = horizon + rng.uniform(0.08, 0.3)
        wide, tall = rng.uniform(0.1, 0.14), rng.uniform(0.13, 0.2)
        canvas.rectangle((x, foot - tall / 2), (2 * wide, tall), near(rng, (0.85, 0.8, 0.7), 0.08))
        roof = hsv(rng.uniform(0, 0.06), 0.6, rng.uniform(0.35, 0.65))
        canvas.polygon(symmetric(x, (wide * 1.2, foot - tall), (0, foot - tall * 2)), roof)
        canvas.rectangle((x, foot - tall * 0.4), (0.05, tall * 0.5), (0.2, 0.2, 0.25))


@SCENES.add("volcano", outdoors((0.3, 0.32, 0.24)))
def _volcano(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x, top = rng.uniform(0.35, 0.65), horizon - rng.uniform(0.22, 0.32)
    cone = symmetric(x, (rng.uniform(0.4, 0.55), horizon + 0.08), (0.1, top))
    for step in range(5):
        puff = (x + rng.normal(0, 0.04) + 0.05 * step, top - 0.05 - 0.08 * step)
        canvas.ellipse(puff, 0.06 + 0.02 * step, near(rng, (0.55, 0.53, 0.53), 0.06))
    canvas.polygon(cone, near(rng, (0.27, 0.22, 0.22), 0.04))
    canvas.ellipse((x, top), (0.1, 0.025), (0.95, 0.4, 0.1))
    if rng.random() < 0.6:
        canvas.line([(x, top), (x + rng.normal(0, 0.08), top + 0.18)], (0.9, 0.3, 0.08), 0.035)


@SCENES.add("windmill", outdoors(GRASS))
def _windmill(rng: Generator, canvas: Canvas, horizon: float) -> None:
    x, hub, foot = rng.uniform(0.35, 0.65), rng.uniform(0.3, 0.42), horizon + 0.25
    tower = near(rng, (0.62, 0.52, 0.42), 0.14)
    canvas.polygon(symmetric(x, (0.07, hub), (0.14, foot)), tower)
    canvas.polygon(ring_points((x, hub), 0.09, 12), near(rng, (0.35, 0.25, 0.2)))
    turn, reach = rng.uniform(0, np.pi / 2), rng.uniform(0.26, 0.36)
    for angle in turn + np.arange(4) * np.pi / 2:
        sail = [(x, hub), (x + reach * np.cos(angle), hub + reach * np.sin(angle))]
        canvas.line(sail, near(rng, WHITE, 0.06), 0.055)
