"""The adapted layer against a dense float64 reference, in all contractions."""

import copy
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from frod_bench.frod import FrodConfig
from frod_bench.frod import core as core_module
from frod_bench.frod import layer as layer_module
from frod_bench.frod.basis import exact_basis
from frod_bench.frod.contraction import (
    FactoredLinear,
    Factors,
    MergedLinear,
    merged_is_cheaper,
    merged_weight,
    sums_over_tokens,
)
from frod_bench.frod.core import CorePattern, draw_support
from frod_bench.frod.layer import FrodLinear, SharedBasis

from .helpers import askew, gaussian, perturb

CONFIG = FrodConfig(["layer"])
# of the factored form: how it goes back
CONTRACTIONS = ("merged", "without_weight", "over_weight")


def make_layer(
    rows: int = 10,
    width: int = 6,
    *,
    dtype: torch.dtype = torch.float64,
    transposed: bool = False,
    bias: bool = True,
    rate: float = 0.3,
    seed: int = 0,
    on_outputs: bool = False,
) -> FrodLinear:
    weight = gaussian(rows, width, seed).to(dtype)
    base: nn.Module
    if transposed:
        base = Conv1D(rows, width).to(dtype)
        base.weight = nn.Parameter(weight.T.contiguous(), requires_grad=False)
    else:
        base = nn.Linear(width, rows, bias=bias, dtype=dtype)
        base.weight = nn.Parameter(weight, requires_grad=False)
    if bias:
        base.bias = nn.Parameter(gaussian(1, rows, seed + 1)[0].to(dtype), requires_grad=False)
    factored = weight.T if on_outputs else weight
    rank = factored.shape[1]
    factors = exact_basis([factored, gaussian(rank, rank, seed + 2)], 1e-3)
    support = draw_support(rank, rate, torch.Generator().manual_seed(seed)).sort().values
    V = factors.V.to(dtype)
    shared = SharedBasis("layer", CONFIG, V, support, on_outputs=on_outputs)
    return FrodLinear(base, shared, factors.U[0], factors.lambda_0[0], transposed)


@pytest.fixture(params=CONTRACTIONS)
def contraction(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force the planner's choice, and whether the factors are found to give W."""
    monkeypatch.setattr(
        layer_module, "merged_is_cheaper", lambda *counts, **_: request.param == "merged"
    )
    monkeypatch.setattr(
        layer_module, "factors_give_weight", lambda *_: request.param == "without_weight"
    )
    return request.param


def dense_weight(layer: FrodLinear, lambda_: Tensor, rotation: Tensor) -> Tensor:
    """W + U (diag(lambda - lambda_0) + S) V^T written out entry by entry, (m, k), in float64.

    Where V is on the outputs, W^T is that.
    """
    width = layer.shared.width
    core = torch.diag(lambda_.double() - layer.lambda_0.double())
    for value, place in zip(
        rotation.double(), layer.shared.pattern.indices[width:].tolist(), strict=True
    ):
        unit = torch.zeros(width, width, dtype=torch.float64)
        unit[place // width, place % width] = 1
        core = core + value * unit
    weight = layer.weight.T if layer.transposed else layer.weight
    left, right = layer.U.double(), layer.shared.V.double()
    if layer.shared.on_outputs:
        left, right = right, left
    return weight.double() + left @ core @ right.T


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize(("transposed", "bias"), [(False, False), (False, True), (True, True)])
@pytest.mark.parametrize("on_outputs", [False, True])
def test_output_at_step_0_is_the_plain_layers_bit_for_bit(
    contraction: str, dtype: torch.dtype, transposed: bool, bias: bool, on_outputs: bool
) -> None:
    layer = make_layer(33, 17, dtype=dtype, transposed=transposed, bias=bias, on_outputs=on_outputs)
    for shape in [(17,), (5, 17), (2, 3, 17), (64, 7, 17)]:
        x = gaussian(int(torch.tensor(shape[:-1]).prod()), 17, 4).view(shape).to(dtype)
        wanted = layer.base_layer(x)
        assert torch.equal(layer(x), wanted)
        with torch.no_grad():
            assert torch.equal(layer(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("transposed", [False, True])
def test_output_at_step_0_is_the_plain_layers_wherever_its_weight_lies(
    contraction: str, dtype: torch.dtype, transposed: bool
) -> None:
    layer = make_layer(64, 128, dtype=dtype, transposed=transposed)
    layer.base_layer.weight = nn.Parameter(askew(layer.weight), requires_grad=False)
    for tokens in (1, 5):
        x = gaussian(tokens, 128, 4).to(dtype)
        wanted = layer.base_layer(x)
        assert torch.equal(layer(x), wanted)
        with torch.no_grad():
            assert torch.equal(layer(x), wanted)
    perturb([layer.delta], 0.1)
    wanted = dense_weight(layer, layer.lambda_, layer.rotation)
    got = layer.merged().T if transposed else layer.merged()
    assert torch.allclose(got.double(), wanted, atol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("trained_bias", [False, True])
@pytest.mark.parametrize("tokens", [8, 14])  # C's gradient is summed over tokens, and over rows
@pytest.mark.parametrize(("rows", "width", "on_outputs"), [(10, 6, False), (6, 10, True)])
def test_forward_and_gradients_equal_the_dense_reference(
    contraction: str,
    transposed: bool,
    trained_bias: bool,
    tokens: int,
    rows: int,
    width: int,
    on_outputs: bool,
) -> None:
    layer = make_layer(rows, width, transposed=transposed, on_outputs=on_outputs)
    perturb([layer.delta, layer.rotation], 0.3)
    assert layer.bias is not None
    layer.bias.requires_grad_(trained_bias)
    trained = [layer.delta, layer.rotation, *([layer.bias] if trained_bias else [])]
    x = gaussian(tokens, width, 5).double().view(2, -1, width).requires_grad_()
    upstream = gaussian(tokens, rows, 6).double().view(2, -1, rows)

    wanted_y = x @ dense_weight(layer, layer.lambda_, layer.rotation).T + layer.bias
    wanted = torch.autograd.grad(wanted_y, [x, *trained], upstream)
    y = layer(x)
    assert torch.allclose(y, wanted_y, rtol=0, atol=1e-12)
    for got, want in zip(torch.autograd.grad(y, [x, *trained], upstream), wanted, strict=True):
        assert torch.allclose(got, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("contraction", CONTRACTIONS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("on_outputs", [False, True])
def test_gradcheck(contraction: str, transposed: bool, on_outputs: bool) -> None:
    layer = make_layer(transposed=transposed, on_outputs=on_outputs)
    left, right = layer.U, layer.shared.V
    factors = Factors(
        *((right, left) if on_outputs else (left, right)),
        layer.shared.pattern,
        transposed,
        lambda_0=layer.lambda_0 if contraction == "without_weight" else None,
    )
    x = gaussian(4, 6, 5).double().requires_grad_()
    values = gaussian(1, len(layer.shared.pattern.indices), 8)[0].double().requires_grad_()
    bias = torch.zeros(10, dtype=torch.float64, requires_grad=True)

    def run(x: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        if contraction == "merged":
            merged = merged_weight(layer.weight, values.detach(), factors, x.dtype)
            return MergedLinear.apply(x, values, bias, merged, factors)
        return FactoredLinear.apply(x, values, bias, layer.weight, factors)

    assert torch.autograd.gradcheck(run, (x, values, bias))


@settings(max_examples=30)
@given(
    rows=st.integers(1, 20),
    width=st.integers(1, 12),
    tokens=st.integers(0, 30),
    rate=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64]),
    transposed=st.booleans(),
    merged=st.booleans(),
    on_outputs=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_layer_computes_its_dense_weight(
    rows: int,
    width: int,
    tokens: int,
    rate: float,
    dtype: torch.dtype,
    transposed: bool,
    merged: bool,
    on_outputs: bool,
    seed: int,
) -> None:
    layer = make_layer(
        rows,
        width,
        dtype=dtype,
        transposed=transposed,
        rate=rate,
        seed=seed,
        on_outputs=on_outputs,
    )
    perturb([layer.delta, layer.rotation], 0.2, seed)
    x = gaussian(tokens, width, seed + 9).to(dtype)
    wanted = x.double() @ dense_weight(layer, layer.lambda_, layer.rotation).T
    wanted = (wanted + layer.bias.double()).detach()  # type: ignore[union-attr]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: merged)
        got = layer(x)
    # roundoff of sums of so many products, through up to three products in a row
    tolerance = 60 * torch.finfo(dtype).eps
    assert got.dtype == dtype
    assert torch.allclose(got.double(), wanted, rtol=tolerance, atol=tolerance)


def test_planner_merges_for_many_tokens_and_factors_for_few() -> None:
    for flags in itertools.product((False, True), repeat=2):
        how = dict(zip(("sparse", "spares_weight"), flags, strict=True))
        assert not merged_is_cheaper(16, 128, 128, 128, **how)
        assert merged_is_cheaper(1024, 128, 128, 128, **how)
        assert not merged_is_cheaper(256, 768, 3072, 3072, **how)
        assert merged_is_cheaper(4096, 768, 768, 768, **how)
        assert merged_is_cheaper(4096, 768, 3072, 768, **how)
    # 14.5 G multiply-adds factored, 15.7 G merged; written out, C costs the factored form more
    assert not merged_is_cheaper(512, 768, 3072, 3072, sparse=True, spares_weight=False)
    assert merged_is_cheaper(512, 768, 3072, 3072, sparse=False, spares_weight=False)
    # on the outputs 5.4 G and 5.7 G
    assert not merged_is_cheaper(512, 768, 3072, 768, sparse=True, spares_weight=False)
    # 1.81 G and 1.66 G; without W on the way back 1.51 G
    assert merged_is_cheaper(512, 768, 768, 768, sparse=True, spares_weight=False)
    assert not merged_is_cheaper(512, 768, 768, 768, sparse=True, spares_weight=True)


@pytest.mark.parametrize("shape", [(0,), (2, 0)])
def test_no_tokens_have_gradients_too(contraction: str, shape: tuple[int, ...]) -> None:
    layer = make_layer()
    x = torch.zeros(*shape, 6, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    assert y.shape == (*shape, 10)
    of_x, of_lambda = torch.autograd.grad(y.sum(), [x, layer.delta])
    assert of_x.shape == x.shape
    assert not of_lambda.any()


def write_in_place(weight: nn.Parameter, new: Tensor) -> None:
    with torch.no_grad():
        weight.copy_(new)


def write_through_data(weight: nn.Parameter, new: Tensor) -> None:
    weight.data.copy_(new)


def write_by_replacing(weight: nn.Parameter, new: Tensor) -> None:
    weight.data = new


@pytest.mark.parametrize("write", [write_in_place, write_through_data, write_by_replacing])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("on_outputs", [False, True])
def test_a_weight_that_the_factors_do_not_give_is_gone_back_over(
    monkeypatch: pytest.MonkeyPatch,
    transposed: bool,
    on_outputs: bool,
    write: Callable[[nn.Parameter, Tensor], None],
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: False)
    answers = []
    ask = layer_module.factors_give_weight

    def watched(*given: Any) -> bool:
        answers.append(ask(*given))
        return answers[-1]

    monkeypatch.setattr(layer_module, "factors_give_weight", watched)
    layer = make_layer(dtype=torch.float32, transposed=transposed, on_outputs=on_outputs)
    weight = layer.base_layer.weight
    assert isinstance(weight, nn.Parameter)
    x = gaussian(4, 6, 1).requires_grad_()
    for is_given in (True, False):
        for _ in range(2):
            (got,) = torch.autograd.grad(layer(x).square().sum(), x)
        dense = dense_weight(layer, layer.lambda_, layer.rotation).detach()
        y = x.double() @ dense.T + layer.bias.double()  # type: ignore[union-attr]
        assert torch.allclose(got.double(), 2 * y.detach() @ dense, rtol=1e-4, atol=1e-4)
        assert answers == [True]  # asked once, when it is attached
        assert layer._spares_weight(torch.float32) == is_given
        write(weight, weight.detach() + 1e-3 * gaussian(*weight.shape, 7))


def test_way_back_goes_over_the_weight_where_the_factors_are_too_rough() -> None:
    def spares(layer: FrodLinear, dtype: torch.dtype) -> bool:
        return layer._spares_weight(dtype)

    assert spares(make_layer(30, 20, dtype=torch.float32), torch.float32)
    assert spares(make_layer(30, 20).to("meta"), torch.float64)
    half = make_layer(30, 20, dtype=torch.bfloat16)
    assert not spares(half, torch.bfloat16)
    assert not spares(half, torch.float32)  # autocast to float32: V and U are bfloat16's
    half.lambda_0.data = half.lambda_0.bfloat16()  # as who casts buffers by hand may do
    assert not spares(half, torch.bfloat16)
    assert not spares(half.float(), torch.float32)  # U and V were rounded before
    torch.set_float32_matmul_precision("high")
    try:
        assert not spares(make_layer(30, 20, dtype=torch.float32), torch.float32)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(("rank", "gradient"), [(6, 10), (10, 6)])
def test_gradient_is_summed_over_what_is_cheaper(rank: int, gradient: int) -> None:
    """Over tokens where these are fewer than rows (basis on the inputs), or than inputs."""
    rows, width = 10, 6
    assert sums_over_tokens(gradient - 1, rows, width, rank)
    assert not sums_over_tokens(gradient, rows, width, rank)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("block", [2, 4, 9, 768])
def test_core_is_the_same_matrix_by_both_kernels(
    sparse: bool, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "BLOCK", block)
    monkeypatch.setattr(core_module, "has_sparse_kernels", lambda device, dtype: sparse)
    pattern = CorePattern(9, draw_support(9, 0.3, torch.Generator().manual_seed(0)))
    values = gaussian(1, len(pattern.indices), 1)[0].double()
    other, left = gaussian(9, 5, 2).double(), gaussian(9, 7, 3).double()
    dense = torch.zeros(81, dtype=torch.float64)
    dense[pattern.indices] = values
    dense = dense.view(9, 9)
    assert torch.equal(pattern.times(values, torch.eye(9, dtype=torch.float64)), dense)
    assert torch.allclose(pattern.times(values, other), dense @ other)
    assert torch.allclose(pattern.times(values, other, transposed=True), dense.T @ other)
    wanted = (left @ left.flip(1).T).view(-1)[pattern.indices]
    assert torch.allclose(pattern.gradient(left, left.flip(1)), wanted)


def test_a_core_that_is_trained_in_many_places_is_written_out() -> None:
    few, many = (
        CorePattern(64, draw_support(64, rate, torch.Generator().manual_seed(0)))
        for rate in (0.02, 0.5)
    )
    on_cpu = (torch.device("cpu"), torch.float32)
    assert few.is_sparse_on(*on_cpu) == core_module.has_sparse_kernels(*on_cpu)
    assert not many.is_sparse_on(*on_cpu)


def test_float16_is_merged_where_the_factors_would_overflow() -> None:
    layer = make_layer(8, 8, dtype=torch.float16)
    x = torch.full((1, 8), 3e4, dtype=torch.float16)
    layer.base_layer.weight.mul_(1e-3)
    layer.shared.V.fill_(1)
    assert torch.equal(layer(x), layer.base_layer(x))


def test_autocast_leaves_float64_alone(contraction: str) -> None:
    layer, x = make_layer(33, 17), gaussian(5, 17, 4).double()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), layer.base_layer(x))


def test_sparse_product_does_not_read_what_it_writes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern = CorePattern(9, torch.tensor([3, 61]))
    values, other = torch.ones(11), gaussian(9, 5, 2)
    dense = values.new_zeros(pattern.width**2).scatter(0, pattern.indices, values)
    wanted = dense.view(pattern.width, -1) @ other
    monkeypatch.setattr(torch, "empty_like", lambda like: torch.full_like(like, torch.nan))
    assert torch.allclose(pattern.times(values, other), wanted)


def test_trainables_are_float32_over_a_half_base_and_stay_so_when_cast() -> None:
    layer = make_layer(dtype=torch.bfloat16)
    perturb([layer.delta, layer.rotation], 5e-4)
    before = layer.delta.detach().clone()
    layer.to(torch.float16).to(torch.bfloat16)
    assert layer.delta.dtype == layer.rotation.dtype == layer.lambda_0.dtype == torch.float32
    assert torch.equal(layer.delta, before)
    assert layer.U.dtype == layer.shared.V.dtype == layer.weight.dtype == torch.bfloat16


def test_half_layer_has_gradients_near_the_reference(contraction: str) -> None:
    layer = make_layer(24, 16, dtype=torch.bfloat16)
    exact = copy.deepcopy(layer).double()
    x = gaussian(40, 16, 3).to(torch.bfloat16)
    for one, data in ((layer, x), (exact, x.double())):
        one(data).square().sum().backward()
    for got, want in ((layer.delta, exact.delta), (layer.rotation, exact.rotation)):
        assert got.grad is not None
        assert got.grad.dtype == torch.float32
        error = torch.linalg.norm(got.grad.double() - want.grad) / torch.linalg.norm(want.grad)
        assert float(error) < 2e-2


def test_autocast_gives_the_plain_layers_output_at_step_0_and_trains(contraction: str) -> None:
    layer = make_layer(24, 16, dtype=torch.float32)
    x = gaussian(40, 16, 3).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, layer.base_layer(x))
    y.float().sum().backward()
    assert layer.delta.grad is not None
    assert layer.delta.grad.dtype == x.grad.dtype == torch.float32


def test_merged_weight_is_formed_once_until_a_value_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)
    layer = make_layer()
    first = layer.merged()
    assert layer.merged() is first
    optimizer = torch.optim.AdamW([layer.delta, layer.rotation], lr=0.1, foreach=True)
    layer(gaussian(4, 6, 0).double()).square().sum().backward()
    optimizer.step()
    changed = layer.merged()
    assert changed is not first
    wanted = dense_weight(layer, layer.lambda_, layer.rotation)
    assert torch.allclose(changed, wanted, rtol=0, atol=1e-12)
    layer.delta.data.add_(1)  # as averaging of weights does: no version counter moves
    assert layer.merged() is not changed
    refreshed = layer.merged()
    with torch.no_grad():
        layer.weight.mul_(2)
    assert layer.merged() is not refreshed


def test_a_small_layer_forms_its_weight_anew_in_training_and_keeps_it_in_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: True)
    layer = make_layer()
    x = gaussian(4, 6, 0).double()
    layer.train()(x)
    assert not layer._kept
    with torch.no_grad():
        layer.eval()(x)
    assert layer._kept


@pytest.mark.parametrize("name", ["delta", "rotation"])
def test_a_change_of_either_trained_value_alone_refreshes_the_merged_weight(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)
    layer = make_layer()
    layer.merged()
    assert layer._kept
    getattr(layer, name).data[-1] += 1
    wanted = dense_weight(layer, layer.lambda_, layer.rotation)
    assert torch.allclose(layer.merged(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["foreach", "fused", "plain"])
def test_no_optimizer_leaves_a_stale_weight(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)
    layer = make_layer(dtype=torch.float32)
    flags = {} if how == "plain" else {how: True}
    optimizer = torch.optim.AdamW([layer.delta, layer.rotation], lr=0.1, **flags)
    for _ in range(2):
        layer.merged()
        assert layer._kept
        layer(gaussian(4, 6, 0)).square().sum().backward()
        optimizer.step()
        wanted = dense_weight(layer, layer.lambda_, layer.rotation)
        assert torch.allclose(layer.merged().double(), wanted, atol=1e-5)


def test_training_goes_on_after_inference_mode(contraction: str) -> None:
    layer = make_layer()
    x = gaussian(9, 6, 0).double().requires_grad_()
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert x.grad is not None


def test_copies_share_nothing_and_compute_the_same() -> None:
    layer = make_layer()
    perturb([layer.delta, layer.rotation], 0.1)
    x = gaussian(3, 6, 1).double()
    wanted = layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(x), wanted)
        perturb([other.delta], 0.1)
        assert not torch.equal(other(x), wanted)
    assert torch.equal(layer(x), wanted)


def test_a_copy_takes_the_form_of_the_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the factors give W, which spares the backward pass a product, is copied with it."""
    layer = make_layer(24, 16, dtype=torch.float32)
    assert layer._spares_weight(torch.float32)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other._spares_weight(torch.float32)
        with torch.no_grad():
            other.weight.mul_(2)
        assert not other._spares_weight(torch.float32)
        assert not copy.deepcopy(other)._spares_weight(torch.float32)


def on_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers compare no values, as where that would wait for the device."""
    monkeypatch.setattr(layer_module, "compares_values", lambda _device: False)


def test_without_comparisons_a_copy_of_a_moved_layer_has_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_accelerator(monkeypatch)
    layer = make_layer()
    assert copy.deepcopy(layer)._is_at_start()
    with torch.no_grad():
        layer.delta.copy_(torch.ones_like(layer.delta))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert not other._is_at_start()
    fresh = make_layer()
    fresh.load_state_dict(layer.state_dict(), assign=True)  # its parameters have no version
    assert not fresh._is_at_start()


def test_without_comparisons_other_tensors_at_the_same_place_are_other_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of `functional_call`, whose tensors are freed and others get their addresses."""
    on_accelerator(monkeypatch)
    layer = make_layer()
    with torch.no_grad():
        first = layer.merged()
        assert layer.merged() is first
        changed = (layer.delta.detach() + 1).untyped_storage()
        layer.delta.untyped_storage().copy_(changed)  # without a sign in the version counter
        layer._parameters["delta"] = nn.Parameter(layer.delta.data)
        wanted = dense_weight(layer, layer.lambda_, layer.rotation)
        assert torch.allclose(layer.merged(), wanted, rtol=0, atol=1e-12)


def test_only_trained_values_are_in_the_state_dict_beside_the_base() -> None:
    assert set(make_layer().state_dict()) == {
        "delta",
        "rotation",
        "base_layer.weight",
        "base_layer.bias",
    }
