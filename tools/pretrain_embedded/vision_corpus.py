"""What the vision backbone is pretrained on: made-up things, none of which a task asks about.

There are four kinds of classes, all drawn once from a seed: assemblies (a few polygons, ellipses
and bars in a fixed layout), doodles (a fixed stroke), letters (in many fonts; no digits) and
surfaces (a mixture of waves or cells). An example shows one of them, in colours, at a place, size
and angle that are drawn anew. Its targets are its class; those attributes; its mask,
which is where the thing is; and its spectrum, which is how light and dark repeat.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frod_bench.embedded.images.canvas import FONTS, Canvas, photograph
from frod_bench.embedded.images.colours import (
    SIZE,
    Array,
    Colour,
    any_colour,
    blend,
    contrasting,
    fractal_noise,
    grain,
    smooth_noise,
)
from frod_bench.embedded.images.shapes import Frame, box_points, ring_points

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
ASSEMBLIES, DOODLES, SURFACES = 48, 32, 40
NUM_CLASSES = ASSEMBLIES + DOODLES + len(LETTERS) + SURFACES
ATTRIBUTES = ("x", "y", "size", "sine", "cosine", "red", "green", "blue", "ground_red",
              "ground_green", "ground_blue")  # fmt: skip


MASK_SIDE = 16
WAVES = 8  # periods a side, at most
SPECTRUM = (2 * WAVES + 1) * WAVES


@dataclass(frozen=True)
class Part:
    """One piece of an assembly; `sides` 0 is an ellipse, 2 a bar."""

    sides: int
    centre: tuple[float, float]
    radii: tuple[float, float]
    turn: float
    tone: int  # which of the three colours


@dataclass(frozen=True)
class Surface:
    """Cells about points, a mixture of plane waves, or noise; and how it becomes light and dark."""

    waves: NDArray[np.float64]  # (n, 2), periods in x and y; none, and no cells: noise
    cells: int  # if any, the waves are not used
    warp: float
    contrast: float  # 0: smooth; larger: nearer to two tones
    ridges: bool  # thin lines where the mixture crosses its middle


@dataclass(frozen=True)
class Catalogue:
    """All classes, in the order of their labels."""

    assemblies: list[list[Part]]
    doodles: list[Array]  # control points, (n, 2)
    surfaces: list[Surface]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Catalogue":
        """Make up all classes."""
        return cls(
            [[_part(rng) for _ in range(rng.integers(2, 6))] for _ in range(ASSEMBLIES)],
            [rng.uniform(0.15, 0.85, (int(rng.integers(3, 7)), 2)) for _ in range(DOODLES)],
            [_surface(rng) for _ in range(SURFACES)],
        )


@dataclass
class Corpus:
    """Examples and their targets; missing attributes and masks are NaN."""

    pictures: NDArray[np.uint8]  # (count, SIZE, SIZE, 3)
    labels: NDArray[np.int64]  # (count,)
    attributes: NDArray[np.float32]  # (count, len(ATTRIBUTES))
    masks: NDArray[np.float32]  # (count, MASK_SIDE, MASK_SIDE), in 0..1
    spectra: NDArray[np.float32]  # (count, SPECTRUM), standardised

    @classmethod
    def rendered(cls, seed: int, count: int) -> "Corpus":
        """Render `count` examples."""
        rng = np.random.default_rng([seed, NUM_CLASSES])
        catalogue = Catalogue.drawn(rng)
        made = cls(
            np.empty((count, SIZE, SIZE, 3), np.uint8),
            rng.integers(0, NUM_CLASSES, count),
            np.full((count, len(ATTRIBUTES)), np.nan, np.float32),
            np.full((count, MASK_SIDE, MASK_SIDE), np.nan, np.float32),
            np.empty((count, SPECTRUM), np.float32),
        )
        for row, label in enumerate(made.labels):
            if label >= NUM_CLASSES - SURFACES:
                surface = catalogue.surfaces[label - NUM_CLASSES + SURFACES]
                picture = _surface_picture(surface, rng)
            else:
                picture, made.masks[row], made.attributes[row] = _thing(catalogue, label, rng)
            made.spectra[row] = _spectrum(picture)
            made.pictures[row] = np.asarray(
                photograph(picture, rng, light=0.3, blur=0.9, occlusion=0.25)
            )
        made.spectra = (made.spectra - made.spectra.mean(axis=0)) / made.spectra.std(axis=0)
        return made


def _thing(
    catalogue: Catalogue, label: int, rng: np.random.Generator
) -> tuple[Array, Array, list[float]]:
    """One picture of the assembly, doodle or letter `label`, its mask and its attributes."""
    ground = any_colour(rng)
    frame = Frame.random(rng, turn=0.5, scale=(0.6, 1.15), shift=0.16)
    palette = [contrasting(rng, ground, 0.2) for _ in range(3)]
    canvas = Canvas(_ground(rng, ground), frame)
    if label >= ASSEMBLIES and rng.random() < 0.3:  # on a plate, as symbols are
        canvas.polygon(ring_points((0.5, 0.5), 0.5, int(rng.choice([4, 6, 24]))), palette[1])
        palette[0] = contrasting(rng, palette[1], 0.3)
    before = canvas.array()
    if label < ASSEMBLIES:
        _draw_assembly(canvas, catalogue.assemblies[label], palette, rng)
    elif label < ASSEMBLIES + DOODLES:
        control = catalogue.doodles[label - ASSEMBLIES]
        line = _smoothed(control + rng.normal(0, 0.02, control.shape))
        canvas.line(line, palette[0], rng.uniform(0.06, 0.15))
    else:
        _draw_letter(canvas, LETTERS[label - ASSEMBLIES - DOODLES], palette[0], rng)
    picture = canvas.array()
    changed = np.clip(np.abs(picture - before).max(axis=-1) * 4, 0, 1)
    mask = changed.reshape(MASK_SIDE, SIZE // MASK_SIDE, MASK_SIDE, -1).mean(axis=(1, 3))
    sine, cosine = frame.matrix[1, 0] / frame.scale, frame.matrix[0, 0] / frame.scale
    place = [*(frame.shift / 0.1), (frame.scale - 0.9) * 5, sine * 3, (cosine - 0.93) * 8]
    return picture, mask, [*place, *(c * 3 - 1.5 for c in (*palette[0], *ground))]


def _spectrum(picture: Array) -> Array:
    """Log power of the lowest waves of the picture's light, (SPECTRUM,)."""
    power = np.abs(np.fft.rfft2(picture.mean(axis=-1))) ** 2
    low = np.concatenate([power[: WAVES + 1, :WAVES], power[-WAVES:, :WAVES]])
    return np.log(low.ravel() + 1e-2)


def _ground(rng: np.random.Generator, colour: Colour) -> Array:
    """An uneven ground, at times of two parts or with a faint pattern."""
    picture = grain(rng, colour, rng.uniform(0.02, 0.25), int(rng.integers(2, 9)))
    if rng.random() < 0.35:
        other = any_colour(rng)
        edge = np.linspace(-1, 1, SIZE)[:, None] * rng.normal() + np.linspace(-1, 1, SIZE) * 0.3
        share = (edge + rng.normal(0, 0.4) > 0)[..., None] * rng.uniform(0.2, 0.5)
        picture = picture * (1 - share) + np.asarray(other) * share
    return picture


def _draw_assembly(
    canvas: Canvas, parts: list[Part], palette: list[Colour], rng: np.random.Generator
) -> None:
    for part in parts:
        centre = (part.centre[0] + rng.normal(0, 0.012), part.centre[1] + rng.normal(0, 0.012))
        radii = (part.radii[0] * rng.uniform(0.9, 1.1), part.radii[1] * rng.uniform(0.9, 1.1))
        if part.sides == 2:
            points = box_points(centre, (radii[0] * 2.5, radii[1] * 0.7), part.turn)
        else:
            points = ring_points(centre, radii, part.sides or 20, part.turn)
        canvas.polygon(points, palette[part.tone])


def _draw_letter(canvas: Canvas, letter: str, colour: Colour, rng: np.random.Generator) -> None:
    font, box = int(rng.integers(len(FONTS))), (rng.uniform(0.45, 0.7), rng.uniform(0.6, 0.9))
    for side in (-1, 1):
        if rng.random() < 0.35:
            other = LETTERS[rng.integers(len(LETTERS))]
            canvas.write(other, (0.5 + side * 0.62, 0.5), box, colour, font)
    canvas.write(letter, (0.5, 0.5), box, colour, font)


def _surface_picture(surface: Surface, rng: np.random.Generator) -> Array:
    """A surface in two colours, turned and scaled at random."""
    ramp = np.linspace(-0.5, 0.5, SIZE)
    x, y = np.meshgrid(ramp, ramp)
    angle, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.25)
    warp = surface.warp * (fractal_noise(rng, 3) - 0.5)
    u = (np.cos(angle) * x - np.sin(angle) * y) * scale + warp
    v = (np.sin(angle) * x + np.cos(angle) * y) * scale + warp
    if surface.cells:
        points = rng.uniform(-0.6, 0.6, (surface.cells, 2))
        square = (u[..., None] - points[:, 0]) ** 2 + (v[..., None] - points[:, 1]) ** 2
        mixture = np.sqrt(square.min(axis=-1) * surface.cells) * 2 - 1
    elif len(surface.waves):
        phases = rng.uniform(0, 2 * np.pi, len(surface.waves))
        angles = (
            2 * np.pi * (u[..., None] * surface.waves[:, 0] + v[..., None] * surface.waves[:, 1])
        )
        mixture = np.cos(angles + phases).mean(axis=-1)
    else:
        mixture = fractal_noise(rng, 4) * 3 - 1.5
    if surface.ridges:
        mixture = 1 - 4 * np.abs(mixture)
    tone = np.clip(0.5 + mixture * (0.5 + surface.contrast), 0, 1)
    low = any_colour(rng)
    return blend(low, contrasting(rng, low, 0.15), tone) + 0.1 * (
        smooth_noise(rng, 3)[..., None] - 0.5
    )


def _smoothed(control: Array, points: int = 20) -> Array:
    """A curve (points, 2) along the control points, its corners cut."""
    at = np.linspace(0, len(control) - 1, points)
    line = np.stack([np.interp(at, np.arange(len(control)), axis) for axis in control.T], axis=1)
    line[1:-1] = (line[:-2] + 2 * line[1:-1] + line[2:]) / 4
    return line


def _part(rng: np.random.Generator) -> Part:
    return Part(
        int(rng.choice([0, 2, 3, 4, 5])),
        (rng.uniform(0.22, 0.78), rng.uniform(0.22, 0.78)),
        (rng.uniform(0.08, 0.3), rng.uniform(0.08, 0.3)),
        rng.uniform(0, 2 * np.pi),
        int(rng.integers(3)),
    )


def _surface(rng: np.random.Generator) -> Surface:
    count = int(rng.integers(0, 4))
    angles, periods = rng.uniform(0, np.pi, count), rng.uniform(1.5, 8, count)
    waves = np.stack([np.cos(angles) * periods, np.sin(angles) * periods], axis=1)
    cells = int(rng.integers(6, 60)) if rng.random() < 0.35 else 0
    contrast = float(rng.choice([0.0, 0.6, 3.0]))
    warp = float(rng.choice([0.0, 0.15, 0.5]))
    return Surface(waves, cells, warp, contrast, bool(rng.random() < 0.3))
