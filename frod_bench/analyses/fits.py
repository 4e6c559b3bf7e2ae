"""The part of a matrix D (m x k) that a parametrisation can express: least squares in float64.

FRoD's update is U C V^T with C trained on given places, which include the diagonal. U's columns
have norm 1, V's do not, and neither's are orthogonal, so that the best C is not U^T D V:

- On the diagonal alone, D ~ sum_a c_a u_a v_a^T. The normal equations are k x k,
  (U^T U * V^T V) c = diag(U^T D V) with * the entrywise product, and are solved directly.
- On more places they are (k + nnz) x (k + nnz). With U = Q_U R_U and V = Q_V R_V (thin QR) and
  M = Q_U^T D Q_V, ||D - U C V^T||^2 = ||D||^2 - ||M||^2 + ||M - R_U C R_V^T||^2, and the last term
  is minimised by LSMR (Fong and Saunders 2011), which needs products with R_U and R_V only. The
  unknowns are scaled so that each place's u_a v_b^T has norm 1.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, lsmr

TOLERANCE = 1e-9  # of LSMR's relative gradient: the squared error is then off by its square
MAX_ITERATIONS = 3000
STOPPED_EARLY = 7  # LSMR's code for having reached them


def low_rank_residual(singular_values: np.ndarray, rank: int) -> float:
    """Return ||D - best of that rank||_F^2 by D's singular values (Eckart and Young)."""
    return float(np.sum(singular_values[rank:] ** 2))


def random_subspace_residual(total: float, dimensions: int, numbers: int) -> float:
    """Return what a random subspace leaves of ||D||_F^2 = `total`, the exact expectation."""
    return total * max(0.0, 1 - dimensions / numbers)


class CoreFit(NamedTuple):
    """The best C on given places; without convergence the residual is an upper bound."""

    values: np.ndarray  # of C, in the order of the places
    residual: float  # ||D - U C V^T||_F^2
    converged: bool = True  # whether LSMR reached its tolerance


@dataclass(frozen=True)
class Factors:
    """U (m, k) and V (k, k) of one layer, float64."""

    U: np.ndarray
    V: np.ndarray

    @cached_property
    def _reduced(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Q_U, R_U, Q_V and R_V of the thin QR decompositions of U and V."""
        of_U, of_V = np.linalg.qr(self.U), np.linalg.qr(self.V)
        return of_U.Q, of_U.R, of_V.Q, of_V.R

    @cached_property
    def _norms(self) -> np.ndarray:
        """Norms of u_a v_b^T, (k, k); 1 instead of 0, so that its C stays 0."""
        norms = np.outer(np.linalg.norm(self.U, axis=0), np.linalg.norm(self.V, axis=0))
        return np.where(norms > 0, norms, 1.0)

    def on_axis(self, target: np.ndarray) -> CoreFit:
        """Return the best diagonal C for the matrix `target`, (m, k)."""
        normal = (self.U.T @ self.U) * (self.V.T @ self.V)
        right = np.einsum("ma,mk,ka->a", self.U, target, self.V, optimize=True)
        values = np.linalg.lstsq(normal, right, rcond=None)[0]
        rest = target - (self.U * values) @ self.V.T
        return CoreFit(values, float(np.sum(rest**2)))

    def on_places(self, target: np.ndarray, places: np.ndarray) -> CoreFit:
        """Return the best C for the matrix `target`, (m, k), on `places`, row * k + column."""
        Q_U, R_U, Q_V, R_V = self._reduced
        inside = Q_U.T @ target @ Q_V
        width = self.V.shape[1]
        scale = self._norms.ravel()[places]

        def core(values: np.ndarray) -> np.ndarray:
            filled = np.zeros(width * width)
            filled[places] = values / scale
            return filled.reshape(width, width)

        operator = LinearOperator(
            (inside.size, len(places)),
            matvec=lambda values: (R_U @ core(values.ravel()) @ R_V.T).ravel(),
            rmatvec=lambda y: (R_U.T @ y.reshape(inside.shape) @ R_V).ravel()[places] / scale,
            dtype=np.float64,
        )
        tolerances = {"atol": TOLERANCE, "btol": TOLERANCE, "conlim": 0}
        found = lsmr(operator, inside.ravel(), **tolerances, maxiter=MAX_ITERATIONS)
        outside = max(0.0, float(np.sum(target**2) - np.sum(inside**2)))
        rest = inside - R_U @ core(found[0]) @ R_V.T
        residual = outside + float(np.sum(rest**2))
        return CoreFit(found[0] / scale, residual, found[1] != STOPPED_EARLY)


def places_on_and_off_axis(width: int, off_axis: np.ndarray) -> np.ndarray:
    """Return the k places of the diagonal, followed by those of the rotation."""
    return np.concatenate([np.arange(width) * (width + 1), off_axis])
