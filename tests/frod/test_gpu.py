"""The layer on a GPU: the equalities that hold on a CPU, in the types that a GPU is used with."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    frod_parameters,
    load_frod,
    merge_frod,
    save_frod,
)
from frod_bench.frod import layer as layer_module

from .helpers import Net, gaussian, perturb

pytestmark = pytest.mark.gpu

CONFIG = FrodConfig(["up", "down"], sparse_rate=0.1)
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 3e-2}
WIDTH = 96


@pytest.fixture(params=TOLERANCES, ids=str)
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


def net(dtype: torch.dtype) -> Net:
    return Net(width=WIDTH, hidden=160).to("cuda", dtype)


def inputs(tokens: int, dtype: torch.dtype) -> Tensor:
    return gaussian(tokens, WIDTH, 1).to("cuda", dtype)


def adapted(dtype: torch.dtype, cache: Path) -> Net:
    return attach_frod(net(dtype), CONFIG, cache_dir=cache)


def trainables(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for group in frod_parameters(model).values() for parameter in group]


def relative_error(got: Tensor, wanted: Tensor) -> float:
    return float(torch.linalg.norm(got.double() - wanted.double()) / torch.linalg.norm(wanted))


def test_step_0_is_the_base_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    plain, model = net(dtype), adapted(dtype, tmp_path)
    for tokens in (3, 400):
        assert torch.equal(model(inputs(tokens, dtype)), plain(inputs(tokens, dtype)))


@pytest.mark.parametrize("form", ["merged", "factored"])
def test_outputs_and_gradients_are_those_of_float64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, form: str
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: form == "merged")
    model = adapted(dtype, tmp_path)
    perturb(trainables(model), 0.05)
    reference = copy.deepcopy(model).cpu().double()
    x = inputs(64, dtype)
    y, wanted = model(x), reference(x.cpu().double())
    assert relative_error(y.cpu(), wanted) < TOLERANCES[dtype]
    got = torch.autograd.grad(y.double().square().sum(), trainables(model))
    for one, other in zip(
        got, torch.autograd.grad(wanted.square().sum(), trainables(reference)), strict=True
    ):
        assert relative_error(one.cpu(), other) < 3 * TOLERANCES[dtype]


def test_merging_keeps_the_outputs(tmp_path: Path, dtype: torch.dtype) -> None:
    model = adapted(dtype, tmp_path)
    perturb(trainables(model), 0.05)
    with torch.no_grad():
        wanted = model(inputs(64, dtype))
        assert relative_error(merge_frod(model)(inputs(64, dtype)), wanted) < TOLERANCES[dtype]


def test_an_adapter_saved_from_a_gpu_loads_on_one(tmp_path: Path, dtype: torch.dtype) -> None:
    model = adapted(dtype, tmp_path / "cache")
    perturb(trainables(model), 0.05)
    save_frod(model, tmp_path / "adapter")
    loaded = load_frod(net(dtype), tmp_path / "adapter", cache_dir=tmp_path / "fresh")
    layers = [module for module in loaded.modules() if isinstance(module, FrodLinear)]
    assert {layer.U.device.type for layer in layers} == {"cuda"}
    x = inputs(64, dtype)
    assert relative_error(loaded(x), model(x)) < TOLERANCES[dtype]
