"""Pearson's correlation and its standard error, shared by the metrics of values."""

import numpy as np

from frod_bench.metrics.jackknife import jackknife_stderr


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Return the correlation of x (n,) and y (n,) in float64; 0 if either is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.clip(_unit(x) @ _unit(y), -1.0, 1.0))


def pearson_stderr(x: np.ndarray, y: np.ndarray) -> float | None:
    """Return the jackknife's standard error of `pearson`; None for fewer than three rows.

    All n leave-one-out correlations follow from the sums over all rows. With dx = x - mean(x),
    leaving out row i subtracts n / (n - 1) dx_i dy_i from the sum of dx dy, and likewise from the
    sums of squares. If the remaining values are constant the correlation is 0, as in `pearson`.
    """
    n = len(x)
    if n < 3:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    share = n / (n - 1)
    xy = dx @ dy - share * dx * dy
    xx = dx @ dx - share * dx**2
    yy = dy @ dy - share * dy**2
    # Rounding may leave a sum of squares slightly above zero.
    varies = (xx > 1e-14 * (dx @ dx)) & (yy > 1e-14 * (dy @ dy))
    without = np.zeros(n)
    without[varies] = np.clip(xy[varies] / np.sqrt(xx[varies] * yy[varies]), -1.0, 1.0)
    return jackknife_stderr(without, np.ones(n))


def _unit(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    # Scaled first, so that squares neither overflow nor vanish.
    centred = centred / np.abs(centred).max()
    return centred / np.linalg.norm(centred)
