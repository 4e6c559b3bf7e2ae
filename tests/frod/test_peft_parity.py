"""Parity with PEFT's FRoD where the basis is made by PEFT's own operations."""

import copy
from collections.abc import Callable
from pathlib import Path

import peft
import pytest
import torch
from torch import Tensor, nn

from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    decay_to_zero,
    frod_parameters,
)

from .helpers import Net, gaussian

TARGETS = ["up", "down"]
RATE, SEED = 0.1, 5


@pytest.fixture
def pair(tmp_path: Path) -> tuple[nn.Module, nn.Module]:
    """The same base, adapted by us and by PEFT."""
    ours = attach_frod(
        Net(), FrodConfig(TARGETS, sparse_rate=RATE, seed=SEED, basis="peft"), cache_dir=tmp_path
    )
    config = peft.FrodConfig(
        target_modules=TARGETS, sparse_rate=RATE, projection_prng_key=SEED, progressbar=False
    )
    return ours, peft.get_peft_model(Net(), config)


def layer_pairs(ours: nn.Module, theirs: nn.Module) -> list[tuple[FrodLinear, nn.Module]]:
    peft_layers = dict(theirs.base_model.model.named_modules())
    return [(m, peft_layers[n]) for n, m in ours.named_modules() if isinstance(m, FrodLinear)]


def their_order(theirs: nn.Module, category: str, width: int) -> Tensor:
    """Where each of our sorted values stands among theirs."""
    row, column = theirs.base_model.frod_s_indices[category]["default"]
    return (row * width + column).argsort()


def test_factors_are_pefts(pair: tuple[nn.Module, nn.Module]) -> None:
    for ours, theirs in layer_pairs(*pair):
        assert torch.equal(ours.shared.V, theirs.frod_V["default"])
        assert torch.allclose(ours.U, theirs.frod_U["default"], atol=1e-6)
        assert torch.allclose(ours.lambda_, theirs.frod_lambda_l["default"], atol=1e-6)
        order = their_order(pair[1], ours.shared.category, ours.in_features)
        row, column = theirs.frod_s_indices["default"][:, order]
        places = ours.shared.pattern.indices[ours.in_features :]
        assert torch.equal(row * ours.in_features + column, places)


def test_outputs_equal_pefts_for_the_same_values(pair: tuple[nn.Module, nn.Module]) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for ours, theirs in layer_pairs(*pair):
            change = 0.2 * torch.randn(ours.in_features, generator=generator)
            ours.delta += change
            theirs.frod_lambda_l["default"] += change
            values = 0.2 * torch.randn(ours.rotation.shape, generator=generator)
            order = their_order(pair[1], ours.shared.category, ours.in_features)
            ours.rotation.copy_(values)
            theirs.frod_lambda_s_values["default"][order] = values
    x = gaussian(50, 12, 3)
    assert not torch.allclose(pair[0](x), Net()(x), atol=1e-2)
    assert torch.allclose(pair[0](x), pair[1](x), atol=1e-5)


def train(
    model: nn.Module,
    groups: list[list[nn.Parameter]],
    prepare: Callable[[nn.Module, torch.optim.Optimizer], object] = lambda *_: None,
    steps: int = 200,
) -> Tensor:
    """Losses of full-batch AdamW with its default weight decay on a fixed task."""
    rates = (5e-3, 1e-3)
    optimizer = torch.optim.AdamW(
        [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)]
    )
    prepare(model, optimizer)
    x = gaussian(64, 12, 11) * 3
    labels = (x @ gaussian(12, 3, 12)).argmax(dim=1)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def test_200_training_steps_have_pefts_loss_curve(pair: tuple[nn.Module, nn.Module]) -> None:
    ours, theirs = pair
    groups = frod_parameters(ours)
    curve = train(ours, [groups["lambda"], groups["rotation"]], decay_to_zero)
    parameters = dict(theirs.named_parameters())
    wanted = train(
        theirs,
        [
            [p for name, p in parameters.items() if "frod_lambda_l" in name],
            [p for name, p in parameters.items() if "frod_lambda_s" in name],
        ],
    )
    assert curve[-1] < 0.8 * curve[0]
    assert float((curve - wanted).abs().max()) < 1e-4


@pytest.mark.parametrize("basis", ["exact", "peft"])
def test_either_basis_rebuilds_the_weights(tmp_path: Path, basis: str) -> None:
    model = attach_frod(Net(), FrodConfig(TARGETS, basis=basis), cache_dir=tmp_path)  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, FrodLinear):
            rebuilt = (module.U * module.lambda_0) @ module.shared.V.T
            assert torch.allclose(rebuilt, module.weight, atol=1e-6)


def test_peft_in_half_precision_changes_the_model_and_ours_does_not(tmp_path: Path) -> None:
    base = Net().to(torch.bfloat16)
    x = gaussian(50, 12, 3).to(torch.bfloat16)
    wanted = base(x)
    config = peft.FrodConfig(target_modules=TARGETS, progressbar=False)
    theirs = peft.get_peft_model(copy.deepcopy(base), config)
    ours = attach_frod(base, FrodConfig(TARGETS, basis="peft"), cache_dir=tmp_path)
    assert torch.equal(ours(x), wanted)
    assert not torch.equal(theirs(x), wanted)
