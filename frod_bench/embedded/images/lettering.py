"""Characters for the renderers, in the fonts that come with matplotlib."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from frod_bench.embedded.images.canvas import DRAWN, Canvas, Colour, Point

FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSansMono-Bold.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "STIXGeneral.ttf",
    "STIXGeneralBol.ttf",
)
SIGN_FONT = 1  # plain and bold
_PIXELS = 64  # height that characters are drawn at before they are fitted to their box


@cache
def stencil(text: str, font: int) -> Image.Image:
    """The ink of `text` in the given font, cropped: a grey image, 255 where there is ink."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    face = ImageFont.truetype(str(folder / FONTS[font]), _PIXELS)
    left, top, right, bottom = face.getbbox(text)
    image = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), text, font=face, fill=255)
    return image


def write(
    canvas: Canvas,
    text: str,
    centre: Point,
    box: Point,
    colour: Colour,
    *,
    font: int = SIGN_FONT,
) -> None:
    """Write `text` into the box (width, height in units) about `centre`, as large as it fits.

    The canvas's frame is applied to the characters too: they turn and stretch with the rest.
    """
    ink = stencil(text, font)
    scale = min(box[0] / ink.width, box[1] / ink.height)  # units a pixel of the stencil
    # PIL wants, for every pixel of the output, the place in the stencil that it is taken from
    inverse = np.linalg.inv(canvas.frame.matrix) / (DRAWN * scale)
    middle = canvas.frame.apply(np.array([centre]))[0] * DRAWN
    offset = np.array([ink.width, ink.height]) / 2 - inverse @ middle
    (a, b), (c, d) = inverse
    coefficients = (a, b, offset[0], c, d, offset[1])
    mask = ink.transform(
        canvas.image.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    red, green, blue = (round(255 * c) for c in colour)
    canvas.image.paste((red, green, blue), mask=mask)
