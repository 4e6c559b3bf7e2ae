"""What surrounds a model in training: copies, casts, checkpointing, compilation, processes."""

import copy
import io
import pickle
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, multiprocessing, nn
from torch._dynamo.testing import CompileCounter
from torch.utils.checkpoint import checkpoint
from transformers import LlamaConfig, LlamaModel, PreTrainedModel, RobertaConfig, RobertaModel

from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    frod_parameters,
    load_frod,
    save_frod,
)
from frod_bench.frod import core as core_module
from frod_bench.frod import layer as layer_module
from frod_bench.frod.adapter import frod_layers

from .data_parallel import LABELS, X, model_and_trained, train, train_a_share
from .helpers import Net, perturb

CONFIG = FrodConfig(["up", "down"], sparse_rate=0.1)
SIZES = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 40,
}
TOKENS = torch.arange(32).view(2, 16) % 37 + 3


def adapted(model: nn.Module, cache_dir: Path, config: FrodConfig = CONFIG) -> nn.Module:
    """FRoD on a model, off its start."""
    attach_frod(model, config, cache_dir=cache_dir)
    perturb(trained_of(model), 0.1)
    return model


def trained_of(model: nn.Module) -> list[nn.Parameter]:
    return [p for group in frod_parameters(model).values() for p in group]


def transformer(name: str, cache_dir: Path) -> PreTrainedModel:
    """A tiny transformer without dropout, all of its blocks' linear layers adapted."""
    torch.manual_seed(0)
    if name == "roberta":
        dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        model = RobertaModel(RobertaConfig(**SIZES, **dropout), add_pooling_layer=False)
        targets = r"encoder\..*(query|key|value|dense)"
    else:
        model = LlamaModel(LlamaConfig(**SIZES))
        targets = r"layers\..*_proj"
    adapted(model, cache_dir, FrodConfig(targets, sparse_rate=0.1))
    return model


def gradients(model: nn.Module, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, trained_of(model)))


def bases(*models: nn.Module) -> set[int]:
    """Where in memory the models hold a V."""
    layers = [layer for model in models for layer in frod_layers(model).values()]
    return {layer.shared.V.untyped_storage().data_ptr() for layer in layers}


def assert_close(got: list[Tensor], wanted: list[Tensor], atol: float = 1e-6) -> None:
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize("config", [CONFIG, FrodConfig(["up", "down"], basis="peft")])
def test_factors_are_held_by_columns_whatever_happens_to_the_model(
    tmp_path: Path, config: FrodConfig
) -> None:
    """Products run along the rows of U^T and V^T; were these not contiguous, each would copy."""

    def is_by_columns(model: nn.Module) -> bool:
        layers = list(frod_layers(model).values())
        factors = [factor for layer in layers for factor in (layer.U, layer.shared.V)]
        return all(factor.T.is_contiguous() for factor in factors) and len(layers) > 0

    model = adapted(Net(), tmp_path / "cache", config)
    assert is_by_columns(model)
    assert is_by_columns(adapted(Net(), tmp_path / "cache", config))  # from the cache
    save_frod(model, tmp_path / "adapter", include_basis=True)
    assert is_by_columns(load_frod(Net(), tmp_path / "adapter", cache_dir=tmp_path / "other"))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.double()):
        assert is_by_columns(other)


# --- V in memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["pickle", "torch.save"])
def test_a_stored_model_holds_its_basis_once_and_computes_the_same(
    tmp_path: Path, how: str
) -> None:
    model = adapted(Net(), tmp_path)
    wanted, wanted_gradients = model(X), gradients(model, model(X).sum())
    if how == "pickle":
        stored = pickle.loads(pickle.dumps(model))
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        stored = torch.load(file, weights_only=False)
    assert len(bases(stored)) == 2
    assert torch.equal(stored(X), wanted)
    assert_close(gradients(stored, stored(X).sum()), wanted_gradients, atol=0)


# --- Trainers ------------------------------------------------------------------------------------


@pytest.fixture
def fresh_accelerate() -> Iterator[None]:
    """Accelerate keeps its settings for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("fresh_accelerate")
def test_accelerate_trains_as_a_plain_loop_does(tmp_path: Path) -> None:
    model, trained = model_and_trained(tmp_path)
    wanted, wanted_trained = model_and_trained(tmp_path)
    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.SGD(trained, lr=0.3, momentum=0.9)
    prepared, optimizer = accelerator.prepare(model, optimizer)
    assert len(bases(prepared)) == 2
    for _ in range(3):
        optimizer.zero_grad()
        accelerator.backward(nn.functional.cross_entropy(prepared(X), LABELS))
        optimizer.step()
    train(wanted, wanted_trained, X, LABELS)
    assert_close(trained, wanted_trained, atol=0)


@pytest.mark.usefixtures("fresh_accelerate")
@pytest.mark.parametrize("mixed_precision", ["no", "bf16"])
def test_merged_weight_is_formed_once_a_step_however_many_micro_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mixed_precision: str
) -> None:
    formed = []

    def counted(*operands: object) -> Tensor:
        formed.append(operands)
        return merged_weight(*operands)  # type: ignore[arg-type]

    merged_weight = layer_module.merged_weight
    monkeypatch.setattr(layer_module, "merged_weight", counted)
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: True)
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)  # smaller layers form it anew
    model, trained = model_and_trained(tmp_path)
    accelerator = Accelerator(
        cpu=True, gradient_accumulation_steps=4, mixed_precision=mixed_precision
    )
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(trained, lr=1e-2, fused=True))
    for step in (1, 2):
        for rows in torch.arange(len(X)).chunk(4):
            with accelerator.accumulate(model):
                accelerator.backward(nn.functional.cross_entropy(model(X[rows]), LABELS[rows]))
                optimizer.step()
                optimizer.zero_grad()
        assert len(formed) == step * 6  # the model has six adapted layers


@pytest.mark.parametrize("form", ["merged", "factored"])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: form == "merged")
    model, trained = model_and_trained(tmp_path)
    wanted = torch.autograd.grad(nn.functional.cross_entropy(model(X), LABELS), trained)
    for rows in torch.arange(len(X)).chunk(4):
        (nn.functional.cross_entropy(model(X[rows]), LABELS[rows]) / 4).backward()
    assert_close([p.grad for p in trained], list(wanted))  # type: ignore[misc]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("how", ["base", "autocast"])
def test_half_precision_trains_as_float32_does(
    tmp_path: Path, dtype: torch.dtype, how: str
) -> None:
    def losses(model: nn.Module, x: Tensor) -> list[float]:
        optimizer = torch.optim.AdamW(trained_of(model), lr=3e-2)
        found = []
        for _ in range(30):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype) if cast else nullcontext():
                loss = nn.functional.cross_entropy(model(x).float(), LABELS)
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    cast = False
    wanted = losses(attach_frod(Net(), CONFIG, cache_dir=tmp_path), X)
    assert wanted[-1] < 0.8 * wanted[0]
    cast = how == "autocast"
    base = Net() if cast else Net().to(dtype)
    model = attach_frod(base, CONFIG, cache_dir=tmp_path)
    got = losses(model, X if cast else X.to(dtype))
    assert got == pytest.approx(wanted, rel=0.02)
    assert {p.dtype for p in trained_of(model)} == {torch.float32}


# --- Gradient checkpointing ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["roberta", "llama"])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointed_transformers_have_the_same_gradients(
    tmp_path: Path, name: str, use_reentrant: bool
) -> None:
    model = transformer(name, tmp_path).train()

    def found() -> list[Tensor]:
        model.zero_grad()
        model(TOKENS).last_hidden_state.square().mean().backward()
        return [p.grad.clone() for p in trained_of(model)]  # type: ignore[union-attr]

    wanted = found()
    runs = []
    next(iter(frod_layers(model).values())).register_forward_hook(lambda *call: runs.append(call))
    model.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
    model.enable_input_require_grads()  # reentrant needs it, because the embeddings are frozen
    assert_close(found(), wanted)
    assert len(runs) == 2  # forward, and once more for backward
    assert len(bases(model)) == len({layer.shared for layer in frod_layers(model).values()})


@pytest.mark.parametrize("tokens", [2, 96])  # the factored form, and the merged one
def test_both_passes_of_reentrant_checkpointing_choose_the_same_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokens: int
) -> None:
    """The first pass has no gradients, and must not compute as an evaluation does."""
    monkeypatch.setattr(  # as it is for large layers, where Python costs nothing
        layer_module, "merged_is_cheaper", lambda count, *_, **__: count > 2
    )
    model = adapted(Net(), tmp_path).train()
    choose, chosen = FrodLinear._choose_form, {False: {}, True: {}}

    def spied(layer: FrodLinear, *operands: Any) -> tuple[bool, bool]:
        form = choose(layer, *operands)
        chosen[torch.is_grad_enabled()].setdefault(layer, []).append(form)
        return form

    monkeypatch.setattr(FrodLinear, "_choose_form", spied)
    x = X[:tokens].clone().requires_grad_()
    for block in model.blocks:
        x = checkpoint(block, x, use_reentrant=True)
    assert not chosen[True]
    x.sum().backward()
    assert list(chosen[False].values()) == [[(tokens > 2, tokens <= 2)]] * 6
    assert chosen[True] == chosen[False]


# --- Compilation ---------------------------------------------------------------------------------


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("name", ["roberta", "llama"])
def test_transformers_compile_to_one_graph_for_training_and_one_for_evaluation(
    tmp_path: Path, name: str
) -> None:
    model, eager = transformer(name, tmp_path), transformer(name, tmp_path)
    graphs = CompileCounter()
    compiled = torch.compile(model, backend=graphs, fullgraph=True)
    optimizers = [torch.optim.AdamW(trained_of(one), lr=1e-2) for one in (model, eager)]
    for _ in range(3):
        got, wanted = (one(TOKENS).last_hidden_state for one in (compiled, eager))
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)
        for one, y in ((model, got), (eager, wanted)):
            for parameter, gradient in zip(
                trained_of(one), gradients(one, y.square().mean()), strict=True
            ):
                parameter.grad = gradient
        assert_close([p.grad for p in trained_of(model)], [p.grad for p in trained_of(eager)])  # type: ignore[misc]
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():  # the values that were stepped to, not those of the step before
            got, wanted = (one(TOKENS).last_hidden_state for one in (compiled, eager))
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)
    assert graphs.frame_count == 2


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.parametrize("form", ["merged", "factored"])
def test_layers_compile_in_either_form_and_under_autocast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(layer_module, "merged_is_cheaper", lambda *counts, **_: form == "merged")
    model = adapted(Net(), tmp_path)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            got, wanted = compiled(X), model(X)
        assert got.dtype == dtype
        atol = 4 * torch.finfo(dtype).eps
        torch.testing.assert_close(got, wanted, rtol=atol, atol=atol)
        pairs = (gradients(model, y.float().square().mean()) for y in (got, wanted))
        assert_close(*pairs, atol=atol)


@pytest.mark.usefixtures("fresh_dynamo")
@pytest.mark.compiler
def test_default_backend_compiles_a_training_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setattr(core_module, "BLOCK", 5)
    model = adapted(nn.Sequential(nn.Linear(12, 12)), tmp_path, FrodConfig(["0"], 0.02))
    (layer,) = frod_layers(model).values()
    assert layer.shared.pattern.is_sparse_on(X.device, X.dtype)
    # The processor's own list of vector instructions is believed: to try each costs a compilation.
    options = {"compile_threads": 1, "cpp.vec_isa_ok": True}
    compiled = torch.compile(model, fullgraph=True, options=options)
    got, wanted = compiled(X), model(X)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)
    pairs = (gradients(model, y.square().mean()) for y in (got, wanted))
    assert_close(*pairs)


# --- Processes -----------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no distributed")
@pytest.mark.usefixtures("forked")
def test_two_processes_train_as_one_does_on_the_whole_batch(tmp_path: Path) -> None:
    multiprocessing.spawn(train_a_share, args=(2, tmp_path), nprocs=2)
    model, wanted = model_and_trained(tmp_path)
    train(model, wanted, X, LABELS)
    for rank in range(2):
        got = torch.load(tmp_path / f"{rank}.pt")
        assert_close(got, [p.detach() for p in wanted])
