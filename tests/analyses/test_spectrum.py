"""Ranks of planted updates."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frod_bench.analyses.spectrum import cosine, effective_rank, stable_rank


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_a_planted_rank_is_found(rank: int) -> None:
    """Equal singular values: `rank` directions, none more than another."""
    generator = torch.Generator().manual_seed(rank)
    left = torch.linalg.qr(torch.randn(20, rank, generator=generator, dtype=torch.float64))[0]
    right = torch.linalg.qr(torch.randn(12, rank, generator=generator, dtype=torch.float64))[0]
    values = torch.linalg.svdvals(0.3 * left @ right.T).numpy()
    assert effective_rank(values) == pytest.approx(rank, abs=1e-6)
    assert stable_rank(values) == pytest.approx(rank, abs=1e-6)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12))
def test_ranks_lie_between_one_and_the_number_of_directions(values: list[float]) -> None:
    found = np.array(values)
    assert 1 - 1e-9 <= effective_rank(found) <= len(values) + 1e-9
    assert 1 - 1e-9 <= stable_rank(found) <= len(values) + 1e-9
    assert effective_rank(7 * found) == pytest.approx(effective_rank(found))


def test_no_update_has_no_rank_and_no_direction() -> None:
    assert math.isnan(effective_rank(np.zeros(4)))
    assert math.isnan(stable_rank(np.zeros(4)))
    assert math.isnan(cosine(torch.zeros(2, 2), torch.ones(2, 2)))


def test_the_cosine_is_of_the_matrices_as_vectors() -> None:
    one = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert cosine(one, -2 * one) == pytest.approx(-1)
    assert cosine(one, torch.tensor([[2.0, -1.0], [4.0, -3.0]])) == pytest.approx(0)
