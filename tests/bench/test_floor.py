"""The floor's multiply-adds, and what is timed beside it."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from frod_bench.bench.floor import (
    LayerTimes,
    multiply_adds,
    over_the_floor,
    time_layers,
)
from frod_bench.frod import FrodConfig, FrodLinear, attach_frod


def merged_step(x: torch.Tensor, u: torch.Tensor, v: torch.Tensor, grad: torch.Tensor) -> None:
    """Section 2 of docs/explanation/method.md, dense, C = 1: a step from one merged weight."""
    merged = u @ v.T
    x @ merged.T  # y
    grad @ merged  # dx
    if len(x) < len(u):  # the gradient of C, summed over tokens
        x @ v, grad @ u
    else:
        (grad.T @ x) @ v  # M


def factored_step(x: torch.Tensor, u: torch.Tensor, v: torch.Tensor, grad: torch.Tensor) -> None:
    """The same on top of the frozen weight, which has U's shape."""
    z, h = x @ v, grad @ u
    x @ u.T  # W x
    z @ u.T
    grad @ u  # W^T dy
    h @ v.T


def inputs_step(x: torch.Tensor, u: torch.Tensor, v: torch.Tensor, grad: torch.Tensor) -> None:
    """W (x + E x), U's shape being W's and V's that of P, E formed if that is cheaper."""
    if len(x) > 2 * len(v):
        change = v @ v.T  # E
        (x @ change.T) @ u.T
        back = grad @ u
        back @ change
        v.T @ (back.T @ x)
    else:
        ((x @ v) @ v.T) @ u.T
        h = (grad @ u) @ v
        h @ v.T


@pytest.mark.parametrize(
    ("tokens", "rows", "width", "cheaper"),
    [
        (512, 768, 3072, "factored"),
        (4096, 768, 3072, "merged"),
        (512, 768, 768, "merged"),
        (512, 3072, 768, "on inputs"),
        (4096, 3072, 768, "on inputs"),
    ],
)
def test_multiply_adds_are_those_of_the_cheaper_form(
    tokens: int, rows: int, width: int, cheaper: str
) -> None:
    shapes = (tokens, width), (rows, width), (width, width), (tokens, rows)
    tensors = [torch.empty(shape, device="meta") for shape in shapes]
    counted = {}
    steps = {"merged": merged_step, "factored": factored_step}
    for name, step in (steps | ({"on inputs": inputs_step} if rows > width else {})).items():
        with FlopCounterMode(display=False) as counter:
            step(*tensors)
        counted[name] = counter.get_total_flops() // 2
    assert multiply_adds(tokens, rows, width) == counted
    times = LayerTimes("a", rows, width, 1, tokens, counted[cheaper], [1.0], [1.0], [1.0])
    assert times.cheaper_form == cheaper


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))


def attached() -> nn.Module:
    torch.manual_seed(0)
    layers = {f"fc1_{i}": nn.Linear(8, 16) for i in range(3)} | {"fc2_0": nn.Linear(16, 8)}
    model = nn.ModuleDict(layers)
    return attach_frod(model, FrodConfig(target_modules="fc.*"))


def test_each_layer_shape_is_timed_with_values_that_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frod_bench.bench.floor.PRODUCT_SIZE", {"cpu": 8})
    model = attached()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen: list[tuple[torch.Size, bool, float]] = []

    def note(layer: FrodLinear, given: tuple[torch.Tensor], _out: torch.Tensor) -> None:
        (x,) = given
        seen.append((x.shape, x.requires_grad, float(layer.delta.detach()[0])))

    for module in model.values():
        module.register_forward_hook(note)
    found = time_layers("a", model, tokens=5, rounds=2, device=torch.device("cpu"))
    shapes = [(times.out_features, times.in_features, times.layers) for times in found]
    assert shapes == [(16, 8, 3), (8, 16, 1)]
    assert [shape for shape, _, _ in seen] == [torch.Size([5, 8])] * 3 + [torch.Size([5, 16])] * 3
    assert all(requires_grad for _, requires_grad, _ in seen)
    assert len({(shape, value) for shape, _, value in seen}) == 6  # another one at each step
    for times in found:
        seconds = [times.frod_sec, times.linear_sec, times.floor_sec]
        assert [len(rounds) for rounds in seconds] == [2, 2, 2]
        assert min(map(min, seconds)) > 0
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def layer(count: int, frod_sec: list[float], floor_sec: list[float]) -> LayerTimes:
    return LayerTimes("a", 4, 4, count, 8, 600, frod_sec, frod_sec, floor_sec)


def test_the_whole_model_weighs_a_layer_by_its_floor() -> None:
    small, large = layer(4, [2.0, 2.0], [1.0, 1.0]), layer(1, [12.0, 12.0], [12.0, 12.0])
    assert small.ratio == 2
    assert small.rate == 600
    assert over_the_floor([small, large]) == (4 * 2 + 12) / (4 * 1 + 12)


def test_a_ratio_is_the_median_of_paired_rounds() -> None:
    assert layer(1, [1.0, 4.0, 30.0], [1.0, 2.0, 10.0]).ratio == 2.0
