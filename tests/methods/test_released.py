"""The released layer's output, against the formula written out in float64."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frod_bench.cells.grid import compose_cells
from frod_bench.frod import FrodConfig, FrodLinear, attach_frod
from frod_bench.frod.core import draw_supports
from frod_bench.methods.registry import release_output
from frod_bench.training.runner import execute
from tests.conftest import MakeCell

WIDTH, ROWS, LAYERS = 12, 20, 3


def adapted(cache: Path) -> tuple[nn.Module, nn.Module]:
    """A stack of one category in float64, and the same with the released output."""
    torch.manual_seed(0)
    plain = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(WIDTH, ROWS)}) for _ in range(LAYERS))
    plain = plain.double()
    model = attach_frod(deepcopy(plain), FrodConfig(["fc"], sparse_rate=0.1), cache_dir=cache)
    release_output(model)
    return plain, model


def dense(layer: FrodLinear, plain: nn.Linear, x: Tensor, scale: Tensor, s: Tensor) -> Tensor:
    V = layer.shared.V
    return plain(x) + x @ V @ (torch.diag(scale) + s.T).T @ layer.U.T


@pytest.mark.parametrize("tokens", [3, 400])  # factored, merged
def test_outputs_and_gradients_are_the_formulas(tmp_path: Path, tokens: int) -> None:
    plain, model = adapted(tmp_path)
    [support] = draw_supports({"fc": WIDTH}, 0.1, 0).values()
    row, column = support // WIDTH, support % WIDTH
    x = torch.randn(tokens, WIDTH, dtype=torch.float64)
    for before, after in zip(plain, model, strict=True):
        layer = after["fc"]
        with torch.no_grad():
            layer.delta.normal_()
            layer.rotation.normal_()
        # S as the authors hold it: on the support that was drawn, the mirror of ours.
        ours = torch.zeros(WIDTH, WIDTH, dtype=torch.float64)
        ours.view(-1)[layer.shared.support] = layer.rotation.detach()
        s = ours.T.contiguous().requires_grad_()
        assert set(support.tolist()) == set(s.detach().view(-1).nonzero().flatten().tolist())
        scale = layer.lambda_.detach().clone().requires_grad_()
        expected = dense(layer, before["fc"], x, scale, s)
        torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)
        weights = torch.randn_like(expected)
        (expected * weights).sum().backward()
        (layer(x) * weights).sum().backward()
        torch.testing.assert_close(layer.delta.grad, scale.grad)
        held = torch.zeros_like(ours)
        held.view(-1)[layer.shared.support] = layer.rotation.grad
        torch.testing.assert_close(held.T[row, column], s.grad[row, column])
        with torch.no_grad():
            torch.testing.assert_close(layer(x), expected, rtol=1e-9, atol=1e-9)


def test_it_starts_at_twice_the_weight(tmp_path: Path) -> None:
    plain, model = adapted(tmp_path)
    x = torch.randn(5, WIDTH, dtype=torch.float64)
    for before, after in zip(plain, model, strict=True):
        fc, layer = before["fc"], after["fc"]
        assert layer(x).equal(nn.functional.linear(x, 2 * fc.weight, fc.bias))
        rebuilt = dense(layer, fc, x, layer.lambda_0, torch.zeros(WIDTH, WIDTH).double())
        torch.testing.assert_close(layer(x), rebuilt)


def test_the_experiment_compares_it_with_the_layer_that_starts_as_the_plain_one() -> None:
    _, cells = compose_cells(["experiment=released_layer"])
    assert {made.method for made in cells} == {"frod", "frod_released", "full", "frozen"}
    assert {made.family for made in cells} == {"nlu", "reasoning", "vision"}
    found = {made.method: made.config["method"] for made in cells}
    plain, released = found["frod"], found["frod_released"]
    apart = {key for key in plain if plain[key] != released[key]}
    assert apart == {"name", "learning_rates", "released_output", "decay"}


def test_the_option_changes_the_hash_and_its_default_does_not(
    make_cell: MakeCell,
) -> None:
    base = make_cell("task=rte", "method=frod")
    released = make_cell("task=rte", "method=frod", "method.released_output=true")
    assert released.config_hash != base.config_hash
    assert execute(released).status == "ok"
