"""What all renderers share: a canvas in unit coordinates, sets of scenes and the camera."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from frod_bench.embedded.images.colours import SIZE, Array, Colour, any_colour, fractal_noise
from frod_bench.embedded.images.shapes import Frame, Point, Points, box_points, ring_points

OVERSAMPLING = 3  # drawn this many times larger, then averaged: smooth edges
DRAWN = SIZE * OVERSAMPLING
# Fonts that come with matplotlib.
FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf"),
    *("DejaVuSerif-Bold.ttf", "DejaVuSans-Oblique.ttf", "STIXGeneral.ttf", "STIXGeneralBol.ttf"),
)
_FONT_PIXELS = 64  # height that characters are drawn at before they are fitted to their box

Scene = Callable[[Generator], Array]
Draw = Callable[..., Any]


class Canvas:
    """A picture that is drawn on in unit coordinates, through a frame."""

    def __init__(self, ground: Colour | Array, frame: Frame | None = None) -> None:
        picture = np.broadcast_to(np.asarray(ground, dtype=np.float64), (SIZE, SIZE, 3))
        image = Image.fromarray(_bytes(picture))
        self.image = image.resize((DRAWN, DRAWN), Image.Resampling.BILINEAR)
        self.frame = frame or Frame()
        self._draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Points, colour: Colour) -> None:
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
        return np.asarray(self.image.reduce(OVERSAMPLING), dtype=np.float64) / 255

    def _pixels(self, points: Points) -> list[float]:
        mapped = self.frame.apply(np.asarray(points, dtype=np.float64)) * DRAWN
        return mapped.ravel().tolist()


class Scenes(dict[str, Scene]):
    """Class name -> function that draws a picture of it.

    `texture` is the strength of noise over the pictures, `camera` says how to photograph them.
    """

    def __init__(self, texture: float = 0, **camera: float) -> None:
        super().__init__()
        self.texture, self.camera = texture, camera

    def add(self, name: str, start: Draw | None = None) -> Callable[[Draw], Draw]:
        """Register the decorated function under `name`.

        Without `start`, the function gets a random generator and returns a picture. With `start`,
        it draws on the canvas that `start` prepares, and gets whatever else `start` returns.
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
        noise = (fractal_noise(rng, 10)[..., None] - 0.5) * self.texture if self.texture else 0
        return photograph(self[name](rng) + noise, rng, **self.camera)


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
