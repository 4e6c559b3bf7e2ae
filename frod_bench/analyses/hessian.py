"""The Hessian of a loss in the coordinates of some parameters, by differences of gradients.

H v is (g(x + h v) - g(x - h v)) / 2h, in float64. Both ends of the spectrum come from Lanczos
(ARPACK), which is power iteration that keeps its vectors. Power iteration alone would not converge
if the lowest eigenvalue has the magnitude of the largest, which is possible at the start of a
low-rank adapter.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

STEP = 1e-4  # h, along a direction of norm 1
TOLERANCE = 1e-2  # of ||H v - l v|| / |l|; an eigenvalue's own error is about the square of that
VECTORS = 12  # that Lanczos keeps; as many coordinates or fewer have their whole Hessian computed
RESTARTS = 8  # of Lanczos, with half of the vectors new in each

Vector = NDArray[np.float64]


class Ends(NamedTuple):
    """The largest and the lowest eigenvalue, and how far they can be trusted.

    Each error is the larger one of the two eigenvalues' errors, divided by the larger of their
    magnitudes. Errors and eigenvalues are NaN if Lanczos did not converge.
    """

    largest: float
    lowest: float
    residual: float  # ||H v - l v|| for the unit eigenvector v of l
    step_error: float  # what half of the step changes in H v
    products: int  # H v that were computed

    @property
    def is_sound(self) -> bool:
        """Whether both errors are within the tolerance."""
        return max(self.residual, self.step_error) <= TOLERANCE  # not if one is NaN


class Surface:
    """A loss around the present values x of some parameters, which every call leaves as they are.

    Args:
        parameters: the coordinates; float64.
        backward: adds the gradient of the loss at the parameters' values to their `.grad`.
        scales: for each parameter None, or a tensor c of its shape: its coordinates are x / c.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        backward: Callable[[], None],
        scales: Sequence[Tensor | None] | None = None,
    ) -> None:
        self.parameters, self.backward = list(parameters), backward
        self.at = [parameter.detach().clone() for parameter in parameters]
        pairs = zip(self.at, scales or [None] * len(self.at), strict=True)
        self.scale = _flat([torch.ones_like(x) if c is None else c for x, c in pairs])

    def __len__(self) -> int:
        return len(self.scale)

    def gradient(self, offset: Vector | None = None) -> Vector:
        """Return the gradient, (n,), at x + `offset`."""
        try:
            self._move(offset)
            for parameter in self.parameters:
                parameter.grad = None
            self.backward()
            found = [p.new_zeros(p.shape) if p.grad is None else p.grad for p in self.parameters]
            return _flat(found) * self.scale
        finally:
            self._move(None)

    def product(self, direction: Vector, step: float = STEP) -> Vector:
        """Return H v, (n,)."""
        norm = np.linalg.norm(direction)
        if norm == 0:
            return np.zeros_like(direction)
        ahead = direction * (step / norm)
        return (self.gradient(ahead) - self.gradient(-ahead)) * (norm / (2 * step))

    @torch.no_grad()
    def _move(self, offset: Vector | None) -> None:
        """Set the parameters to x + `offset`; None: to x, bit for bit."""
        moved = None if offset is None else torch.from_numpy(offset * self.scale)
        start = 0
        for parameter, x in zip(self.parameters, self.at, strict=True):
            if moved is None:
                parameter.copy_(x)
                continue
            part = moved[start : start + x.numel()].view(x.shape)
            parameter.copy_(x + part.to(x.device))
            start += x.numel()


def ends_of(surface: Surface) -> Ends:
    """Return both ends of the spectrum of H."""
    size, counted = len(surface), {"products": 0}

    def product(direction: Vector, step: float = STEP) -> Vector:
        counted["products"] += 1
        return surface.product(direction.ravel(), step)

    if size <= VECTORS:
        matrix = np.stack([product(column) for column in np.eye(size)])
        values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    else:
        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        first = np.random.default_rng(0).standard_normal(size)
        lanczos = {"ncv": VECTORS, "tol": TOLERANCE, "maxiter": RESTARTS}
        try:
            values, vectors = eigsh(operator, 2, which="BE", v0=first, **lanczos)
        except ArpackNoConvergence:
            return Ends(np.nan, np.nan, np.nan, np.nan, counted["products"])
    residual, step_error = 0.0, 0.0
    for value, vector in ((values[0], vectors[:, 0]), (values[-1], vectors[:, -1])):
        whole, half = product(vector), product(vector, STEP / 2)
        residual = max(residual, float(np.linalg.norm(half - value * vector)))
        step_error = max(step_error, float(np.linalg.norm(whole - half)))
    magnitude = float(np.abs(values).max()) or 1.0
    errors = residual / magnitude, step_error / magnitude
    return Ends(float(values[-1]), float(values[0]), *errors, counted["products"])


def _flat(tensors: Sequence[Tensor]) -> Vector:
    found: Vector = torch.cat([one.detach().reshape(-1) for one in tensors]).double().cpu().numpy()
    return found
