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


class Layers(nn.Module):
    """The layers of one stack side by side: (tokens, k) -> (layers, tokens, m)."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for index, weight in enumerate(STACKS[name]()):
            rows, width = weight.shape
            linear = nn.Linear(width, rows, dtype=dtype)
            with torch.no_grad():
                linear.weight.copy_(weight)
                linear.bias.copy_(gaussian(1, rows, index)[0])
            self.blocks.append(nn.ModuleDict({"fc": linear}))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([block["fc"](x) for block in self.blocks])


def attached(name: str, dtype: torch.dtype, cache: Path, basis: str = "exact") -> Layers:
    config = FrodConfig(["fc"], sparse_rate=0.05, basis=basis)  # type: ignore[arg-type]
    return attach_frod(Layers(name, dtype), config, cache_dir=cache)


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
        """U (diag(lambda) + S) V^T as a change of W, (m x k) a layer."""
        weights = []
        for layer, scale, rotation in zip(self.layers, self.scales, self.rotations, strict=True):
            width, basis = layer.in_features, layer.shared.basis.double()
            core = torch.diag(scale - layer.start.double()).flatten()
            core = core.index_put((layer.shared.support,), rotation).view(width, width)
            weights.append(layer.weight.double() + layer.left.double() @ core @ basis.T)
        return weights

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack(
            [
                nn.functional.linear(x.double(), weight, layer.base_layer.bias.double())
                for weight, layer in zip(self.weights(), self.layers, strict=True)
            ]
        )


@pytest.mark.parametrize("basis", ["exact", "peft"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", STACKS)
def test_step_0_is_the_base_bit_for_bit(
    tmp_path: Path, name: str, dtype: torch.dtype, basis: str
) -> None:
    plain, model = Layers(name, dtype), attached(name, dtype, tmp_path, basis)
    for tokens in TOKENS:
        x = gaussian(tokens, 32, 1).to(dtype)
        wanted = plain(x)
        assert torch.equal(model(x), wanted)
        with torch.no_grad():
            assert torch.equal(model(x), wanted)


@pytest.mark.parametrize("form", ["merged", "factored"])
@pytest.mark.parametrize("name", STACKS)
def test_gradients_are_those_of_the_dense_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, sparse: form == "merged")
    model = attached(name, torch.float64, tmp_path)
    perturb(trainables(model), 0.1)
    dense = Dense(model)
    x = gaussian(9, 32, 2).double().requires_grad_()
    got = torch.autograd.grad(model(x).square().sum(), [x, *trainables(model)])
    wanted = torch.autograd.grad(
        dense(x).square().sum(), [x, *dense.scales.parameters(), *dense.rotations.parameters()]
    )
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def train(model: nn.Module, parameters: list[nn.Parameter]) -> None:
    optimizer = torch.optim.SGD(parameters, lr=0.02, momentum=0.9)
    for step in range(30):
        x = gaussian(64, 32, step) * 3
        y = model(x)
        loss = (y - torch.tanh(x.sum(dim=1)).to(y)[:, None]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("name", STACKS)
def test_trained_weight_is_that_of_the_dense_reference_trained_in_float64(
    tmp_path: Path, name: str
) -> None:
    model = attached(name, torch.float32, tmp_path)
    dense = Dense(model)
    train(model, trainables(model))
    train(dense, list(dense.parameters()))
    moved = torch.linalg.norm(dense.weights()[0] - dense.layers[0].weight)
    assert moved > 5e-3 * torch.linalg.norm(dense.layers[0].weight) or name == "all_zero"
    for layer, wanted in zip(layers_of(model), dense.weights(), strict=True):
        error = torch.linalg.norm(layer.merged().double() - wanted)
        assert error <= 1e-5 * torch.linalg.norm(wanted)


@pytest.mark.parametrize("name", STACKS)
def test_merging_keeps_the_outputs_and_unmerging_restores_the_base(
    tmp_path: Path, name: str
) -> None:
    x, plain = gaussian(50, 32, 3), Layers(name, torch.float32)
    model = attached(name, torch.float32, tmp_path)
    perturb(trainables(model), 0.1)
    wanted = model(x)
    assert torch.allclose(merge_frod(copy.deepcopy(model))(x), wanted, rtol=1e-5, atol=1e-5)
    restored, state = unmerge_frod(model).state_dict(), plain.state_dict()
    assert list(restored) == list(state)
    assert all(torch.equal(restored[key], state[key]) for key in state)
    assert torch.equal(model(x), plain(x))
