"""bf16 on a CPU: the same numbers as autocast's own, or the same model by other products."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import BertConfig, BertModel

from frod_bench.training import bf16_on_cpu, loop, runner
from tests.conftest import MakeCell


def accelerator(**changes: Any) -> Any:
    fields = {"device": torch.device("cpu"), "mixed_precision": "bf16", "num_processes": 1}
    return SimpleNamespace(**(fields | changes))


def encoder() -> BertModel:
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=48, attn_implementation="sdpa",
        )
    )  # fmt: skip
    return model.eval()


def query(model: BertModel) -> nn.Linear:
    found: nn.Linear = model.encoder.layer[0].attention.self.query
    return found


def test_a_frozen_layer_computes_what_autocast_does_and_casts_once() -> None:
    model = encoder().requires_grad_(False)
    x = torch.randn(5, 32)
    layer = query(model)
    plain = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        wanted = layer(x)
    bf16_on_cpu.adapt(model, accelerator())
    assert torch.equal(layer(x), plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), wanted)
        kept = layer.forward.kept[0]  # type: ignore[attr-defined]
        layer(x)
        assert layer.forward.kept[0] is kept  # type: ignore[attr-defined]
        layer.load_state_dict({n: 2 * v for n, v in layer.state_dict().items()})
        assert torch.equal(layer(x), 2 * wanted)
        layer.weight.data *= 2  # as PEFT merges; no version counter tells
        layer.bias.data *= 2
        assert torch.equal(layer(x), 4 * wanted)
    copied = copy.deepcopy(layer)
    with torch.no_grad():
        copied.weight.zero_()
        copied.bias.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        assert not copied(x).any()
        assert torch.equal(layer(x), 4 * wanted)


def test_what_is_kept_in_an_evaluation_can_be_trained_through() -> None:
    model = encoder().requires_grad_(False)
    bf16_on_cpu.adapt(model, accelerator())
    layer = query(model)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        layer(torch.randn(5, 32))
    x = torch.randn(5, 32, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("settings", [{}, {"lora_dropout": 0.1}, {"use_dora": True}])
def test_lora_without_casts_of_its_input_is_the_same_to_the_last_bit(
    settings: dict[str, Any],
) -> None:
    """Forward and backward; with dropout and in DoRA the cast stays, as it decides a type there."""
    torch.manual_seed(0)
    config = LoraConfig(
        r=4, target_modules=["query", "intermediate.dense", "output.dense"], **settings
    )
    model = get_peft_model(encoder(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    ids = torch.arange(12).view(2, 6)

    def passed() -> list[torch.Tensor]:
        model.zero_grad()
        torch.manual_seed(1)
        model.train()
        with torch.autocast("cpu", torch.bfloat16):
            output = model(ids).last_hidden_state
        output.float().square().sum().backward()
        return [output, *(one.grad.clone() for one in model.parameters() if one.requires_grad)]

    model.base_model.model.set_attn_implementation("eager")
    with_casts = passed()
    bf16_on_cpu.adapt(model, accelerator())
    assert {layer.cast_input_dtype_enabled for layer in layers} == {bool(settings)}
    assert all(map(torch.equal, passed(), with_casts))


def test_attention_by_plain_products_is_the_same_model() -> None:
    model = encoder()
    ids, mask = torch.arange(12).view(2, 6), torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    before = model(ids, mask).last_hidden_state
    bf16_on_cpu.adapt(model, accelerator())
    assert model.config._attn_implementation == "eager"
    assert torch.allclose(model(ids, mask).last_hidden_state, before, atol=1e-5)


@pytest.mark.parametrize(
    "other", [{"mixed_precision": "no"}, {"device": torch.device("cuda")}, {"num_processes": 2}]
)
def test_it_is_for_one_process_that_trains_in_bf16_on_a_cpu(other: dict[str, Any]) -> None:
    model, trained = encoder().requires_grad_(False), encoder()
    bf16_on_cpu.adapt(model, accelerator(**other))
    assert "forward" not in vars(query(model))
    is_eager = model.config._attn_implementation == "eager"
    assert is_eager == ("num_processes" in other)  # the processes of one run agree with one alone
    groups = [{"params": list(trained.parameters())}]
    assert bf16_on_cpu.optimizer_arguments(groups, accelerator(**other)) == {}
    assert bf16_on_cpu.optimizer_arguments(groups, accelerator()) == {"fused": True}
    groups.append({"params": [nn.Parameter(torch.zeros(4, 3).T)]})
    assert bf16_on_cpu.optimizer_arguments(groups, accelerator()) == {}
    bf16_on_cpu.adapt(trained, accelerator())
    assert "forward" not in vars(query(trained))  # autocast keeps casts of what is trained itself


@pytest.mark.parametrize("precision", ["bf16", "no"])
def test_a_cell_trains_so(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    trainers = []
    run = loop.Trainer.run

    def noted(self: loop.Trainer) -> Any:
        trainers.append(self)
        return run(self)

    monkeypatch.setattr(loop.Trainer, "run", noted)
    cell = make_cell("task=rte", "method=lora", f"trainer.mixed_precision={precision}")
    assert runner.execute(cell).status == "ok"
    model, is_half = trainers[0].unwrapped, precision == "bf16"
    assert any("forward" in vars(m) for m in model.modules() if type(m) is nn.Linear) == is_half
    assert bool(trainers[0].optimizer.param_groups[0]["fused"]) == is_half
