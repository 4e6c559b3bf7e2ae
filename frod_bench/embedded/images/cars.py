"""Stanford Cars: side views that differ in their proportions only.

A model is its outline. Paint, surroundings, size and direction are independent of it.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from frod_bench.embedded.images.canvas import (
    Array,
    Canvas,
    Colour,
    Frame,
    grain,
    hsv,
    near,
    photograph,
)

GLASS: Colour = (0.2, 0.26, 0.32)
TYRE: Colour = (0.07, 0.07, 0.08)
ROAD: Colour = (0.4, 0.4, 0.42)


@dataclass(frozen=True)
class Outline:
    """A car's side, nose to the left; lengths as shares of the picture's side.

    `hood`, `roof` and `tail` are heights above the sill; `screen` = (foot, top) and `rear` = (top,
    foot) are places along the body, 0 at the nose and 1 at the tail. `roof` 0 is an open car.
    """

    length: float
    hood: float
    roof: float
    tail: float
    screen: tuple[float, float]
    rear: tuple[float, float]
    wheel: float = 0.075
    windowless: float = 2.0  # from this place along the body on, there are no windows


OUTLINES: dict[str, Outline] = {
    "AM General Hummer SUV 2000": Outline(0.76, 0.21, 0.37, 0.21, (0.34, 0.38), (0.94, 0.97), 0.1),
    "Acura TL Sedan 2012": Outline(0.84, 0.14, 0.28, 0.15, (0.28, 0.42), (0.7, 0.86)),
    "Aston Martin V8 Vantage Convertible 2012": Outline(
        0.8, 0.13, 0.0, 0.15, (0.36, 0.46), (0.6, 0.7)
    ),
    "Audi R8 Coupe 2012": Outline(0.8, 0.11, 0.24, 0.15, (0.2, 0.42), (0.6, 0.95), 0.085),
    "Audi 100 Wagon 1994": Outline(0.88, 0.14, 0.29, 0.16, (0.28, 0.4), (0.93, 0.99)),
    "BMW X5 SUV 2007": Outline(0.8, 0.19, 0.36, 0.2, (0.26, 0.38), (0.86, 0.96), 0.095),
    "Chevrolet Express Cargo Van 2007": Outline(
        0.9, 0.2, 0.42, 0.4, (0.12, 0.24), (0.98, 0.99), 0.075, 0.4
    ),
    "Chevrolet Silverado 1500 Regular Cab 2012": Outline(
        0.92, 0.19, 0.35, 0.19, (0.28, 0.37), (0.54, 0.56), 0.095
    ),
    "Dodge Caravan Minivan 1997": Outline(0.8, 0.16, 0.35, 0.18, (0.14, 0.36), (0.92, 0.98), 0.07),
    "Dodge Ram Pickup 3500 Crew Cab 2010": Outline(
        0.94, 0.2, 0.37, 0.2, (0.24, 0.32), (0.66, 0.68), 0.095
    ),
    "FIAT 500 Abarth 2012": Outline(0.56, 0.16, 0.31, 0.17, (0.2, 0.4), (0.76, 0.98), 0.07),
    "Lamborghini Aventador Coupe 2012": Outline(
        0.88, 0.08, 0.21, 0.16, (0.14, 0.48), (0.58, 0.92), 0.085
    ),
    "Rolls-Royce Phantom Sedan 2012": Outline(
        0.94, 0.19, 0.34, 0.18, (0.36, 0.46), (0.74, 0.86), 0.095
    ),
    "Volkswagen Beetle Hatchback 2012": Outline(
        0.7, 0.15, 0.32, 0.14, (0.26, 0.44), (0.58, 0.98), 0.085
    ),
    "Volkswagen Golf Hatchback 1991": Outline(
        0.66, 0.15, 0.31, 0.16, (0.28, 0.38), (0.86, 0.98), 0.065
    ),
    "smart fortwo Convertible 2012": Outline(0.44, 0.18, 0.0, 0.2, (0.18, 0.36), (0.75, 0.9), 0.07),
}


def _body(shape: Outline) -> tuple[Array, Array]:
    """The outlines of the painted body and of the windows, both (points, 2), before jitter."""
    nose, sill = 0.5 - shape.length / 2, 0.7

    def at(along: float, height: float) -> tuple[float, float]:
        return (nose + along * shape.length, sill - height)

    roof = shape.roof or shape.hood + 0.09
    (foot, top), (rear_top, rear_foot) = shape.screen, shape.rear
    cabin = [at(foot, shape.hood), at(top, roof), at(rear_top, roof), at(rear_foot, shape.tail)]
    if not shape.roof:
        cabin = [at(foot, shape.hood), at(rear_foot, shape.tail)]
    body = [
        at(0, 0),
        at(0, shape.hood * 0.75),
        at(0.04, shape.hood),
        *cabin,
        at(1, shape.tail),
        at(1, 0),
    ]
    window = np.array(
        [
            at(foot, shape.hood),
            at(top, roof),
            at(min(rear_top, shape.windowless), roof),
            at(min(rear_foot, shape.windowless), max(shape.tail, shape.hood)),
        ]
    )
    if not shape.roof:  # only the windscreen stands up
        window = np.array(
            [at(foot, shape.hood), at(top, roof), at(top + 0.04, roof), at(foot + 0.05, shape.hood)]
        )
        return np.array(body), window
    middle = window.mean(axis=0)
    return np.array(body), middle + (window - middle) * np.array([0.84, 0.72])


def render(name: str, rng: np.random.Generator) -> Image.Image:
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
