"""Things with writing on them: GTSRB's traffic signs and SVHN's house numbers."""

from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

from frod_bench.embedded.images.canvas import FONTS, Canvas, photograph
from frod_bench.embedded.images.colours import Colour, any_colour, contrasting, grain, near
from frod_bench.embedded.images.shapes import Frame, Point, arc, ring_points

RED: Colour = (0.75, 0.1, 0.12)
BLUE: Colour = (0.1, 0.28, 0.65)
YELLOW: Colour = (0.95, 0.75, 0.15)
WHITE: Colour = (0.93, 0.93, 0.92)
BLACK: Colour = (0.08, 0.08, 0.1)
GREY: Colour = (0.5, 0.5, 0.5)
UP = -np.pi / 2
CENTRE = (0.5, 0.5)

# A sign is a list of strokes: what to call on a canvas, and its arguments.
Strokes = list[tuple[Any, ...]]
LINE, POLYGON, ELLIPSE = Canvas.line, Canvas.polygon, Canvas.ellipse
BOX, TEXT = Canvas.rectangle, Canvas.write


def plate(centre: Point, corners: int, turn: float, *layers: tuple[float, Colour]) -> Strokes:
    """Regular polygons, each given by its radius and colour; 24 corners are a disc."""
    return [(POLYGON, ring_points(centre, radius, corners, turn), c) for radius, c in layers]


def number(text: str, colour: Colour = BLACK) -> Strokes:
    """A number in the middle of the plate."""
    return [(TEXT, text, CENTRE, (0.46 if len(text) < 3 else 0.54, 0.36), colour)]


def bend(side: int) -> Strokes:
    """An arrow that bends to the right (1) or the left (-1)."""
    path = [(0.5 - side * 0.06, 0.76), (0.5 - side * 0.06, 0.62), (0.5 + side * 0.08, 0.48)]
    head = ring_points((0.5 + side * 0.09, 0.46), 0.1, 3, UP + side * 0.7)
    return [(LINE, path, BLACK, 0.07), (POLYGON, head, BLACK)]


def arrow(angle: float) -> Strokes:
    """One white arrow across the plate, at an angle in radians (0: right, pi / 2: down)."""
    step = np.array([np.cos(angle), np.sin(angle)])
    shaft, head = (
        [0.5 - 0.24 * step, 0.5 + 0.15 * step],
        ring_points(0.5 + 0.17 * step, 0.15, 3, angle),
    )
    return [(LINE, shaft, WHITE, 0.09), (POLYGON, head, WHITE)]


def fork(side: int) -> Strokes:
    """White arrows forward and to the right (1) or the left (-1), from one foot."""
    x, branch, turn = 0.5 - side * 0.1, 0.5 + side * 0.14, side * np.pi / 2
    return [
        (LINE, [(x, 0.78), (x, 0.36)], WHITE, 0.08),
        (LINE, [(x, 0.6), (branch, 0.6)], WHITE, 0.08),
        (POLYGON, ring_points((x, 0.32), 0.12, 3, UP), WHITE),
        (POLYGON, ring_points((branch + side * 0.04, 0.6), 0.12, 3, UP + turn), WHITE),
    ]


def circling() -> Strokes:
    """Three arrows that follow each other around."""
    strokes: Strokes = []
    for start in UP + np.arange(3) * 2 * np.pi / 3:
        angles = start + np.linspace(0, 1.3, 6)
        path = arc(CENTRE, 0.24, angles)
        head = ring_points(path[-1], 0.1, 3, angles[-1] + np.pi / 2)
        strokes += [(LINE, path, WHITE, 0.075), (POLYGON, head, WHITE)]
    return strokes


RED_RING = plate(CENTRE, 24, 0, (0.44, RED), (0.33, WHITE))
GREY_RING = plate(CENTRE, 24, 0, (0.44, GREY), (0.41, WHITE))  # the end of a rule
RED_DISC = plate(CENTRE, 24, 0, (0.44, RED))
BLUE_DISC = plate(CENTRE, 24, 0, (0.44, BLUE))  # an order
WARNING = plate((0.5, 0.6), 3, UP, (0.52, RED), (0.36, WHITE))
YIELD = plate((0.5, 0.4), 3, -UP, (0.52, RED), (0.32, WHITE))
OCTAGON = plate(CENTRE, 8, np.pi / 8, (0.46, RED))
DIAMOND = plate(CENTRE, 4, 0, (0.47, WHITE), (0.34, YELLOW))

BAR: Strokes = [(BOX, CENTRE, (0.62, 0.16), WHITE)]
STOP: Strokes = [(TEXT, "STOP", CENTRE, (0.72, 0.26), WHITE)]
STRIKE: Strokes = [
    (LINE, [(0.24 + shift, 0.76 + shift), (0.76 + shift, 0.24 + shift)], BLACK, 0.025)
    for shift in (-0.06, 0.0, 0.06)
]
EXCLAMATION: Strokes = [
    (LINE, [(0.5, 0.36), (0.5, 0.62)], BLACK, 0.08),
    (ELLIPSE, (0.5, 0.72), 0.045, BLACK),
]
CROSSING: Strokes = [
    (LINE, [(0.5, 0.38), (0.5, 0.76)], BLACK, 0.08),
    (LINE, [(0.34, 0.64), (0.66, 0.64)], BLACK, 0.05),
]
BUMPS: Strokes = [
    *[(ELLIPSE, (x, 0.7), (0.09, 0.12), BLACK) for x in (0.4, 0.6)],
    (BOX, (0.5, 0.74), (0.44, 0.08), BLACK),
]
NARROWING: Strokes = [
    (LINE, [(0.4, 0.76), (0.4, 0.62), (0.46, 0.54), (0.46, 0.4)], BLACK, 0.04),
    (LINE, [(0.6, 0.76), (0.6, 0.62), (0.54, 0.54), (0.54, 0.4)], BLACK, 0.04),
]
LAMPS = ((0.46, (0.9, 0.1, 0.1)), (0.58, YELLOW), (0.7, (0.1, 0.75, 0.25)))
TRAFFIC_LIGHT: Strokes = [
    (BOX, (0.5, 0.58), (0.15, 0.4), BLACK),
    *[(ELLIPSE, (0.5, y), 0.05, lamp) for y, lamp in LAMPS],
]

SPEED = "red and white circle {} kph speed limit"
SPEEDS = (20, 30, 50, 60, 70, 80, 100, 120)
SIGNS: dict[str, Strokes] = {
    **{SPEED.format(speed): RED_RING + number(str(speed)) for speed in SPEEDS},
    "end / de-restriction of 80 kph speed limit": GREY_RING + number("80", GREY) + STRIKE,
    "red and white triangle road intersection warning": WARNING + CROSSING,
    "white and yellow diamond priority road": DIAMOND,
    "red and white upside down triangle yield right-of-way": YIELD,
    "stop": OCTAGON + STOP,
    "empty red and white circle": RED_RING,
    "red circle with white horizonal stripe no entry": RED_DISC + BAR,
    "red and white triangle with exclamation mark warning": WARNING + EXCLAMATION,
    "red and white triangle with black left curve approaching warning": WARNING + bend(-1),
    "red and white triangle with black right curve approaching warning": WARNING + bend(1),
    "red and white triangle rough / bumpy road warning": WARNING + BUMPS,
    "red and white triangle with merging / narrow lanes warning": WARNING + NARROWING,
    "red and white triangle with traffic light approaching warning": WARNING + TRAFFIC_LIGHT,
    "white circle with gray strike bar no speed limit": GREY_RING + STRIKE,
    "blue circle with white right turn arrow mandatory": BLUE_DISC + arrow(0.0),
    "blue circle with white left turn arrow mandatory": BLUE_DISC + arrow(np.pi),
    "blue circle with white forward arrow mandatory": BLUE_DISC + arrow(UP),
    "blue circle with white forward or right turn arrow mandatory": BLUE_DISC + fork(1),
    "blue circle with white forward or left turn arrow mandatory": BLUE_DISC + fork(-1),
    "blue circle with white keep right arrow mandatory": BLUE_DISC + arrow(np.pi / 4),
    "blue circle with white keep left arrow mandatory": BLUE_DISC + arrow(3 * np.pi / 4),
    "blue circle with white arrows indicating a traffic circle": BLUE_DISC + circling(),
}


def render(name: str, rng: Generator) -> Image.Image:
    """A roadside picture of the sign `name`, before sky, leaves or walls."""
    ground = grain(rng, near(rng, any_colour(rng)), 0.2, 4)
    canvas = Canvas(ground, Frame.random(rng, turn=0.12, scale=(0.85, 1.1), shift=0.04))
    canvas.line([(0.5, 0.6), (0.5, 1.6)], near(rng, GREY), 0.07)
    for draw, *arguments in SIGNS[name]:
        draw(canvas, *arguments)
    return photograph(canvas.array(), rng, noise=0.05, light=0.4, blur=0.9, occlusion=0.25)


def render_house_number(name: str, rng: Generator) -> Image.Image:
    """A crop of a house number: the digit `name` in the middle, at times others at its sides."""
    wall = any_colour(rng)
    ground = grain(rng, wall, 0.15, 4)
    canvas = Canvas(ground, Frame.random(rng, turn=0.15, scale=(0.85, 1.15), shift=0.04))
    paint, font = contrasting(rng, wall, 0.35), int(rng.integers(len(FONTS)))
    box, gap = (rng.uniform(0.4, 0.62), rng.uniform(0.62, 0.85)), rng.uniform(0.5, 0.62)
    for side in (-1, 1):
        if rng.random() < 0.35:
            other = str(rng.integers(10))
            canvas.write(other, (0.5 + side * gap, 0.5), box, paint, font)
    canvas.write(name, CENTRE, box, paint, font)
    return photograph(canvas.array(), rng, noise=0.04, light=0.3, blur=0.9, occlusion=0.15)
