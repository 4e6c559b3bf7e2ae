"""Quantiles and tails of the few distributions that intervals and tests need.

They are those of `scipy.stats` to the last bit, and of `scipy.special` alone, because importing
`scipy.stats` takes a report half a second and 50 MB.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Counts = NDArray[np.integer[Any]]


def student_quantile(probability: float, freedom: float) -> float:
    """Return the value below which Student's t is with `probability`."""
    return float(special.stdtrit(freedom, probability))


def student_below(value: float, freedom: float) -> float:
    """Return the probability that Student's t is at most `value`."""
    return float(special.stdtr(freedom, value))


def chi_squared_quantile(probability: float, freedom: float) -> float:
    """Return the value below which chi-squared is with `probability`."""
    return float(2 * special.gammaincinv(freedom / 2, probability))


def fair_coin_p_values(rarer: Counts, tosses: Counts) -> Floats:
    """Return the exact two-sided p-values of a fair coin whose rarer side came so often.

    `scipy.stats.binomtest`, which searches for the end of the other tail: that of a fair coin is as
    far from the middle as the first, and holds as much. The tails meet if the sides came equally
    often, or but for one toss.
    """
    tail = special.betainc(tosses - rarer, rarer + 1, 0.5)
    return np.where(2 * rarer + 1 >= tosses, 1.0, 2 * tail)
