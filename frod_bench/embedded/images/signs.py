"""GTSRB: German traffic signs, as (plate, symbol) pairs."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from frod_bench.embedded.images.canvas import (
    Canvas,
    Colour,
    Frame,
    Point,
    any_colour,
    grain,
    near,
    photograph,
    ring_points,
    write,
)

Paint = Callable[[Canvas], None]

RED: Colour = (0.75, 0.1, 0.12)
BLUE: Colour = (0.1, 0.28, 0.65)
YELLOW: Colour = (0.95, 0.75, 0.15)
WHITE: Colour = (0.93, 0.93, 0.92)
BLACK: Colour = (0.08, 0.08, 0.1)
GREY: Colour = (0.5, 0.5, 0.5)
UP = -np.pi / 2


def plate(centre: Point, corners: int, turn: float, *layers: tuple[float, Colour]) -> Paint:
    """Regular polygons, each given by its radius and colour; 24 corners are a disc."""

    def paint(canvas: Canvas) -> None:
        for radius, colour in layers:
            canvas.polygon(ring_points(centre, radius, corners, turn), colour)

    return paint


RED_RING = plate((0.5, 0.5), 24, 0, (0.44, RED), (0.33, WHITE))
GREY_RING = plate((0.5, 0.5), 24, 0, (0.44, GREY), (0.41, WHITE))  # the end of a rule
RED_DISC = plate((0.5, 0.5), 24, 0, (0.44, RED))
BLUE_DISC = plate((0.5, 0.5), 24, 0, (0.44, BLUE))  # an order
WARNING = plate((0.5, 0.6), 3, UP, (0.52, RED), (0.36, WHITE))
YIELD = plate((0.5, 0.4), 3, -UP, (0.52, RED), (0.32, WHITE))
OCTAGON = plate((0.5, 0.5), 8, np.pi / 8, (0.46, RED))
DIAMOND = plate((0.5, 0.5), 4, 0, (0.47, WHITE), (0.34, YELLOW))


def nothing(canvas: Canvas) -> None:
    """No symbol: the plate says it all."""


def number(text: str, colour: Colour = BLACK) -> Paint:
    """A number in the middle of the plate."""
    width = 0.46 if len(text) < 3 else 0.54
    return lambda canvas: write(canvas, text, (0.5, 0.5), (width, 0.36), colour)


def bar(canvas: Canvas) -> None:
    """White horizontal bar."""
    canvas.rectangle((0.5, 0.5), (0.62, 0.16), WHITE)


def strike(canvas: Canvas) -> None:
    """Grey bars from the lower left to the upper right."""
    for shift in (-0.06, 0.0, 0.06):
        canvas.line([(0.24 + shift, 0.76 + shift), (0.76 + shift, 0.24 + shift)], BLACK, 0.025)


def struck_number(text: str) -> Paint:
    """A grey number behind bars."""

    def paint(canvas: Canvas) -> None:
        number(text, GREY)(canvas)
        strike(canvas)

    return paint


def stop_word(canvas: Canvas) -> None:
    """The word STOP in white."""
    write(canvas, "STOP", (0.5, 0.5), (0.72, 0.26), WHITE)


def exclamation(canvas: Canvas) -> None:
    """Exclamation mark."""
    canvas.line([(0.5, 0.36), (0.5, 0.62)], BLACK, 0.08)
    canvas.ellipse((0.5, 0.72), 0.045, BLACK)


def crossing(canvas: Canvas) -> None:
    """Two lines that cross at right angles."""
    canvas.line([(0.5, 0.38), (0.5, 0.76)], BLACK, 0.08)
    canvas.line([(0.34, 0.64), (0.66, 0.64)], BLACK, 0.05)


def bumps(canvas: Canvas) -> None:
    """Two humps on a line."""
    for x in (0.4, 0.6):
        canvas.ellipse((x, 0.7), (0.09, 0.12), BLACK)
    canvas.rectangle((0.5, 0.74), (0.44, 0.08), BLACK)


def narrowing(canvas: Canvas) -> None:
    """Two lines that come together."""
    canvas.line([(0.4, 0.76), (0.4, 0.62), (0.46, 0.54), (0.46, 0.4)], BLACK, 0.04)
    canvas.line([(0.6, 0.76), (0.6, 0.62), (0.54, 0.54), (0.54, 0.4)], BLACK, 0.04)


def traffic_light(canvas: Canvas) -> None:
    """Red, yellow and green lamps on a dark box."""
    canvas.rectangle((0.5, 0.58), (0.15, 0.4), BLACK)
    for y, lamp in ((0.46, (0.9, 0.1, 0.1)), (0.58, YELLOW), (0.7, (0.1, 0.75, 0.25))):
        canvas.ellipse((0.5, y), 0.05, lamp)


def bend(side: int) -> Paint:
    """An arrow that bends to the right (1) or the left (-1)."""

    def paint(canvas: Canvas) -> None:
        path = [(0.5 - side * 0.06, 0.76), (0.5 - side * 0.06, 0.62), (0.5 + side * 0.08, 0.48)]
        canvas.line(path, BLACK, 0.07)
        canvas.polygon(ring_points((0.5 + side * 0.09, 0.46), 0.1, 3, UP + side * 0.7), BLACK)

    return paint


def arrow(angle: float) -> Paint:
    """One white arrow across the plate, at an angle in radians (0: right, pi / 2: down)."""

    def paint(canvas: Canvas) -> None:
        step = np.array([np.cos(angle), np.sin(angle)])
        canvas.line(np.stack([0.5 - 0.24 * step, 0.5 + 0.15 * step]), WHITE, 0.09)
        canvas.polygon(ring_points(tuple(0.5 + 0.17 * step), 0.15, 3, angle), WHITE)

    return paint


def fork(side: int) -> Paint:
    """White arrows forward and to the right (1) or the left (-1), from one foot."""

    def paint(canvas: Canvas) -> None:
        x, branch = 0.5 - side * 0.1, 0.5 + side * 0.14
        canvas.line([(x, 0.78), (x, 0.36)], WHITE, 0.08)
        canvas.line([(x, 0.6), (branch, 0.6)], WHITE, 0.08)
        canvas.polygon(ring_points((x, 0.32), 0.12, 3, UP), WHITE)
        canvas.polygon(
            ring_points((branch + side * 0.04, 0.6), 0.12, 3, UP + side * np.pi / 2), WHITE
        )

    return paint


def circling(canvas: Canvas) -> None:
    """Three arrows that follow each other around."""
    for start in UP + np.arange(3) * 2 * np.pi / 3:
        angles = start + np.linspace(0, 1.3, 6)
        arc = np.stack([0.5 + 0.24 * np.cos(angles), 0.5 + 0.24 * np.sin(angles)], axis=1)
        canvas.line(arc, WHITE, 0.075)
        canvas.polygon(ring_points(tuple(arc[-1]), 0.1, 3, angles[-1] + np.pi / 2), WHITE)


SPEED = "red and white circle {} kph speed limit"
SIGNS: dict[str, tuple[Paint, Paint]] = {
    **{SPEED.format(v): (RED_RING, number(str(v))) for v in (20, 30, 50, 60, 70, 80, 100, 120)},
    "end / de-restriction of 80 kph speed limit": (GREY_RING, struck_number("80")),
    "red and white triangle road intersection warning": (WARNING, crossing),
    "white and yellow diamond priority road": (DIAMOND, nothing),
    "red and white upside down triangle yield right-of-way": (YIELD, nothing),
    "stop": (OCTAGON, stop_word),
    "empty red and white circle": (RED_RING, nothing),
    "red circle with white horizonal stripe no entry": (RED_DISC, bar),
    "red and white triangle with exclamation mark warning": (WARNING, exclamation),
    "red and white triangle with black left curve approaching warning": (WARNING, bend(-1)),
    "red and white triangle with black right curve approaching warning": (WARNING, bend(1)),
    "red and white triangle rough / bumpy road warning": (WARNING, bumps),
    "red and white triangle with merging / narrow lanes warning": (WARNING, narrowing),
    "red and white triangle with traffic light approaching warning": (WARNING, traffic_light),
    "white circle with gray strike bar no speed limit": (GREY_RING, strike),
    "blue circle with white right turn arrow mandatory": (BLUE_DISC, arrow(0.0)),
    "blue circle with white left turn arrow mandatory": (BLUE_DISC, arrow(np.pi)),
    "blue circle with white forward arrow mandatory": (BLUE_DISC, arrow(UP)),
    "blue circle with white forward or right turn arrow mandatory": (BLUE_DISC, fork(1)),
    "blue circle with white forward or left turn arrow mandatory": (BLUE_DISC, fork(-1)),
    "blue circle with white keep right arrow mandatory": (BLUE_DISC, arrow(np.pi / 4)),
    "blue circle with white keep left arrow mandatory": (BLUE_DISC, arrow(3 * np.pi / 4)),
    "blue circle with white arrows indicating a traffic circle": (BLUE_DISC, circling),
}


def render(name: str, rng: np.random.Generator) -> Image.Image:
    """A roadside picture of the sign `name`, before sky, leaves or walls."""
    plate, symbol = SIGNS[name]
    canvas = Canvas(
        grain(rng, near(rng, any_colour(rng)), 0.2, 4),
        Frame.random(rng, turn=0.12, scale=(0.85, 1.1), shift=0.04),
    )
    canvas.line([(0.5, 0.6), (0.5, 1.6)], near(rng, GREY), 0.07)
    plate(canvas)
    symbol(canvas)
    return photograph(canvas.array(), rng, noise=0.05, light=0.4, blur=0.9, occlusion=0.25)
