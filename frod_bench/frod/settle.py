"""Rules that make a basis the same on every run where the equations leave it open.

Where eigenvalues are equal, any rotation of their eigenvectors is as good, and what a library
returns is roundoff; so is every sign.
"""

from itertools import pairwise

import torch
from torch import Tensor

# Below this spread of T's eigenvalues, T is a multiple of the identity and Z would be roundoff.
FLAT_SPREAD = 1e-6
# Eigenvalues closer than this (relative to the largest) are taken as equal: float64 eigenvectors
# are then uncertain by about 1e-16 / 1e-10.
EQUAL_GAP = 1e-10


def settled_eigenvectors(symmetric: Tensor, factor: Tensor) -> Tensor:
    """Eigenvectors (r x r) of T, settled where its eigenvalues are equal.

    Args:
        symmetric: T, (r x r); its upper triangle is read.
        factor: F, (r x k), the row factor that T was computed in.
    """
    values, vectors = torch.linalg.eigh(symmetric, UPLO="U")
    flat = bool(values[-1] - values[0] < FLAT_SPREAD * values[-1]) if len(values) else True
    groups = [slice(0, len(values))] if flat else equal_groups(values)
    for group in groups:
        if group.stop - group.start > 1:
            vectors[:, group] = _settled(vectors[:, group], factor)
    return vectors


def settled_right_singular_vectors(stack: Tensor) -> Tensor:
    """V (k x k), orthogonal: right singular vectors of a stack with fewer rows than k, settled."""
    _, sigma, right = torch.linalg.svd(stack, full_matrices=True)
    basis = right.T.contiguous()
    for group in equal_groups(torch.nn.functional.pad(sigma, (0, basis.shape[1] - len(sigma)))):
        if group.stop - group.start > 1:
            basis[:, group] = basis[:, group] @ _probe_rotation(basis[:, group])
    return basis * column_signs(basis)


def column_signs(columns: Tensor) -> Tensor:
    """Signs (c,) that make the largest entry of every column positive; among equals, the first."""
    magnitude = columns.abs()
    largest = (magnitude >= (1 - 1e-6) * magnitude.amax(dim=0)).to(torch.uint8).argmax(dim=0)
    return torch.where(columns.gather(0, largest[None])[0] < 0, -1.0, 1.0)


def equal_groups(values: Tensor) -> list[slice]:
    """Runs of sorted values that are equal to within `EQUAL_GAP` of the largest magnitude."""
    gaps = torch.diff(values).abs() > EQUAL_GAP * values.abs().max()
    edges = [0, *(gaps.nonzero().flatten() + 1).tolist(), len(values)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _settled(vectors: Tensor, factor: Tensor) -> Tensor:
    """A basis of the span of `vectors` (r x c) that does not depend on how it was spanned.

    The left singular vectors of F within the span; of T = c I, those of R. Equal singular values
    are told apart by a fixed probe in the input space.
    """
    left, sigma, _ = torch.linalg.svd(vectors.T @ factor, full_matrices=False)
    vectors = vectors @ left
    for group in equal_groups(sigma):
        if group.stop - group.start > 1:
            vectors[:, group] = vectors[:, group] @ _probe_rotation(factor.T @ vectors[:, group])
    return vectors


def _probe_rotation(columns: Tensor) -> Tensor:
    """O (c x c) orthogonal, so that `columns @ O` (k x c) is the same for any rotation of them.

    By QR of columns^T G = O R' with a fixed Gaussian G (k x c) and a positive diagonal of R'.
    """
    generator = torch.Generator(device="cpu").manual_seed(0)
    probe = torch.randn(columns.shape, dtype=torch.float64, generator=generator)
    rotation, triangle = torch.linalg.qr(columns.T @ probe.to(columns.device))
    return rotation * torch.where(triangle.diagonal() < 0, -1.0, 1.0)
