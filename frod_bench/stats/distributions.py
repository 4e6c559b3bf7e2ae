"""Quantiles and tails of the few distributions that intervals and tests need.

They agree with `scipy.stats` to the last bit, but need only `scipy.special`. An import of
`scipy.stats` would take a report half a second and 50 MB.
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
    """Return the exact two-sided p-values of a fair coin whose rarer side came up `rarer` times.

    They are those of `scipy.stats.binomtest`, which searches for the end of the other tail. With a
    fair coin no search is needed: both tails are equally far from the middle and equally probable.
    The tails meet, and the p-value is 1, if the two sides came up equally often or differ by one
    toss.
    """
    tail = special.betainc(tosses - rarer, rarer + 1, 0.5)
    return np.where(2 * rarer + 1 >= tosses, 1.0, 2 * tail)
