"""Ends of spectra that are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frod_bench.analyses import hessian
from frod_bench.analyses.hessian import Surface, ends_of


def symmetric(values: Tensor, seed: int = 0) -> Tensor:
    """A matrix with these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(len(values), len(values), dtype=torch.float64, generator=generator)
    vectors = torch.linalg.qr(drawn)[0]
    return (vectors * values) @ vectors.T


def quadratic(matrix: Tensor) -> Surface:
    """x^T M x / 2 around a point, in two parameters."""
    size = len(matrix)
    at = [torch.full((3, 2), 0.7).double(), torch.linspace(-1, 1, size - 6).double()]
    parameters = [nn.Parameter(x) for x in at]

    def backward() -> None:
        x = torch.cat([parameter.reshape(-1) for parameter in parameters])
        (0.5 * x @ matrix @ x).backward()

    return Surface(parameters, backward)


@pytest.mark.parametrize("size", [9, 40])  # the whole Hessian, and Lanczos
@pytest.mark.parametrize("ends", [(-0.5, 5.0), (-5.0, 0.5), (-5.0, 5.0)])
def test_both_ends_of_a_quadratic(size: int, ends: tuple[float, float]) -> None:
    """Also if they have one magnitude, where power iteration would not settle."""
    values = torch.linspace(-0.3, 0.3, size, dtype=torch.float64)
    values[0], values[-1] = ends
    found = ends_of(quadratic(symmetric(values)))
    assert (found.lowest, found.largest) == pytest.approx(ends, rel=1e-4)
    assert found.is_sound
    assert found.residual < hessian.TOLERANCE
    assert found.step_error < 1e-6


def test_the_product_and_the_gradient_of_a_quadratic_are_exact() -> None:
    matrix = symmetric(torch.linspace(-1, 2, 10, dtype=torch.float64))
    surface = quadratic(matrix)
    x, direction = np.concatenate([p.numpy().ravel() for p in surface.at]), np.arange(10.0)
    np.testing.assert_allclose(surface.gradient(), matrix.numpy() @ x, atol=1e-12)
    np.testing.assert_allclose(surface.product(direction), matrix.numpy() @ direction, atol=1e-8)
    assert not surface.product(np.zeros(10)).any()


def test_it_agrees_with_autograd_and_leaves_the_model_bit_for_bit() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x, labels = torch.randn(8, 4).double(), torch.arange(8) % 3
    before = [p.detach().clone() for p in model.parameters()]
    names, parameters = zip(*model.named_parameters(), strict=True)

    def loss_at(flat: Tensor) -> Tensor:
        parts = flat.split([p.numel() for p in parameters])
        values = {n: v.view(p.shape) for n, v, p in zip(names, parts, parameters, strict=True)}
        logits = torch.func.functional_call(model, values, (x,))
        return nn.functional.cross_entropy(logits, labels)

    flat = torch.cat([p.detach().reshape(-1) for p in parameters])
    exact = torch.autograd.functional.hessian(loss_at, flat)
    values = torch.linalg.eigvalsh(exact)
    surface = Surface(parameters, lambda: nn.functional.cross_entropy(model(x), labels).backward())
    found = ends_of(surface)
    assert found.largest == pytest.approx(float(values[-1]), rel=1e-3)
    assert found.lowest == pytest.approx(float(values[0]), rel=1e-2)
    assert all(torch.equal(p, old) for p, old in zip(parameters, before, strict=True))
    # in other coordinates: x = c z has the Hessian D H D
    scales = [torch.linspace(0.5, 2, p.numel()).double().view(p.shape) for p in parameters]
    scaled = Surface(parameters, surface.backward, scales)
    c = torch.cat([scale.reshape(-1) for scale in scales])
    top = torch.linalg.eigvalsh(c[:, None] * exact * c)[-1]
    assert ends_of(scaled).largest == pytest.approx(float(top), rel=1e-3)


def test_the_step_is_checked() -> None:
    """Of |x|^2.5 at 0 the Hessian is 0, and what differences give depends on the step."""
    parameter = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    surface = Surface([parameter], lambda: (parameter.abs() ** 2.5).sum().backward())
    assert not ends_of(surface).is_sound


def test_no_convergence_is_said_and_no_number_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hessian, "RESTARTS", 1)
    monkeypatch.setattr(hessian, "VECTORS", 4)
    monkeypatch.setattr(hessian, "TOLERANCE", 1e-9)
    found = ends_of(quadratic(symmetric(torch.linspace(1, 2, 60, dtype=torch.float64))))
    assert math.isnan(found.largest)
    assert math.isnan(found.lowest)
    assert found.products > 0
    assert not found.is_sound
