"""The rotation's steps scaled by V's columns: the coordinates that they stand for."""

import pytest
import torch

from frod_bench.frod import FrodConfig, attach_frod
from frod_bench.frod.adapter import frod_layers
from frod_bench.methods.conditioning import scale_steps, scales_of
from frod_bench.records import hashing, store
from frod_bench.training import runner
from tests.conftest import MakeCell
from tests.frod.helpers import Net, gaussian

X, Y = gaussian(64, 12, 1), gaussian(64, 3, 2)


def attached(side: str = "input", basis: str = "exact") -> torch.nn.Module:
    config = FrodConfig(["up", "down"], sparse_rate=0.2, shared_side=side, basis=basis)  # type: ignore[arg-type]
    return attach_frod(Net(), config, use_cache=False)


def unit_steps(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """How far W moves, by each entry of S, if its own coordinate moves by 1."""
    scales, moves = scales_of(model), {}
    for name, layer in frod_layers(model).items():
        shared, width = layer.shared, layer.shared.width
        left, right = (shared.V, layer.U) if shared.on_outputs else (layer.U, shared.V)
        row, column = shared.support // width, shared.support % width
        change = left.norm(dim=0)[row] * right.norm(dim=0)[column]
        moves[name] = change * scales[layer.rotation]
    return moves


@pytest.mark.parametrize("side", ["input", "smaller"])
def test_every_entry_moves_the_weight_equally_far(side: str) -> None:
    model = attached(side)
    norms = [layer.shared.V.norm(dim=0) for layer in frod_layers(model).values()]
    assert max(float(one.max() / one.min()) for one in norms) > 1.3  # else there is nothing to show
    for found in unit_steps(model).values():
        moves = found[found > 1e-6]  # entries of an unused direction have no effect
        torch.testing.assert_close(moves, moves.mean().expand_as(moves), rtol=1e-4, atol=0)


def test_all_entries_together_move_it_as_far_as_without() -> None:
    for layer, scale in zip(
        frod_layers(attached()).values(), scales_of(attached()).values(), strict=True
    ):
        norms = layer.shared.V.norm(dim=0)[layer.shared.support % layer.shared.width]
        with_scales, without = (norms * scale).square().sum(), norms.square().sum()
        torch.testing.assert_close(with_scales, without)


def test_an_orthogonal_basis_changes_nothing() -> None:
    for scale in scales_of(attached(basis="random")).values():
        torch.testing.assert_close(scale, torch.ones_like(scale))


def trained(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for _ in range(12):
        torch.nn.functional.mse_loss(model(X), Y).backward()
        optimizer.step()
        optimizer.zero_grad()


def test_scaled_steps_are_those_of_adam_in_the_other_coordinates() -> None:
    """T is trained with S = c T; Adam divides the gradient of T, c times that of S, by itself."""
    scaled, other = attached(), attached()
    layers, others = (list(frod_layers(model).values()) for model in (scaled, other))
    scales = scales_of(scaled)
    optimizer = torch.optim.AdamW(
        [layer.rotation for layer in layers], lr=0.01, eps=1e-20, weight_decay=0
    )
    scale_steps(optimizer, scales)
    trained(scaled, optimizer)

    values = [torch.nn.Parameter(torch.zeros_like(layer.rotation)) for layer in layers]
    optimizer = torch.optim.AdamW(values, lr=0.01, eps=1e-20, weight_decay=0)
    factors = list(scales.values())
    for _ in range(12):
        with torch.no_grad():
            for layer, value, c in zip(others, values, factors, strict=True):
                layer.rotation.copy_(c * value)
        other.zero_grad()
        torch.nn.functional.mse_loss(other(X), Y).backward()
        for layer, value, c in zip(others, values, factors, strict=True):
            assert layer.rotation.grad is not None
            value.grad = c * layer.rotation.grad
        optimizer.step()
    for layer, value, c in zip(layers, values, factors, strict=True):
        expected = (c * value).detach()
        assert float(expected.abs().max()) > 0.05
        torch.testing.assert_close(layer.rotation.detach(), expected, rtol=1e-3, atol=1e-5)


def test_other_parameters_step_as_before() -> None:
    steps = []
    for is_scaled in (False, True):
        layers = list(frod_layers(model := attached()).values())
        optimizer = torch.optim.AdamW([layer.delta for layer in layers], lr=0.01)
        if is_scaled:
            scale_steps(optimizer, scales_of(model))
        trained(model, optimizer)
        assert not any(layer.rotation.any() for layer in layers)
        steps.append([layer.delta.detach() for layer in layers])
    assert all(torch.equal(a, b) for a, b in zip(*steps, strict=True))


def test_a_cell_has_its_own_hash_the_start_of_frod_and_another_end(make_cell: MakeCell) -> None:
    plain, scaled = (
        make_cell("task=rte", "method=frod", "save=adapter", f"method.rotation_scale={scale}")
        for scale in ("none", "columns")
    )
    assert plain.config_hash != scaled.config_hash
    without = {k: v for k, v in plain.config["method"].items() if k != "rotation_scale"}
    old = plain.config | {"method": without}
    prints = plain.data_fingerprint, plain.backbone_fingerprint
    assert hashing.config_hash(hashing.identity(old, *prints)) == plain.config_hash
    losses = []
    for cell in (plain, scaled):
        assert runner.execute(cell).status == "ok"
        lines = store.curve_path(cell.record_path).read_text().splitlines()
        losses.append((lines[0], lines[-1]))
        runner.restore_trained(cell)  # its values are plain FRoD's
    (start, end), (other_start, other_end) = losses
    assert start == other_start
    assert end != other_end


def test_entries_that_move_nothing_do_not_count() -> None:
    """Half of the directions are unused: the others have the scales that they have alone."""
    model = attached()
    (layer, *_) = frod_layers(model).values()
    shared = layer.shared
    column = shared.support % shared.width
    with torch.no_grad():
        shared.V[:, ::2] = 0
    scales = scales_of(model)[layer.rotation]
    norms = shared.V.norm(dim=0)[column].to(scales.dtype)
    used = norms > 0
    assert used.any()
    assert not used.all()
    assert (1 / scales[used]).square().mean() == pytest.approx(1)
    assert torch.equal(scales[~used], torch.ones_like(scales[~used]))
