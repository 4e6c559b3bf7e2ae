"""The joint decomposition: it gives the weights back, and is the same however it is computed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.frod import basis as basis_module
from frod_bench.frod.basis import (
    add_gram,
    canonical_signs,
    exact_basis,
    peft_basis,
    row_factor,
    stack_triangle,
)
from frod_bench.frod.targets import category_of

from .helpers import STACKS, gaussian

PI = 1e-3


def relative_error(got: Tensor, wanted: Tensor) -> float:
    scale = torch.linalg.norm(wanted.double()).clamp_min(1e-300)
    return float(torch.linalg.norm(got.double() - wanted.double()) / scale)


@pytest.mark.parametrize("name", STACKS)
def test_weights_are_given_back_in_float32(name: str) -> None:
    stack = STACKS[name]()
    factors = exact_basis(stack, PI)
    for weight, U, lambda_0 in zip(stack, factors.U, factors.lambda_0, strict=True):
        rebuilt = (U.float() * lambda_0.float()) @ factors.V.float().T
        assert torch.isfinite(rebuilt).all()
        assert relative_error(rebuilt, weight) < 1e-5


@pytest.mark.parametrize("name", STACKS)
def test_columns_of_u_have_norm_one_or_lambda_is_zero(name: str) -> None:
    factors = exact_basis(STACKS[name](), PI)
    for U, lambda_0 in zip(factors.U, factors.lambda_0, strict=True):
        norms = torch.linalg.vector_norm(U, dim=0)
        assert torch.allclose(norms, (lambda_0 > 0).to(norms), atol=1e-6)


@pytest.mark.parametrize("name", STACKS)
def test_basis_does_not_depend_on_roundoff(name: str) -> None:
    """Noise of a few float64 ulps stands for another thread count, library or machine."""
    stack = [weight.double() for weight in STACKS[name]()]
    noisy = [
        weight * (1 + 4e-16 * torch.sign(gaussian(*weight.shape, seed=seed).double()))
        for seed, weight in enumerate(stack, start=7)
    ]
    if name == "repeated":  # copies are one tensor's, on any machine
        noisy = [noisy[0]] * len(noisy)
    one, other = exact_basis(stack, PI).V, exact_basis(noisy, PI).V
    columns = torch.linalg.vector_norm(one, dim=0).clamp_min(1e-12)
    # roundoff comes out larger by the weights' own condition (a low rank or an orthogonal matrix
    # kept in float32 differs from it by 1e-8)
    near_degenerate = ("badly_conditioned", "rank_deficient", "one_orthogonal_layer")
    tolerance = 1e-6 if name in near_degenerate else 1e-8
    assert float(((one - other).abs() / columns).max()) < tolerance


WIDE_STACKS = {
    "random": lambda: [gaussian(48, 128, seed) for seed in range(4)],
    "exactly_square": lambda: [gaussian(32, 128, seed) for seed in range(4)],
    "repeated": lambda: [gaussian(160, 128, 3)] * 3,
    "one_layer": lambda: [gaussian(160, 128, 0)],
    "fewer_rows": lambda: [gaussian(24, 128, seed) for seed in range(4)],
    "partly_flat": lambda: [gaussian(32, 128, seed) for seed in range(5)],
}


@pytest.mark.parametrize("name", WIDE_STACKS)
def test_basis_does_not_depend_on_threads(name: str) -> None:
    """Wide enough that the number of threads changes the roundoff."""
    threads, bases = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            bases.append(exact_basis(WIDE_STACKS[name](), PI).V)
    finally:
        torch.set_num_threads(threads)
    assert torch.allclose(*bases, rtol=0, atol=1e-8)


@pytest.mark.parametrize("backbone", ["encoder", "decoder", "vit"])
def test_pretrained_weights_are_given_back_in_float32(backbone: str) -> None:
    tensors = load_file(SHIPPED_BACKBONES_DIR / backbone / "model.safetensors")
    categories: dict[str, list[Tensor]] = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and any(part.isdigit() for part in name.split(".")):
            role = category_of(name.removesuffix(".weight"))
            categories.setdefault(role, []).append(tensor.float())
    assert len(categories) >= 6
    assert all(len(stack) > 3 for stack in categories.values())
    for stack in categories.values():
        factors = exact_basis(stack, PI)
        for weight, U, lambda_0 in zip(stack, factors.U, factors.lambda_0, strict=True):
            rebuilt = (U.float() * lambda_0.float()) @ factors.V.float().T
            assert relative_error(rebuilt, weight) < 1e-5


@pytest.mark.parametrize("kept_bytes", [None, 0])
@pytest.mark.parametrize("rows", [24, 48])  # by Woodbury's identity, and from Gram matrices
def test_basis_is_the_one_of_the_paper(
    monkeypatch: pytest.MonkeyPatch, rows: int, kept_bytes: int | None
) -> None:
    """Against the equations as they stand, on the whole stack, up to the columns' signs."""
    if kept_bytes is not None:
        monkeypatch.setattr(basis_module, "KEPT_BYTES", kept_bytes)
    stack = [gaussian(rows, 32, seed).double() for seed in range(5)]
    factor = row_factor(stack)
    assert factor.is_well_conditioned
    assert len(factor.grams) == (5 if rows == 48 and kept_bytes is None else 0)
    orthonormal, triangle = torch.linalg.qr(torch.cat(stack))
    identity = torch.eye(32, dtype=torch.float64)
    mean = sum(torch.linalg.inv(q.T @ q + PI * identity) for q in orthonormal.split(rows)) / 5
    wanted = triangle.T @ torch.linalg.eigh(mean)[1]
    got = exact_basis(stack, PI).V
    signs = torch.sign((wanted * got).sum(dim=0))
    assert torch.allclose(got, wanted * signs, atol=1e-10)


@pytest.mark.parametrize("block", [1, 5, 32, 256])
@pytest.mark.parametrize("name", ["random", "zero_columns"])  # a triangular F, and one that is not
def test_products_by_blocks_of_columns(
    monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    monkeypatch.setattr(basis_module, "LEAF", block)
    stack = [weight.double() for weight in STACKS[name]()]
    rows = torch.cat(stack)
    gram = torch.zeros(32, 32, dtype=torch.float64)
    add_gram(gram, rows)
    assert torch.allclose(gram.triu(), (rows.T @ rows).triu(), rtol=0, atol=1e-12)
    factor = row_factor(stack)
    assert factor.triangular == (name == "random")
    columns = gaussian(len(factor.matrix), 7, 1).double()
    got = factor.transposed_times(columns)
    assert torch.allclose(got, factor.matrix.T @ columns, rtol=0, atol=1e-12)


def test_flat_stack_takes_the_left_singular_vectors_of_r() -> None:
    """Then V = R^T Z = Y Sigma: orthogonal columns, whose norms are the singular values."""
    for name in ("repeated", "exactly_square", "one_layer"):
        stack = [weight.double() for weight in STACKS[name]()]
        V = exact_basis(stack, PI).V
        gram = V.T @ V
        sigma = torch.linalg.svdvals(torch.cat(stack))
        assert torch.allclose(gram, torch.diag(gram.diagonal()), atol=1e-10)
        assert torch.allclose(gram.diagonal().sqrt().sort(descending=True).values, sigma)


def test_fewer_rows_than_columns_give_an_orthogonal_basis() -> None:
    V = exact_basis(STACKS["fewer_rows"](), PI).V
    assert V.shape == (32, 32)
    assert torch.allclose(V.T @ V, torch.eye(32, dtype=torch.float64), atol=1e-12)


def test_largest_entry_of_every_column_is_positive() -> None:
    V = exact_basis(STACKS["random"](), PI).V
    assert bool((V.gather(0, V.abs().argmax(dim=0)[None]) > 0).all())


def test_streamed_r_is_the_r_of_the_stack() -> None:
    stack = [gaussian(rows, 16, rows) for rows in (3, 40, 7, 16, 5)]
    streamed, whole = stack_triangle(stack), torch.cat(stack).double()
    assert torch.allclose(streamed.T @ streamed, whole.T @ whole, atol=1e-13)


def test_zero_columns_leave_the_triangular_path() -> None:
    factor = row_factor(STACKS["zero_columns"]())
    assert not factor.triangular
    assert factor.matrix.shape == (29, 32)


@pytest.mark.parametrize("name", ["random", "wide_rows", "fewer_rows", "zero_layer"])
def test_basis_by_pefts_operations_gives_the_weights_back(name: str) -> None:
    stack = STACKS[name]()
    factors = peft_basis(stack, stack, PI)
    for weight, U, lambda_0 in zip(stack, factors.U, factors.lambda_0, strict=True):
        assert relative_error((U * lambda_0) @ factors.V.T, weight) < 1e-4


@settings(max_examples=40)
@given(
    rows=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    width=st.integers(1, 16),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    rank=st.integers(0, 16),
    seed=st.integers(0, 2**31),
)
def test_any_stack_is_given_back(
    rows: list[int], width: int, dtype: torch.dtype, rank: int, seed: int
) -> None:
    """Any shapes, types and ranks, rank 0 included."""
    right = gaussian(max(rank, 1), width, seed) * (rank > 0)
    stack = [
        (gaussian(m, max(rank, 1), seed + index + 1) @ right).to(dtype)
        for index, m in enumerate(rows)
    ]
    factors = exact_basis(stack, PI)
    whole = torch.cat(stack).double()
    rebuilt = torch.cat(
        [
            (U.double() * lambda_0.double()) @ factors.V.T
            for U, lambda_0 in zip(factors.U, factors.lambda_0, strict=True)
        ]
    )
    assert torch.isfinite(rebuilt).all()
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    assert torch.linalg.norm(rebuilt - whole) <= tolerance * torch.linalg.norm(whole)


def test_signs_do_not_depend_on_roundoff_between_equal_entries() -> None:
    columns = torch.tensor([[-2.0, 0.0, 1.0], [2.0, -3.0, -1.0]], dtype=torch.float64)
    for noise in (-1e-12, 0.0, 1e-12):
        columns[1] *= 1 + noise
        assert canonical_signs(columns).tolist() == [-1, -1, 1]
