"""The bases that the joint decomposition is compared with: of each layer alone, and random."""

from pathlib import Path

import pytest
import torch
from torch import nn

from frod_bench.common.errors import InputError
from frod_bench.frod import FrodConfig, attach_frod, frod_parameters, load_frod, save_frod
from frod_bench.frod.adapter import frod_layers
from frod_bench.frod.basis import random_basis, svd_basis

from .helpers import STACKS, Net, gaussian, perturb

X = gaussian(50, 12, 1)


def attached(basis: str, seed: int = 0) -> nn.Module:
    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=basis, seed=seed)  # type: ignore[arg-type]
    return attach_frod(Net(), config, use_cache=False)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("basis", ["svd", "random"])
def test_the_factors_give_the_weights_and_v_is_orthogonal(name: str, basis: str) -> None:
    for weight in STACKS[name]():
        found = (
            svd_basis([weight.double()]) if basis == "svd" else random_basis([weight.double()], 3)
        )
        V, (U,), (lambda_0,) = found.V, found.U, found.lambda_0
        assert torch.allclose(V.T @ V, torch.eye(len(V), dtype=V.dtype), atol=1e-12)
        assert torch.allclose((U * lambda_0) @ V.T, weight.double(), rtol=0, atol=1e-12)
        norms = torch.linalg.vector_norm(U, dim=0)
        assert torch.allclose(norms, (lambda_0 > 0).to(norms), atol=1e-12)


def test_svds_scales_are_the_singular_values() -> None:
    weight = gaussian(40, 32, 3)
    (lambda_0,) = svd_basis([weight]).lambda_0
    assert torch.allclose(lambda_0, torch.linalg.svdvals(weight), rtol=1e-5)


@pytest.mark.parametrize("basis", ["svd", "random"])
def test_the_start_is_exact_and_as_many_values_are_trained(basis: str) -> None:
    model, joint = attached(basis), attached("exact")
    assert torch.equal(model(X), Net()(X))
    ours, theirs = (
        [p.shape for group in frod_parameters(one).values() for p in group]
        for one in (model, joint)
    )
    assert ours == theirs


def test_each_layer_has_its_own_basis_and_the_support_of_its_role() -> None:
    layers = frod_layers(attached("svd"))
    joint = frod_layers(attached("exact"))
    assert len({id(layer.shared) for layer in layers.values()}) == len(layers)
    for name, layer in layers.items():
        assert torch.equal(layer.shared.support, joint[name].shared.support)


def test_a_random_basis_is_shared_and_drawn_by_the_seed() -> None:
    first, again, other = (
        frod_layers(attached("random", seed))["blocks.0.up"].shared for seed in (0, 0, 1)
    )
    assert torch.equal(first.V, again.V)
    assert not torch.allclose(first.V, other.V)
    layers = frod_layers(attached("random"))
    assert layers["blocks.0.up"].shared is layers["blocks.1.up"].shared


@pytest.mark.parametrize("basis", ["svd", "random"])
@pytest.mark.parametrize("include_basis", [False, True])
def test_adapters_are_saved_and_loaded(tmp_path: Path, basis: str, include_basis: bool) -> None:
    model = attached(basis)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter", include_basis=include_basis)
    again = load_frod(Net(), tmp_path / "adapter", cache_dir=tmp_path / "cache")
    assert torch.allclose(again(X), model(X), atol=1e-5)


def test_the_smaller_side_needs_the_joint_basis() -> None:
    with pytest.raises(InputError, match="shared_side='smaller' is unavailable with basis='svd'"):
        FrodConfig(["up"], basis="svd", shared_side="smaller")
