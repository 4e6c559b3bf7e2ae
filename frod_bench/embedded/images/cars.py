"""Stanford Cars: side views; a model is its outline, and all else is independent of it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from frod_bench.embedded.images.canvas import Canvas, photograph
from frod_bench.embedded.images.colours import Array, Colour, grain, hsv, near
from frod_bench.embedded.images.shapes import Frame

GLASS: Colour = (0.2, 0.26, 0.32)
TYRE: Colour = (0.07, 0.07, 0.08)
ROAD: Colour = (0.4, 0.4, 0.42)


@dataclass(frozen=True)
class Outline:
    """A car's side, nose to the left; lengths as shares of the picture's side.

    `hood`, `roof` and `tail` are heights above the sill; `screen` (foot and top) and `rear` (top
    and foot) are places along the body, 0 at the nose and 1 at the tail. `roof` 0 is an open car.
    """

    length: float
    hood: float
    roof: float
    tail: float
    screen_foot: float
    screen_top: float
    rear_top: float
    rear_foot: float
    wheel: float = 0.075
    windowless: float = 2.0  # from this place along the body on, there are no windows


_PERCENT: dict[str, tuple[float, ...]] = {
    "AM General Hummer SUV 2000": (76, 21, 37, 21, 34, 38, 94, 97, 10),
    "Acura TL Sedan 2012": (84, 14, 28, 15, 28, 42, 70, 86),
    "Aston Martin V8 Vantage Convertible 2012": (80, 13, 0, 15, 36, 46, 60, 70),
    "Audi R8 Coupe 2012": (80, 11, 24, 15, 20, 42, 60, 95, 8.5),
    "Audi 100 Wagon 1994": (88, 14, 29, 16, 28, 40, 93, 99),
    "BMW X5 SUV 2007": (80, 19, 36, 20, 26, 38, 86, 96, 9.5),
    "Chevrolet Express Cargo Van 2007": (90, 20, 42, 40, 12, 24, 98, 99, 7.5, 40),
    "Chevrolet Silverado 1500 Regular Cab 2012": (92, 19, 35, 19, 28, 37, 54, 56, 9.5),
    "Dodge Caravan Minivan 1997": (80, 16, 35, 18, 14, 36, 92, 98, 7),
    "Dodge Ram Pickup 3500 Crew Cab 2010": (94, 20, 37, 20, 24, 32, 66, 68, 9.5),
    "FIAT 500 Abarth 2012": (56, 16, 31, 17, 20, 40, 76, 98, 7),
    "Lamborghini Aventador Coupe 2012": (88, 8, 21, 16, 14, 48, 58, 92, 8.5),
    "Rolls-Royce Phantom Sedan 2012": (94, 19, 34, 18, 36, 46, 74, 86, 9.5),
    "Volkswagen Beetle Hatchback 2012": (70, 15, 32, 14, 26, 44, 58, 98, 8.5),
    "Volkswagen Golf Hatchback 1991": (66, 15, 31, 16, 28, 38, 86, 98, 6.5),
    "smart fortwo Convertible 2012": (44, 18, 0, 20, 18, 36, 75, 90, 7),
}
OUTLINES = {name: Outline(*(value / 100 for value in row)) for name, row in _PERCENT.items()}


def _body(shape: Outline) -> tuple[Array, Array]:
    """The outlines of the painted body and of the windows, both (points, 2), before jitter."""

    def at(*places: tuple[float, float]) -> Array:
        """Points of the picture from (place along the body, height above the sill)."""
        along, height = np.array(places).T
        return np.stack([0.5 - shape.length / 2 + along * shape.length, 0.7 - height], axis=1)

    roof, edge = shape.roof or shape.hood + 0.09, shape.windowless
    foot, top = (shape.screen_foot, shape.hood), (shape.screen_top, roof)
    cabin = [foot, top, (shape.rear_top, roof)] if shape.roof else [foot]
    nose = [(0, 0), (0, shape.hood * 0.75), (0.04, shape.hood)]
    body = at(*nose, *cabin, (shape.rear_foot, shape.tail), (1, shape.tail), (1, 0))
    if not shape.roof:  # only the windscreen stands up
        return body, at(foot, top, (top[0] + 0.04, roof), (foot[0] + 0.05, shape.hood))
    rear = (min(shape.rear_foot, edge), max(shape.tail, shape.hood))
    window = at(foot, top, (min(shape.rear_top, edge), roof), rear)
    middle = window.mean(axis=0)
    return body, middle + (window - middle) * np.array([0.84, 0.72])


def render(name: str, rng: Generator) -> Image.Image:
    """A street picture of the model `name`, in any paint, facing either way."""
    shape = OUTLINES[name]
    sky = grain(rng, hsv(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.5, 1)), 0.1, 4)
    canvas = Canvas(sky, Frame.random(rng, turn=0.04, scale=(0.92, 1.1), shift=0.04, flip=True))
    canvas.rectangle((0.5, 1.22), (3, 1), near(rng, ROAD))
    body, window = _body(shape)
    wobble = rng.normal(0, 0.004, body.shape)
    canvas.polygon(body + wobble, hsv(rng.random(), rng.uniform(0, 0.9), rng.uniform(0.25, 1)))
    canvas.polygon(window, near(rng, GLASS))
    for along in (0.19, 0.8):
        centre = (0.5 + (along - 0.5) * shape.length, 0.7)
        canvas.ellipse(centre, shape.wheel, TYRE)
        canvas.ellipse(centre, shape.wheel * 0.5, near(rng, (0.65, 0.65, 0.67)))
    return photograph(canvas.array(), rng, noise=0.04, light=0.3, occlusion=0.2)
