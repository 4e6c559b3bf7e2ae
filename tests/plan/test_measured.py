"""What a plan predicts of memory and FLOPs, beside what torch's own counters measure."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel, PretrainedConfig

from frod_bench.config.settings import Settings
from frod_bench.frod import FrodLinear, core
from frod_bench.frod import layer as layer_module
from frod_bench.methods.registry import prepare
from frod_bench.models.classifier import recompute_activations, tower_of, with_head
from frod_bench.models.loading import config_of
from frod_bench.plan import measure
from frod_bench.plan.measure import batch_of, measure_step, with_classes
from frod_bench.plan.trace import Load, Step, byte_count, trace_step
from tests.plan.test_counts import ON_FAMILIES, PAPERS_METHODS, TASKS, compose

ROWS = 4
CASES = [(f, m) for f, m in ON_FAMILIES if m in PAPERS_METHODS or f == "nlu"]  # others on the least


@pytest.fixture(autouse=True)
def dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters do not see sparse products."""
    monkeypatch.setattr(core, "has_sparse_kernels", lambda device, dtype: False)


def predicted(settings: Settings, load: Load, blocks: int | None = None) -> Step:
    backbone = settings.backbones[settings.task.family]
    config = config_with(settings, blocks)
    step = measure_step(config, backbone, settings.method, load)
    return with_classes(step, settings.task.num_labels, tower_of(config).hidden_size, load)


def config_with(settings: Settings, blocks: int | None) -> PretrainedConfig:
    """The backbone's configuration; with so many blocks, if given."""
    config = config_of(settings.backbones[settings.task.family].hub_id, settings.model_root)
    if blocks is not None:
        config = deepcopy(config)
        tower_of(config).num_hidden_layers = blocks
    return config


class Real:
    """The installed model with random values, trained for a step; attention is eager."""

    def __init__(self, settings: Settings, rows: int = ROWS, blocks: int | None = None) -> None:
        backbone = settings.backbones[settings.task.family]
        config = tower_of(config_with(settings, blocks))
        body = AutoModel.from_config(config, dtype=torch.float32, attn_implementation="eager")
        plain = with_head(body, backbone.pooling, settings.task.num_labels)
        self.model = prepare(plain, settings.method, backbone, 0).model.train()
        self.inputs = batch_of(config, backbone, rows)
        self.labels = torch.zeros(rows, dtype=torch.int64)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained)

    def passes(self) -> None:
        functional.cross_entropy(self.model(**self.inputs), self.labels).backward()

    def step(self) -> None:
        self.passes()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()

    def flops(self) -> int:
        with FlopCounterMode(display=False) as counter:
            self.passes()
        self.optimizer.zero_grad()
        return counter.get_total_flops()

    def peak_bytes(self) -> int:
        """Standing tensors, and the most that torch's allocator has given out in one step."""
        self.step()
        self.optimizer.zero_grad()
        moments = [t for state in self.optimizer.state.values() for t in state.values()]
        tensors: list[Tensor] = [*self.model.parameters(), *self.model.buffers(), *moments]
        standing = byte_count(tensors)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            self.step()
        events = profiled.profiler.kineto_results.events()
        changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
        now = most = 0
        for _, change in changes:
            now += change
            most = max(most, now)
        return standing + most


def check(settings: Settings, checkpointing: bool = False, blocks: int | None = None) -> None:
    load = Load(ROWS, "no", accumulates=False, on_accelerator=False, checkpointing=checkpointing)
    step, real = predicted(settings, load, blocks), Real(settings, blocks=blocks)
    if checkpointing:
        recompute_activations(real.model)
    assert step.flops == pytest.approx(real.flops(), rel=0.05)
    assert step.peak_bytes == pytest.approx(real.peak_bytes(), rel=0.15)


@pytest.mark.parametrize(("family", "method"), CASES)
def test_a_step_of_the_embedded_profile(family: str, method: str) -> None:
    """Of two blocks, which are alike."""
    length = [] if family == "vision" else [f"backbones.{family}.max_length=24"]
    words = ("profile=embedded", f"task={TASKS[family]}", f"method={method}", *length)
    check(compose(*words), blocks=2)


@pytest.mark.parametrize("method", ["full", "dora", "frod"])
@pytest.mark.parametrize("family", ["nlu", "vision"])
def test_a_step_of_the_small_profile(family: str, method: str) -> None:
    """MiniLM-L6 and DINOv2-small at their own width, and once at their own depth."""
    length = [] if family == "vision" else [f"backbones.{family}.max_length=32"]
    words = ("profile=small", f"task={TASKS[family]}", f"method={method}", *length)
    check(compose(*words), blocks=None if method == "full" else 2)


@pytest.mark.parametrize("method", ["full", "frod"])
def test_a_step_that_computes_activations_again(method: str) -> None:
    settings = compose("task=boolq", f"method={method}", "backbones.reasoning.max_length=24")
    check(settings, checkpointing=True, blocks=3)


def test_a_step_of_frod_in_bf16_is_planned_without_what_a_cpu_keeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FrodLinear, "_stacked_once", lambda *_: pytest.fail("kept"))
    settings = compose("task=boolq", "method=frod", "backbones.reasoning.max_length=64")
    load = Load(ROWS, "bf16", accumulates=False, on_accelerator=True)
    step = predicted(settings, load)
    again = predicted(settings, replace(load, checkpointing=True))
    assert again.peak_bytes < step.peak_bytes
    assert again.flops > step.flops


@pytest.mark.parametrize("method", ["full", "frod"])
def test_two_shallow_models_tell_of_a_deep_one(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    settings = compose("profile=paper", "task=cars", f"method={method}")
    load = Load(ROWS, mixed_precision="bf16", accumulates=False, on_accelerator=True)
    extended = predicted(settings, load)
    monkeypatch.setattr(measure, "DEPTHS", (4, 12))
    whole = predicted(settings, load)
    assert extended.flops == whole.flops
    assert extended.weight_bytes == whole.weight_bytes
    assert extended.factor_bytes == whole.factor_bytes
    assert extended.gradient_bytes == whole.gradient_bytes
    assert extended.peak_bytes == pytest.approx(whole.peak_bytes, rel=0.03)


@pytest.mark.parametrize("method", ["full", "frozen", "frod"])
@pytest.mark.parametrize("accumulates", [False, True])
def test_the_head_is_added_as_if_it_had_been_measured(
    monkeypatch: pytest.MonkeyPatch, method: str, accumulates: bool
) -> None:
    settings = compose("profile=embedded", "task=sun397", f"method={method}")
    backbone = settings.backbones["vision"]
    config = config_with(settings, None if method == "frozen" else 2)
    load = Load(ROWS, mixed_precision="no", accumulates=accumulates, on_accelerator=False)
    added = with_classes(
        measure_step(config, backbone, settings.method, load), 397, config.hidden_size, load
    )
    whole = measure.prepare_shapes
    monkeypatch.setattr(
        measure, "prepare_shapes", lambda c, b, m, num_labels: whole(c, b, m, 397 * num_labels)
    )
    measured = measure_step(config, backbone, settings.method, load)
    exact = ("forward_flops", "flops", "weight_bytes", "gradient_bytes", "optimizer_bytes")
    for name in exact:
        assert getattr(added, name) == getattr(measured, name), name
    # What the optimizer makes for a moment is not added: it is most beside a frozen backbone.
    assert added.peak_bytes == pytest.approx(measured.peak_bytes, rel=0.06)


def test_gradients_of_earlier_micro_batches_are_alive_from_the_start() -> None:
    settings = compose("profile=embedded", "task=eurosat", "method=full")
    load = Load(ROWS, mixed_precision="no", accumulates=False, on_accelerator=False)
    alone = predicted(settings, load, blocks=2)
    among = predicted(settings, replace(load, accumulates=True), blocks=2)
    assert among.phase_bytes[0] == pytest.approx(
        alone.phase_bytes[0] + alone.gradient_bytes, rel=0.02
    )
    assert among.flops == alone.flops


class Holding(torch.autograd.Function):
    """Twice x, and something that a backward pass does not free."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.held = x + 1
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * grad


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, device="meta")

    def forward(self, x: Tensor) -> Tensor:
        return Holding.apply(self.layer(x))


def test_what_the_last_loss_holds_is_alive_in_the_next_pass() -> None:
    """The loop has one until there is another; without micro-batches there is none before it."""
    alone, among = (
        trace_step(
            OneLayer(),
            lambda: ({"x": torch.zeros(100, 8)}, torch.zeros(100, dtype=torch.int64)),
            Load(100, "no", accumulates=accumulates, on_accelerator=False),
        )
        for accumulates in (False, True)
    )
    held = 4 * 100 * 8
    for step in (alone, among):
        assert step.lasting_bytes == pytest.approx(held, abs=16)  # and the loss itself
        assert step.activation_bytes[-1] >= held
    assert among.activation_bytes[0] - alone.activation_bytes[0] == among.lasting_bytes


def test_merged_weights_are_formed_once_for_all_micro_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)  # smaller layers form it anew
    settings = compose("profile=embedded", "task=rte", "method=frod")
    load = Load(16, mixed_precision="no", accumulates=False, on_accelerator=False)
    step, real = predicted(settings, load, blocks=2), Real(settings, load.rows, blocks=2)
    with FlopCounterMode(display=False) as counter:
        real.passes()
        real.passes()  # no value has changed: the merged weights are kept
    assert step.forming_flops > 0
    layers = (module for module in real.model.modules() if isinstance(module, FrodLinear))
    kept = [formed for one in layers for formed, _ in one._kept.values()]
    assert step.lasting_bytes == pytest.approx(byte_count(kept), rel=1e-3)
    assert step.lasting_bytes > 0
    assert 2 * step.flops - step.forming_flops == pytest.approx(counter.get_total_flops(), rel=1e-3)
    frozen = predicted(compose("profile=embedded", "task=rte", "method=frozen"), load, blocks=2)
    assert frozen.forming_flops == 0
