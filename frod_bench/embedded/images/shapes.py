"""Points of shapes, (x, y) in the unit square, x to the right and y down; and maps of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from frod_bench.embedded.images.colours import Array

Point = tuple[float, ...] | Array  # (x, y), or two lengths
Points = Sequence[Point] | Array


def rotation(angle: float) -> Array:
    """The matrix (2, 2) that turns column vectors by `angle` radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


@dataclass
class Frame:
    """An affine map of unit coordinates: turn, stretch and shift about the centre."""

    matrix: Array = field(default_factory=lambda: np.eye(2))
    shift: Array = field(default_factory=lambda: np.zeros(2))

    @classmethod
    def random(
        cls, rng: Generator, turn: float, scale: Point, shift: float, flip: bool = False
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
