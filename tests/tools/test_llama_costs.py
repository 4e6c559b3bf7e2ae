"""The predicted costs of a large model count what real layers multiply."""

import copy

import peft
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from frod_bench.frod import FrodConfig, FrodLinear, attach_frod
from frod_bench.frod import core as core_module
from frod_bench.frod import layer as layer_module
from frod_bench.plan import trace  # registers the products that torch does not count
from tests.frod.helpers import perturb
from tools import llama_costs

SHAPES = [(96, 32, 32), (96, 16, 32), (96, 80, 32), (16, 48, 32), (400, 80, 32)]  # T, m, k


assert torch.ops.aten.addmm_ in trace.flop_registry


class One(nn.Module):
    """One linear layer."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, rows, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


class Types(TorchDispatchMode):
    """The types that dense products are computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[torch.dtype] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if any(word in str(func) for word in ("mm", "matmul", "linear")):
            self.found |= {one.dtype for one in args if isinstance(one, torch.Tensor)}
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _no_sparse_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "has_sparse_kernels", lambda *_: False)


def counted(model: nn.Module, tokens: int, width: int, *, autocast: bool) -> tuple[int, set]:
    """Multiply-adds of the second of two steps, and the types of its products."""
    x = torch.randn(tokens, width).requires_grad_()
    x = x if autocast else x.detach().bfloat16().requires_grad_()
    for _ in range(2):
        with (
            FlopCounterMode(display=False) as counter,
            Types() as types,
            torch.autocast("cpu", torch.bfloat16, enabled=autocast),
        ):
            model(x).float().sum().backward()
        for layer in model.modules():
            if isinstance(layer, FrodLinear):
                layer.delta.data.add_(1e-3)  # off its start
    return counter.get_total_flops() // 2, types.found


def adapted(rows: int, width: int, *, half: bool) -> nn.Module:
    model = One(rows, width)
    attach_frod(model.bfloat16() if half else model, FrodConfig(["layer"]), use_cache=False)
    perturb([p for p in model.parameters() if p.requires_grad], 0.1)
    return model


@pytest.mark.parametrize(("tokens", "rows", "width"), SHAPES)
def test_half_precision_layers_multiply_what_is_predicted(
    tokens: int, rows: int, width: int
) -> None:
    """And nothing in float32: a step of an adapter must not wait for slow products."""
    found, types = counted(adapted(rows, width, half=True), tokens, width, autocast=False)
    assert found == llama_costs.factored(tokens, rows, width)
    assert types == {torch.bfloat16}


@pytest.mark.parametrize(("tokens", "rows", "width"), SHAPES)
@pytest.mark.parametrize("form", ["chosen", "merged", "factored"])
def test_layers_under_autocast_multiply_what_is_predicted(
    monkeypatch: pytest.MonkeyPatch, tokens: int, rows: int, width: int, form: str
) -> None:
    count = {"chosen": llama_costs.under_autocast}.get(form) or getattr(llama_costs, form)
    if form != "chosen":
        monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *_, **__: form == "merged")
    found, types = counted(adapted(rows, width, half=False), tokens, width, autocast=True)
    assert found == count(tokens, rows, width)
    assert types == {torch.bfloat16}


@pytest.mark.parametrize(("tokens", "rows", "width"), SHAPES)
def test_other_methods_multiply_what_is_predicted(tokens: int, rows: int, width: int) -> None:
    plain = One(rows, width).bfloat16()
    assert counted(plain, tokens, width, autocast=False)[0] == llama_costs.full(tokens, rows, width)
    low_rank = peft.LoraConfig(target_modules=["layer"], r=4)
    model = peft.get_peft_model(copy.deepcopy(plain), low_rank, autocast_adapter_dtype=False)
    found, _ = counted(model, tokens, width, autocast=False)
    assert found == llama_costs.lora(tokens, rows, width, rank=4)
    frod = peft.FrodConfig(target_modules=["layer"])
    model = peft.get_peft_model(copy.deepcopy(plain), frod, autocast_adapter_dtype=False)
    found, _ = counted(model, tokens, width, autocast=False)
    assert found == llama_costs.peft_frod(tokens, rows, width)
