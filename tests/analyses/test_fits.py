"""What each parametrisation can express: planted updates are found, and nothing does better."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frod_bench.analyses.fits import (
    Factors,
    low_rank_residual,
    places_on_and_off_axis,
    random_subspace_residual,
)
from frod_bench.frod.core import draw_supports

SHAPES = [(6, 6), (9, 5), (5, 9)]  # square, tall, and wide, where U's columns are dependent
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**20)


def factors_of(shape: tuple[int, int], random: np.random.Generator) -> Factors:
    """As FRoD's: U's columns of norm 1, V's of any, neither orthogonal."""
    rows, width = shape
    U = random.normal(size=(rows, width))
    V = random.normal(size=(width, width)) * random.uniform(0.5, 4, size=width)
    return Factors(U / np.linalg.norm(U, axis=0), V)


def some_places(width: int, random: np.random.Generator, count: int = 4) -> np.ndarray:
    drawn = [place for place in random.permutation(width * width) if place % (width + 1)]
    return places_on_and_off_axis(width, np.array(drawn[:count]))


def product(factors: Factors, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    width = factors.V.shape[1]
    core = np.zeros(width * width)
    core[places] = values
    return factors.U @ core.reshape(width, width) @ factors.V.T


def test_the_diagonal_comes_before_the_rotation() -> None:
    assert places_on_and_off_axis(3, np.array([5, 1])).tolist() == [0, 4, 8, 5, 1]


@settings(max_examples=20)
@given(shapes, seeds)
def test_an_update_that_lies_in_a_parametrisation_leaves_nothing(
    shape: tuple[int, int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    factors, (rows, width) = factors_of(shape, random), shape
    low_rank = random.normal(size=(rows, 2)) @ random.normal(size=(2, width))
    values = np.linalg.svd(low_rank, compute_uv=False)
    assert low_rank_residual(values, 2) < 1e-20
    assert low_rank_residual(values, 1) == pytest.approx(values[1] ** 2)
    scales = random.normal(size=width)
    on_axis = (factors.U * scales) @ factors.V.T
    assert factors.on_axis(on_axis).residual < 1e-12 * np.sum(on_axis**2)
    places = some_places(width, random)
    rotated = product(factors, places, random.normal(size=len(places)))
    fit = factors.on_places(rotated, places)
    assert fit.converged
    assert fit.residual < 1e-12 * np.sum(rotated**2)


@settings(max_examples=20)
@given(shapes, seeds)
def test_no_other_values_come_nearer(shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    factors, target = factors_of(shape, random), random.normal(size=shape)
    width = shape[1]
    diagonal = places_on_and_off_axis(width, np.array([], dtype=np.int64))
    places = some_places(width, random)
    for fit, where in (
        (factors.on_axis(target), diagonal),
        (factors.on_places(target, places), places),
    ):
        rest = target - product(factors, where, fit.values)
        assert np.sum(rest**2) == pytest.approx(fit.residual)
        for size in (1e-3, 1e-1, 1.0):
            moved = fit.values + size * random.normal(size=len(where))
            assert np.sum((target - product(factors, where, moved)) ** 2) > fit.residual


@settings(max_examples=20)
@given(shapes, seeds)
def test_no_other_matrix_of_the_rank_comes_nearer(shape: tuple[int, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    target = random.normal(size=shape)
    outer, values, inner = np.linalg.svd(target, full_matrices=False)
    best = low_rank_residual(values, 2)
    for size in (1e-3, 1e-1, 1.0):
        left = outer[:, :2] * values[:2] + size * random.normal(size=(shape[0], 2))
        right = inner[:2] + size * random.normal(size=(2, shape[1]))
        assert np.sum((target - left @ right) ** 2) > best


@pytest.mark.parametrize("shape", SHAPES)
def test_the_fit_is_that_of_the_written_out_system(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    factors, target = factors_of(shape, random), random.normal(size=shape)
    places = some_places(shape[1], random, count=6)
    system = np.stack([product(factors, places, unit).ravel() for unit in np.eye(len(places))], 1)
    written_out = np.linalg.lstsq(system, target.ravel(), rcond=None)[0]
    fit = factors.on_places(target, places)
    np.testing.assert_allclose(fit.values, written_out, rtol=1e-6, atol=1e-8)
    on_axis = factors.on_axis(target)
    alone = factors.on_places(target, places[: shape[1]])
    np.testing.assert_allclose(on_axis.values, alone.values, rtol=1e-6, atol=1e-8)
    entries = (factors.U.T @ target @ np.linalg.pinv(factors.V).T).ravel()[places]
    projected = target - product(factors, places, entries)
    assert np.sum(projected**2) > 1.05 * fit.residual  # the entries of U^T D V^-T are not the fit


def test_columns_that_are_zero_take_no_value() -> None:
    random = np.random.default_rng(1)
    factors = factors_of((9, 5), random)
    factors.U[:, 2] = 0
    target = random.normal(size=(9, 5))
    places = some_places(5, random, count=20)
    fit = factors.on_places(target, places)
    assert np.isfinite(fit.residual)
    assert not fit.values[places // 5 == 2].any()
    assert np.isfinite(factors.on_axis(target).residual)


def test_a_random_subspace_leaves_its_share_on_average() -> None:
    random = np.random.default_rng(2)
    target = random.normal(size=(4, 5))
    total = float(np.sum(target**2))
    left = []
    for _ in range(3000):
        span = np.linalg.qr(random.normal(size=(20, 6)))[0]
        left.append(total - np.sum((span.T @ target.ravel()) ** 2))
    expected = random_subspace_residual(total, 6, 20)
    assert np.mean(left) == pytest.approx(expected, rel=0.02)
    assert random_subspace_residual(total, 25, 20) == 0


def test_a_smaller_support_is_the_beginning_of_all_places_drawn() -> None:
    widths = {"b_fc": 7, "a_fc": 5}
    everything = draw_supports(widths, 1.0, 3)
    some = draw_supports(widths, 0.2, 3)
    for name, places in some.items():
        assert torch.equal(everything[name][: len(places)], places)
        assert len(set(everything[name].tolist())) == widths[name] * (widths[name] - 1)
