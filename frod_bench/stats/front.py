"""What no other choice beats in both of two things."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pareto_front(costs: ArrayLike, gains: ArrayLike) -> NDArray[np.bool_]:
    """Which points (n,) no other beats: as cheap and as good, and better in one of the two.

    Equal points do not beat each other. A point with a hole (NaN) is not on the front, and beats
    none.
    """
    cost, gain = (np.asarray(values, dtype=np.float64) for values in (costs, gains))
    no_worse = (cost[:, None] <= cost) & (gain[:, None] >= gain)  # row against column
    better = (cost[:, None] < cost) | (gain[:, None] > gain)
    known = ~(np.isnan(cost) | np.isnan(gain))
    return np.asarray(known & ~(no_worse & better).any(axis=0))
