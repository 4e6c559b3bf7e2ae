"""What must hold of an attached model whatever its weights are: every kind of stack, every type."""

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
    merge_frod,
    unmerge_frod,
)
from frod_bench.frod import layer as layer_module

from .helpers import STACKS, gaussian, perturb

TOKENS = (3, 400)  # the planner takes the factored form for few, the merged one for many


def weights_of(name: str, side: str) -> list[Tensor]:
    """A stack; for the side `smaller` so turned that its layers have more inputs than outputs."""
    stack = STACKS[name]()
    return [w.T if side == "smaller" and len(w) > w.shape[1] else w for w in stack]


# stacks, and the side that the basis is on: of square layers there is no smaller one
SIDES = [(name, "input") for name in STACKS] + [
    (name, "smaller") for name in STACKS if name != "one_orthogonal_layer"
]


class Layers(nn.Module):
    """The layers of one stack side by side: (tokens, k) -> (layers, tokens, m)."""

    def __init__(self, name: str, dtype: torch.dtype, side: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for index, weight in enumerate(weights_of(name, side)):
            rows, self.width = weight.shape
            linear = nn.Linear(self.width, rows, dtype=dtype)
            with torch.no_grad():
                linear.weight.copy_(weight)
                linear.bias.copy_(gaussian(1, rows, index)[0])
            self.blocks.append(nn.ModuleDict({"fc": linear}))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([block["fc"](x) for block in self.blocks])


def attached(name: str, dtype: torch.dtype, cache: Path, side: str, basis: str = "exact") -> Layers:
    config = FrodConfig(["fc"], sparse_rate=0.05, basis=basis, shared_side=side)  # type: ignore[arg-type]
    model = attach_frod(Layers(name, dtype, side), config, cache_dir=cache)
    assert all(layer.shared.on_outputs == (side == "smaller") for layer in layers_of(model))
    return model


def trainables(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for group in frod_parameters(model).values() for parameter in group]


def layers_of(model: nn.Module) -> list[FrodLinear]:
    return [module for module in model.modules() if isinstance(module, FrodLinear)]


class Dense(nn.Module):
    """The equations as they stand, in float64, with the factors of an attached model."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.layers = layers_of(copy.deepcopy(model))
        self.scales = nn.ParameterList(layer.lambda_.detach().double() for layer in self.layers)
        self.rotations = nn.ParameterList(layer.rotation.detach().double() for layer in self.layers)

    def weights(self) -> list[Tensor]:
        """U (diag(lambda) + S) V^T, or V (..) U^T, as a change of W, (m x k) a layer."""
        weights = []
        for layer, scale, rotation in zip(self.layers, self.scales, self.rotations, strict=True):
            shared = layer.shared
            core = torch.diag(scale - layer.lambda_0.double()).flatten()
            core = core.index_put((shared.support,), rotation).view(shared.width, shared.width)
            left, right = layer.U.double(), shared.V.double()
            if shared.on_outputs:
                left, right = right, left
            weights.append(layer.weight.double() + left @ core @ right.T)
        return weights

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [
                nn.functional.linear(x.double(), weight, layer.base_layer.bias.double())
                for weight, layer in zip(self.weights(), self.layers, strict=True)
            ]
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("name", "side", "basis"),
    [(*case, "exact") for case in SIDES] + [(name, "input", "peft") for name in STACKS],
)
def test_step_0_is_the_base_bit_for_bit(
    tmp_path: Path, name: str, dtype: torch.dtype, side: str, basis: str
) -> None:
    plain, model = Layers(name, dtype, side), attached(name, dtype, tmp_path, side, basis)
    for tokens in TOKENS:
        x = gaussian(tokens, plain.width, 1).to(dtype)
        wanted = plain(x)
        assert torch.equal(model(x), wanted)
        with torch.no_grad():
            assert torch.equal(model(x), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "side"), SIDES)
def test_factors_of_the_exact_basis_give_the_weight_on_the_way_back(
    tmp_path: Path, name: str, side: str, dtype: torch.dtype
) -> None:
    for layer in layers_of(attached(name, dtype, tmp_path, side)):
        assert layer.is_on_inputs or layer._spares_weight(dtype)


@pytest.mark.parametrize("form", ["merged", "factored"])
@pytest.mark.parametrize(("name", "side"), SIDES)
def test_gradients_are_those_of_the_dense_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, side: str, form: str
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: form == "merged")
    model = attached(name, torch.float64, tmp_path, side)
    perturb(trainables(model), 0.1)
    dense = Dense(model)
    x = gaussian(9, model.width, 2).double().requires_grad_()
    got = torch.autograd.grad(model(x).square().sum(), [x, *trainables(model)])
    wanted = torch.autograd.grad(
        dense(x).square().sum(), [x, *dense.scales.parameters(), *dense.rotations.parameters()]
    )
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def train(model: nn.Module, parameters: list[nn.Parameter], width: int) -> None:
    optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9)
    for step in range(30):
        x = gaussian(64, width, step) * 3
        y = model(x)
        loss = (y - torch.tanh(x.sum(dim=1)).to(y)[:, None]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_trained_weight_is_that_of_the_dense_reference_trained_in_float64(
    tmp_path: Path, name: str, side: str
) -> None:
    model = attached(name, torch.float32, tmp_path, side)
    dense = Dense(model)
    train(model, trainables(model), model.width)
    train(dense, list(dense.parameters()), model.width)
    moved = torch.linalg.norm(dense.weights()[0] - dense.layers[0].weight)
    assert moved > 5e-3 * torch.linalg.norm(dense.layers[0].weight) or name == "all_zero"
    for layer, wanted in zip(layers_of(model), dense.weights(), strict=True):
        error = torch.linalg.norm(layer.merged().double() - wanted)
        assert error <= 1e-5 * torch.linalg.norm(wanted)


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_merging_keeps_the_outputs_and_unmerging_restores_the_base(
    tmp_path: Path, name: str, side: str
) -> None:
    plain = Layers(name, torch.float32, side)
    model, x = attached(name, torch.float32, tmp_path, side), gaussian(50, plain.width, 3)
    perturb(trainables(model), 0.1)
    wanted = model(x)
    assert torch.allclose(merge_frod(copy.deepcopy(model))(x), wanted, rtol=1e-5, atol=1e-5)
    restored, state = unmerge_frod(model).state_dict(), plain.state_dict()
    assert list(restored) == list(state)
    assert all(torch.equal(restored[key], state[key]) for key in state)
    assert torch.equal(model(x), plain(x))
