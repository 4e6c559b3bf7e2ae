"""What all renderers share: a canvas in unit coordinates, colours, noise and the camera.

Points are (x, y) in the unit square, x to the right and y down. Pictures are float arrays of
shape (size, size, 3) with values in 0..1, until `photograph` makes bytes of them.
"""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 32  # pixels of a picture's side
OVERSAMPLING = 3  # drawn this many times larger, then averaged: smooth edges
DRAWN = SIZE * OVERSAMPLING

# Fonts that come with matplotlib.
FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf"),
    *("DejaVuSerif-Bold.ttf", "DejaVuSans-Oblique.ttf", "STIXGeneral.ttf", "STIXGeneralBol.ttf"),
)
_FONT_PIXELS = 64  # height that characters are drawn at before they are fitted to their box

Array = NDArray[np.float64]
Colour = tuple[float, float, float]  # red, green, blue in 0..1
Point = tuple[float, ...] | Array  # (x, y), or two lengths
Points = Sequence[Point] | Array
Scene = Callable[[Generator], Array]
Draw = Callable[..., Any]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (1 is a full turn), saturation and value; the latter two are clipped."""
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))


def near(rng: Generator, colour: Colour, spread: float = 0.08) -> Colour:
    """A colour close to `colour`: brightness moves most, the tint a little."""
    light = rng.normal(0, spread)
    red, green, blue = (c + light + rng.normal(0, spread / 2) for c in colour)
    return (min(max(red, 0), 1), min(max(green, 0), 1), min(max(blue, 0), 1))


def any_colour(rng: Generator) -> Colour:
    """A colour of any hue."""
    return hsv(rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.25, 1.0))


def contrasting(rng: Generator, other: Colour, gap: float = 0.3) -> Colour:
    """A colour of any hue whose brightness differs from that of `other` by at least `gap`."""
    while True:
        colour = any_colour(rng)
        if abs(sum(colour) - sum(other)) / 3 >= gap:
            return colour


def smooth_noise(rng: Generator, cells: int) -> Array:
    """Noise of about `cells` bumps a side: (SIZE, SIZE) in 0..1, more or less."""
    coarse = Image.fromarray(rng.random((cells + 1, cells + 1), dtype=np.float32))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)


def fractal_noise(rng: Generator, cells: int) -> Array:
    """Three octaves of smooth noise, each half as strong as the one before: (SIZE, SIZE)."""
    octaves = [smooth_noise(rng, min(cells * 2**i, SIZE)) / 2**i for i in range(3)]
    return np.sum(octaves, axis=0) / 1.75


def blend(low: Colour, high: Colour, amount: Array) -> Array:
    """The picture that is `low` where `amount` (SIZE, SIZE) is 0 and `high` where it is 1."""
    share = np.clip(amount, 0, 1)[..., None]
    return np.asarray(low) * (1 - share) + np.asarray(high) * share


def grain(rng: Generator, colour: Colour, strength: float = 0.1, cells: int = 8) -> Array:
    """A ground of one colour, made uneven by noise."""
    uneven = (fractal_noise(rng, cells) - 0.5) * 2 * strength
    return np.clip(np.asarray(colour) + uneven[..., None], 0, 1)


@dataclass
class Frame:
    """An affine map of unit coordinates: turn, stretch and shift about the centre."""

    matrix: Array = field(default_factory=lambda: np.eye(2))
    shift: Array = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def random(
        cls,
        rng: Generator,
        turn: float = 0.1,
        scale: Point = (0.8, 1.1),
        shift: float = 0.08,
        flip: bool = False,
    ) -> "Frame":
        """Draw a frame: turned by up to `turn` radians, sized within `scale`, moved."""
        matrix = rotation(rng.uniform(-turn, turn)) * rng.uniform(*scale)
        matrix = matrix @ np.diag([rng.uniform(0.9, 1.1), 1.0])
        if flip and rng.random() < 0.5:
            matrix = matrix @ np.diag([-1.0, 1.0])
        return cls(matrix, rng.uniform(-shift, shift, 2))

    def apply(self, points: Array) -> Array:
        """Map points (n, 2)."""
        return (points - 0.5) @ self.matrix.T + 0.5 + self.shift

    @property
    def scale(self) -> float:
        """By how much lengths grow."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))


class Canvas:
    """A picture that is drawn on in unit coordinates, through a frame."""

    def __init__(self, ground: Colour | Array, frame: Frame | None = None) -> None:
        picture = np.broadcast_to(np.asarray(ground, dtype=np.float64), (SIZE, SIZE, 3))
        image = Image.fromarray(_bytes(picture))
        self.image = image.resize((DRAWN, DRAWN), Image.Resampling.BILINEAR)
        self.frame = frame or Frame()
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon(self._pixels(points), fill=tuple(_bytes(colour).tolist()))

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw a polyline; `width` in units."""
        pixels = max(1, round(width * DRAWN * self.frame.scale))
        ink = tuple(_bytes(colour).tolist())
        self._draw.line(self._pixels(points), fill=ink, width=pixels, joint="curve")

    def ellipse(self, centre: Point, radii: float | Point, colour: Colour) -> None:
        """Fill an ellipse with the given radius, or radii in x and y."""
        self.polygon(ring_points(centre, radii), colour)

    def rectangle(self, centre: Point, sides: Point, colour: Colour, turn: float = 0.0) -> None:
        """Fill a rectangle with the given width and height, turned by `turn` radians."""
        self.polygon(box_points(centre, sides, turn), colour)

    def write(self, text: str, centre: Point, box: Point, colour: Colour, font: int = 1) -> None:
        """Write into the box (width, height in units) about `centre`, as large as it fits.

        The frame applies to the characters as well; `font` is a place in `FONTS`.
        """
        ink = stencil(text, font)
        scale = min(box[0] / ink.width, box[1] / ink.height)  # units per pixel of the stencil
        inverse = np.linalg.inv(self.frame.matrix) / (DRAWN * scale)
        middle = self.frame.apply(np.array([centre]))[0] * DRAWN
        mask = placed(ink, DRAWN, inverse, middle, Image.Resampling.BILINEAR)
        red, green, blue = (round(255 * c) for c in colour)
        self.image.paste((red, green, blue), mask=mask)

    def array(self) -> Array:
        """The picture as (SIZE, SIZE, 3) in 0..1."""
        return np.asarray(self.image.reduce(OVERSAMPLING), dtype=np.float64) / 255

    def _pixels(self, points: Points) -> list[float]:
        mapped = self.frame.apply(np.asarray(points, dtype=np.float64)) * DRAWN
        return mapped.ravel().tolist()


class Scenes(dict[str, Scene]):
    """Class name -> function that draws a picture of it; `camera` says how to photograph it."""

    def __init__(self, **camera: float) -> None:
        super().__init__()
        self.camera = camera

    def add(self, name: str, start: Draw | None = None) -> Callable[[Draw], Draw]:
        """Register the decorated function under `name`.

        Without `start` it returns the picture of a random generator. With it, it draws on the
        canvas that `start` prepares; what else `start` returns is passed on.
        """

        def register(draw: Draw) -> Draw:
            def scene(rng: Generator) -> Array:
                assert start is not None
                canvas, *others = start(rng)
                draw(rng, canvas, *others)
                return canvas.array()

            self[name] = scene if start else draw
            return draw

        return register

    def render(self, name: str, rng: Generator) -> Image.Image:
        """A photograph of the scene `name`."""
        return photograph(self[name](rng), rng, **self.camera)


@cache
def stencil(text: str, font: int) -> Image.Image:
    """The ink of `text` in the given font, cropped: a grey image, 255 where there is ink."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    face = ImageFont.truetype(str(folder / FONTS[font]), _FONT_PIXELS)
    left, top, right, bottom = face.getbbox(text)
    image = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, font=face, fill=255)
    return image


def placed(
    image: Image.Image, size: int, inverse: Any, middle: Array, resampling: Image.Resampling
) -> Image.Image:
    """The image on an empty one of `size` x `size` pixels, its centre at the pixel `middle`.

    The matrix `inverse` (2, 2) maps pixels of the result to those of `image`, as PIL wants it.
    """
    offset = np.array(image.size) / 2 - inverse @ middle
    coefficients = np.column_stack([inverse, offset]).ravel().tolist()
    return image.transform((size, size), Image.Transform.AFFINE, coefficients, resampling)


def ring_points(centre: Point, radii: float | Point, count: int = 24, turn: float = 0.0) -> Array:
    """Points (count, 2) of an ellipse, or of a regular polygon if there are few of them."""
    circle = arc((0, 0), radii, np.linspace(0, 2 * np.pi, count, endpoint=False))
    return circle @ rotation(turn).T + np.asarray(centre)


def arc(centre: Point, radii: float | Point, angles: Array) -> Array:
    """Points (n, 2) of an ellipse at the n `angles`, in radians."""
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return circle * np.asarray(radii) + np.asarray(centre)


def symmetric(x: float, *right: Point) -> Array:
    """A line or polygon (2n, 2) that is symmetric about `x`, from n points (half a width, y)."""
    half, y = np.array(right).T
    left = np.stack([x - half, y], axis=1)
    return np.concatenate([left, np.stack([x + half, y], axis=1)[::-1]])


def box_points(centre: Point, sides: Point, turn: float = 0.0) -> Array:
    """The corners (4, 2) of a rectangle."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.asarray(sides) / 2
    return corners @ rotation(turn).T + np.asarray(centre)


def curve(rng: Generator, bend: float = 0.25, points: int = 12) -> Array:
    """A winding line (points, 2) from the left edge to the right one, turned at random."""
    along = np.linspace(-0.3, 1.3, points)
    phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.4)
    across = rng.uniform(0.3, 0.7) + bend * np.sin(along * waves * np.pi + phase)
    line = np.stack([along, across], axis=1) - 0.5
    return line @ rotation(rng.uniform(0, np.pi)).T + 0.5


def photograph(
    picture: Array,
    rng: Generator,
    *,
    noise: float = 0.05,
    light: float = 0.25,
    blur: float = 0.8,
    occlusion: float = 0.3,
) -> Image.Image:
    """Take a picture with a poor camera: occluders, uneven light, blur and noise, as RGB bytes.

    `noise` is a standard deviation, `light` the largest change of gain, `blur` the largest radius
    in pixels, `occlusion` the chance that something stands in the way.
    """
    if rng.random() < occlusion:
        canvas, centre, sides = Canvas(picture), rng.random(2), rng.uniform(0.08, 0.3, 2)
        canvas.rectangle(centre, sides, any_colour(rng), rng.uniform(0, np.pi))
        picture = canvas.array()
    ramp = np.linspace(-1, 1, SIZE)
    slope_x, slope_y = rng.uniform(-light, light, 2) / 2
    gain = 1 + rng.uniform(-light, light) + slope_x * ramp[None, :] + slope_y * ramp[:, None]
    tint = 1 + rng.normal(0, light / 5, 3)
    picture = picture * gain[..., None] * tint + rng.uniform(-light, light) / 3
    image = Image.fromarray(_bytes(picture))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, blur)))
    noisy = np.asarray(image) / 255 + rng.normal(0, noise, (SIZE, SIZE, 3))
    return Image.fromarray(_bytes(noisy))


def _bytes(values: Array | Colour) -> NDArray[np.uint8]:
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def rotation(angle: float) -> Array:
    """The matrix (2, 2) that turns column vectors by `angle` radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
