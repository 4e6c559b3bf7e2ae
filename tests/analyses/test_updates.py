"""A layer with an adapter on it as one dense weight, whatever the adapter."""

import copy
from collections.abc import Callable

import pytest
import torch
from peft import LoraConfig, VeraConfig, get_peft_model, inject_adapter_in_model
from torch import nn

from frod_bench.analyses.updates import affine_map, plain_layer
from frod_bench.frod import FrodConfig, attach_frod

WIDTH, ROWS = 12, 8


class Body(nn.Module):
    """Two layers of one role."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"fc": nn.Linear(WIDTH, ROWS, bias=number == 0)}) for number in range(2)
        )


def with_lora(body: Body) -> nn.Module:
    return inject_adapter_in_model(LoraConfig(r=2, target_modules=["fc"]), body)


def with_dora(body: Body) -> nn.Module:
    return inject_adapter_in_model(LoraConfig(r=2, use_dora=True, target_modules=["fc"]), body)


def with_vera(body: Body) -> nn.Module:
    return get_peft_model(body, VeraConfig(r=3, target_modules=["fc"])).base_model.model


def with_frod(body: Body) -> nn.Module:
    return attach_frod(body, FrodConfig(target_modules=["fc"], sparse_rate=0.1))


ADAPTERS = {"lora": with_lora, "dora": with_dora, "vera": with_vera, "frod": with_frod}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("block", [0, 1])
def test_the_change_of_the_weight_is_the_change_of_the_output(adapter: str, block: int) -> None:
    put_on: Callable[[Body], nn.Module] = ADAPTERS[adapter]
    body = Body()
    plain = copy.deepcopy(body).layers[block]["fc"]
    layer = put_on(body).layers[block]["fc"]  # type: ignore[union-attr,index]
    start = affine_map(layer)[0]
    torch.testing.assert_close(start, plain.weight.double(), rtol=1e-6, atol=1e-7)
    generator = torch.Generator().manual_seed(1)
    for parameter in layer.parameters():  # as if trained
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    change = affine_map(layer)[0] - start
    assert torch.linalg.norm(change) > 1e-3 * torch.linalg.norm(start)
    x = torch.randn(5, WIDTH, generator=generator)
    with torch.no_grad():
        expected = layer.eval()(x) - plain(x)
        torch.testing.assert_close((x.double() @ change.T).float(), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(plain_layer(layer)(x), layer(x), rtol=1e-4, atol=1e-5)


def test_a_low_rank_adapter_changes_its_rank_of_directions_exactly() -> None:
    layer = with_lora(Body()).layers[0]["fc"]  # type: ignore[union-attr,index]
    start = affine_map(layer)[0]
    layer.lora_B["default"].weight.data.normal_()
    values = torch.linalg.svdvals(affine_map(layer)[0] - start)
    assert (values > 1e-10 * values[0]).sum() == 2
