"""What a layer does by its form: on the inputs without U, in half precision, on an accelerator."""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers.pytorch_utils import Conv1D

from frod_bench.common.errors import InputError
from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    decay_to_zero,
    frod_parameters,
    load_frod,
    merge_frod,
    save_frod,
)
from frod_bench.frod import layer as layer_module
from frod_bench.frod.core import float32_is_full

from .helpers import gaussian, perturb

WIDE = 3  # outputs per input: above 2, a category holds P instead of its U
CONFIG = FrodConfig(["up", "down"], sparse_rate=0.1, seed=2)


class Mlp(nn.Module):
    """Blocks of a layer with many outputs and one with many inputs."""

    def __init__(self, width: int = 16, blocks: int = 3, *, conv: bool = False) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for index in range(blocks):
            up: Any = Conv1D(WIDE * width, width) if conv else nn.Linear(width, WIDE * width)
            shape = (width, WIDE * width) if conv else (WIDE * width, width)
            up.weight = nn.Parameter(gaussian(*shape, index))
            down = nn.Linear(WIDE * width, width)
            down.weight = nn.Parameter(gaussian(width, WIDE * width, 9 + index))
            self.blocks.append(nn.ModuleDict({"up": up, "down": down}))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block["down"](torch.tanh(block["up"](x)))
        return x


def attached(dtype: torch.dtype = torch.float32, **how: Any) -> nn.Module:
    torch.manual_seed(0)
    return attach_frod(Mlp(**how).to(dtype), CONFIG, use_cache=False)


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for group in frod_parameters(model).values() for p in group]


def first(model: nn.Module) -> FrodLinear:
    return model.blocks[0]["up"]  # type: ignore[index, union-attr, return-value]


# --- W (x + E x) ---------------------------------------------------------------------------------


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tokens", [3, 16 * 2 + 1])  # E is not formed, and formed
def test_a_wide_layer_without_u_starts_as_the_plain_one_and_has_its_gradients(
    tokens: int, dtype: torch.dtype, conv: bool
) -> None:
    model = attached(dtype, conv=conv)
    layer = first(model)
    assert layer.is_on_inputs
    assert layer.held_U is None
    assert not model.blocks[0]["down"].is_on_inputs  # type: ignore[index, union-attr]
    x = gaussian(tokens, 16, 1).to(dtype).requires_grad_()
    assert torch.equal(layer(x), layer.base_layer(x))
    perturb([layer.delta, layer.rotation], 0.2)
    weight = layer.weight.T if conv else layer.weight
    pattern, width = layer.shared.pattern, layer.shared.width
    values = torch.cat([layer.delta, layer.rotation])
    core = torch.zeros(width**2, dtype=dtype).scatter(0, pattern.indices, values).view(width, -1)
    dense = weight + layer.U @ core @ layer.shared.V.T
    wanted = nn.functional.linear(x, dense, layer.bias)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-12
    for got in (layer(x), nn.functional.linear(x, merged_of(layer), layer.bias)):
        assert torch.allclose(got, wanted, rtol=tolerance, atol=tolerance)
    inputs = [x, layer.delta, layer.rotation]
    gradients = torch.autograd.grad(layer(x).square().sum(), inputs)
    for got, want in zip(
        gradients, torch.autograd.grad(wanted.square().sum(), inputs), strict=True
    ):
        assert torch.allclose(got, want, rtol=10 * tolerance, atol=10 * tolerance)


def merged_of(layer: FrodLinear) -> Tensor:
    return layer.merged().T if layer.transposed else layer.merged()


def test_e_is_formed_once_for_all_micro_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = attached()
    layer, formed = first(model), []
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)  # smaller layers form it anew
    form = FrodLinear._form
    monkeypatch.setattr(
        FrodLinear, "_form", lambda one, *how: formed.append(how) or form(one, *how)
    )
    optimizer = torch.optim.SGD([layer.delta, layer.rotation], lr=0.1)
    for step in range(2):
        for _ in range(3):
            layer(gaussian(40, 16, step)).square().sum().backward()
        assert len(formed) == step + 1
        optimizer.step()


def test_what_an_evaluation_formed_goes_when_training_goes_on() -> None:
    model = attached().eval()
    with torch.no_grad():
        model(gaussian(3, 16, 0))
    assert all(layer._kept for layer in model.modules() if isinstance(layer, FrodLinear))
    model.train()(gaussian(3, 16, 0))
    assert not any(layer._kept for layer in model.modules() if isinstance(layer, FrodLinear))


@pytest.mark.parametrize("how", ["cast", "autocast"])
def test_half_precision_takes_u(how: str) -> None:
    model = attached()
    x = gaussian(5, 16, 3)
    if how == "cast":
        model.to(torch.bfloat16)
        model(x.to(torch.bfloat16))
    else:
        with torch.autocast("cpu", torch.bfloat16):
            model(x)
    assert first(model).held_U is not None
    assert first(model).held_U.dtype == first(model).weight.dtype  # type: ignore[union-attr]


def test_a_step_under_autocast_leaves_u_and_its_files_as_they_were(tmp_path: Path) -> None:
    model = attached()
    perturb(trained(model), 0.1)
    before, x = first(model).U.clone(), gaussian(5, 16, 3)
    wanted = model(x)
    with torch.autocast("cpu", torch.bfloat16):
        model(x)
    assert torch.equal(first(model).U, before)
    assert torch.allclose(model(x), wanted, atol=1e-6)
    save_frod(model, tmp_path)
    torch.manual_seed(0)
    assert torch.allclose(
        load_frod(Mlp(), tmp_path, cache_dir=tmp_path / "c")(x), wanted, atol=1e-5
    )


def test_a_wrapper_that_casts_w_is_told_to_hold_u() -> None:
    model = attached()
    first(model).base_layer.to(torch.bfloat16)
    x = gaussian(5, 16, 3).to(torch.bfloat16)
    with pytest.raises(InputError, match="hold_U"):
        first(model)(x)
    model = attached()
    first(model).hold_U()
    first(model).base_layer.to(torch.bfloat16)
    assert torch.equal(first(model)(x), first(model).base_layer(x))


def test_another_base_that_is_loaded_keeps_the_update() -> None:
    model = attached()
    perturb(trained(model), 0.1)
    layer = first(model)
    update = layer.merged() - layer.weight
    state = model.state_dict()
    state["blocks.0.up.base_layer.weight"] = 3 * layer.weight
    model.load_state_dict(state)
    assert torch.allclose(layer.merged() - layer.weight, update, atol=1e-6)


def test_sides_do_not_share_an_entry_of_the_cache(tmp_path: Path) -> None:
    """A basis on the inputs of W, with P, and one on the outputs of W^T, with U."""
    weights = [gaussian(48, 16, seed) for seed in range(2)]
    for side in ("input", "smaller"):
        plain = nn.ModuleList(
            nn.Linear(48, 16) if side == "smaller" else nn.Linear(16, 48) for _ in weights
        )
        for module, weight in zip(plain, weights, strict=True):
            module.weight = nn.Parameter(weight.T.contiguous() if side == "smaller" else weight)
        config = FrodConfig(r"\d", shared_side=side)  # type: ignore[arg-type]
        adapted = attach_frod(plain, config, cache_dir=tmp_path)
        x = gaussian(3, plain[0].base_layer.in_features, 1)  # type: ignore[union-attr, arg-type]
        assert torch.equal(adapted[0](x), adapted[0].base_layer(x))  # type: ignore[index, operator, union-attr]
        assert adapted[0].is_on_inputs == (side == "input")  # type: ignore[index, union-attr]


# --- Half precision ------------------------------------------------------------------------------


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("change", [2e-4, 1e-2])
@pytest.mark.parametrize(
    "how",
    [
        *("bfloat16", "float16", "autocast, factored", "autocast, merged"),
        *("autocast, W of bfloat16", "autocast float16, W of float16", "autocast, loaded"),
    ],
)
def test_small_changes_survive_half_precision(how: str, change: float, transposed: bool) -> None:
    """The slope of what the layer adds on U C V^T x, in training and in evaluation, is near 1.

    Rounding W + U C V^T, or W x before U C V^T x is added, keeps 0.28 of a change of 5e-4 in
    bfloat16, and 0.12 of 2e-4. Rounding at random would leave the slope 1; of one W it makes an
    error of about 0.05, which more tokens do not lessen, so it is the mean over several.
    """
    torch.manual_seed(0)  # of the biases
    for training in (True, False):
        slopes = [slope_of(how, change, transposed, training, seed) for seed in range(1, 9)]
        assert sum(slopes) / len(slopes) == pytest.approx(1, abs=0.05)


def slope_of(how: str, change: float, transposed: bool, training: bool, seed: int) -> float:
    """The slope of what a layer with the W of `seed` adds on U C V^T x."""
    dtype = torch.float16 if "float16" in how.split() else torch.bfloat16
    width, tokens = 96, 40 if how == "autocast, factored" else 6000
    base: Any = Conv1D(width, width) if transposed else nn.Linear(width, width)
    base.weight = nn.Parameter(gaussian(width, width, seed))
    on_grid = base.weight.detach().to(dtype).float()
    if " W of " in how:  # held in float32
        base.weight = nn.Parameter(on_grid)
    model = nn.ModuleDict({"up": base if how.startswith("auto") else base.to(dtype)})
    adapted: FrodLinear = attach_frod(model, FrodConfig(["up"], 0.1), use_cache=False)["up"]  # type: ignore[assignment]
    if how == "autocast, loaded":
        adapted.load_state_dict(adapted.state_dict() | {"base_layer.weight": on_grid})
    with torch.no_grad():
        adapted.delta.copy_(change * adapted.lambda_0 * gaussian(1, width, 2)[0] * width**0.5)
    values = torch.cat([adapted.delta, adapted.rotation]).detach().double()
    core = torch.zeros(width**2, dtype=torch.float64)
    core = core.scatter(0, adapted.shared.pattern.indices, values).view(width, width)
    update = adapted.U.double() @ core @ adapted.shared.V.double().T
    adapted.train(training)
    slopes = []
    for batch in range(6000 // tokens):
        x = gaussian(tokens, width, 10 + batch).to(dtype)
        wanted = x.double() @ update.T
        with torch.set_grad_enabled(training), torch.autocast("cpu", dtype, how[:4] == "auto"):
            added = (adapted(x).double() - adapted.base_layer(x).double()).detach()
        slopes.append(float((added * wanted).sum() / wanted.square().sum()))
    return sum(slopes) / len(slopes)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows", [64, 96, 200])
@pytest.mark.parametrize("tokens", [40, 6000])
def test_weights_cast_once_under_autocast_give_the_same_step(
    monkeypatch: pytest.MonkeyPatch, tokens: int, rows: int, transposed: bool
) -> None:
    """Both forms, forward and backward, as if W and U were cast in each pass; W may change."""
    width = 96
    base: Any = Conv1D(rows, width) if transposed else nn.Linear(width, rows)
    base.weight = nn.Parameter(gaussian(*base.weight.shape, 1))
    model = nn.ModuleDict({"up": base})
    adapted: FrodLinear = attach_frod(model, FrodConfig(["up"], 0.1), use_cache=False)["up"]  # type: ignore[assignment]
    perturb(trained(adapted), 0.1)

    def step() -> list[Tensor]:
        x = gaussian(tokens, width, 3).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = adapted(x)
        sources = [x, adapted.delta, adapted.rotation]
        return [y.detach(), *torch.autograd.grad(y, sources, gaussian(tokens, rows, 4).to(y))]

    for change in (0.0, 0.5, 0.7):
        if change == 0.7:
            adapted.base_layer.weight.data += change  # no version counter tells
        else:
            with torch.no_grad():
                adapted.base_layer.weight.add_(change)
        found, again = step(), step()
        kept = adapted._stacked
        assert kept is not None
        assert kept[0].shape == (rows, 2 * width)
        assert all(map(torch.equal, found, again))
        with monkeypatch.context() as patch:
            patch.setattr(FrodLinear, "_stacked_once", lambda *_: None)
            wanted = step()
        for one, other in zip(found, wanted, strict=True):
            assert torch.linalg.vector_norm((one - other).double()) <= 4e-3 * other.norm()
    copied = copy.deepcopy(adapted)
    assert copied._stacked is None


# --- On an accelerator ---------------------------------------------------------------------------


class Synchronizations(TorchDispatchMode):
    """Counts what makes the host wait for a device."""

    WAITS = ("_local_scalar_dense", "equal", "nonzero", "is_nonzero", "item", "_to_cpu")

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in self.WAITS:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def train_four_steps(model: nn.Module, tokens: int, dtype: torch.dtype) -> Counter[str]:
    """Two micro-batches a step on the model's device; returns what the host waits for."""
    optimizer = torch.optim.SGD(trained(model), lr=0.1)
    counter = Synchronizations()
    for step in range(4):
        x = gaussian(tokens, 16, step).to(first(model).weight.device, dtype)
        with counter:
            for _ in range(2):
                model(x).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    return counter.counts


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [4, 500])
@pytest.mark.parametrize("compares", [False, True])
def test_a_training_step_on_an_accelerator_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, tokens: int, dtype: torch.dtype, compares: bool
) -> None:
    """Unlike a step that compares values, as on a CPU, which shows that waiting is noticed."""
    monkeypatch.setattr(layer_module, "compares_values", lambda _: compares)
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)  # smaller layers are not compared
    monkeypatch.setattr("frod_bench.frod.core.has_sparse_kernels", lambda *_: False)
    counts = train_four_steps(attached().to(dtype), tokens, dtype)
    assert bool(counts) == compares, counts


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [4, 500])
@pytest.mark.parametrize("compares", [False, True])
def test_a_training_step_on_an_accelerator_copies_nothing_to_the_host(
    monkeypatch: pytest.MonkeyPatch, tokens: int, dtype: torch.dtype, compares: bool
) -> None:
    """On the meta device, whose tensors have no values that could be read or copied elsewhere."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # it knows no meta device
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr(layer_module, "compares_values", lambda _: compares)
    monkeypatch.setattr(layer_module, "QUICKLY_FORMED", 0)
    model = attached().to(dtype).to("meta")
    if compares:
        with pytest.raises((RuntimeError, NotImplementedError), match=r"[Mm]eta"):
            train_four_steps(model, tokens, dtype)
        with pytest.raises(NotImplementedError, match="meta"):
            first(model).delta.cpu()
    else:
        train_four_steps(model, tokens, dtype)


class Counted(dict):  # type: ignore[type-arg]
    """Counts how often something is put into it."""

    written = 0

    def __setitem__(self, key: Any, value: Any) -> None:
        self.written += 1
        super().__setitem__(key, value)


@pytest.mark.parametrize("tokens", [4, 500])
def test_v_is_cast_once_a_category_under_autocast(tokens: int) -> None:
    model = attached()
    layers = [module for module in model.modules() if isinstance(module, FrodLinear)]
    bases = {layer.shared.category: layer.shared for layer in layers}
    for shared in bases.values():
        shared._casts = Counted()
    optimizer = torch.optim.SGD(trained(model), lr=0.1)
    for step in range(3):
        with torch.autocast("cpu", torch.bfloat16):
            model(gaussian(tokens, 16, step)).square().mean().backward()
        optimizer.step()
    assert len(layers) == 6
    assert [shared._casts.written for shared in bases.values()] == [1, 1]  # type: ignore[attr-defined]
    for shared in bases.values():
        cast, scale = shared.V_in(torch.bfloat16)
        assert cast is shared.V_in(torch.bfloat16)[0]
        assert scale == 1
        assert torch.equal(cast, shared.V.bfloat16())


@pytest.mark.parametrize("write", ["optimizer", "in place"])
def test_without_comparing_values_a_change_is_noticed(
    monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    monkeypatch.setattr(layer_module, "compares_values", lambda _: False)
    layer = first(attached())
    before = layer.merged()
    assert layer.merged() is before
    optimizer = torch.optim.AdamW([layer.delta, layer.rotation], lr=0.1, fused=True)
    layer(gaussian(4, 16, 0)).square().sum().backward()
    if write == "optimizer":
        optimizer.step()
    else:
        with torch.no_grad():
            layer.rotation.add_(0.1)
    assert not torch.equal(layer.merged(), before)


def set_capturing(patch: pytest.MonkeyPatch, captures: bool) -> None:
    """Let torch say that a CUDA graph captures what follows, or that none does."""
    patch.setattr(torch.cuda, "is_initialized", lambda: True)
    patch.setattr(torch.cuda, "is_current_stream_capturing", lambda: captures)


def kept_by(layer: FrodLinear) -> list[object]:
    """What a layer and its category keep from one call to the next."""
    kept = {name: formed for name, (formed, _) in layer._kept.items()}
    return [kept, dict(layer.shared._casts), layer.held_U, layer._has_moved]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("tokens", [4, 500])
def test_what_a_cuda_graph_captures_is_neither_taken_from_before_nor_kept(
    monkeypatch: pytest.MonkeyPatch, tokens: int, autocast: bool, training: bool
) -> None:
    """A replay must see values that changed since, and memory of a graph is its own."""
    monkeypatch.setattr(layer_module, "compares_values", lambda _: False)
    layers = [attached().train(training).blocks[0][name] for name in ("up", "down")]
    for layer in layers:
        x = gaussian(tokens, layer.in_features, 1)

        def run(layer: FrodLinear = layer, x: Tensor = x) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, autocast), torch.set_grad_enabled(training):
                return layer(x).detach().float()

        cold = kept_by(layer)
        set_capturing(monkeypatch, True)
        run()
        assert kept_by(layer) == cold
        set_capturing(monkeypatch, False)
        before = run()  # as the warm-up does
        warm = kept_by(layer)
        set_capturing(monkeypatch, True)
        layer.delta.data.add_(layer.lambda_0)  # unseen by version counters, as a replay's steps are
        assert float((run() - before).abs().max()) > 0.1
        assert kept_by(layer) == warm


def test_after_a_captured_step_nothing_that_was_formed_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Replays of an optimizer's step move values, and leave hooks and version counters alone."""
    monkeypatch.setattr(layer_module, "compares_values", lambda _: False)
    monkeypatch.setattr(layer_module, "_steps", Counter(layer_module._steps))
    layer = first(attached())
    optimizer = torch.optim.SGD([layer.delta], lr=0.1)
    with monkeypatch.context() as capture:
        set_capturing(capture, True)
        layer(gaussian(4, 16, 0)).square().sum().backward()
        optimizer.step()
    before = layer.merged()
    layer.delta.data.add_(layer.lambda_0)
    assert not torch.equal(layer.merged(), before)


# --- Weight decay --------------------------------------------------------------------------------


@pytest.mark.parametrize("to_zero", [False, True])
def test_weight_decay_draws_to_the_start_or_lambda_to_zero(to_zero: bool) -> None:
    model = attached()
    layer = first(model)
    optimizer = torch.optim.AdamW(trained(model), lr=0.01, weight_decay=0.5)
    if to_zero:
        decay_to_zero(model, optimizer)
    for parameter in trained(model):
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(3):
        optimizer.step()
    kept = (1 - 0.01 * 0.5) ** 3 if to_zero else 1
    assert torch.allclose(layer.lambda_, kept * layer.lambda_0)
    optimizer.zero_grad()
    optimizer.step()  # parameters without a gradient are left alone
    assert torch.allclose(layer.lambda_, kept * layer.lambda_0)


def test_decay_to_zero_refuses_an_optimizer_of_other_parameters() -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2))])
    with pytest.raises(InputError, match="no parameter of the adapter"):
        decay_to_zero(attached(), optimizer)


# --- In training stacks --------------------------------------------------------------------------


def test_a_layer_with_hooks_is_refused() -> None:
    model = Mlp()
    handle = model.blocks[1]["up"].register_forward_hook(lambda *_: None)  # type: ignore[index, union-attr, operator]
    with pytest.raises(InputError, match=r"'blocks\.1\.up' has hooks"):
        attach_frod(model, CONFIG, use_cache=False)
    handle.remove()
    add_hook_to_module(model.blocks[1]["up"], ModelHook())  # type: ignore[index, arg-type]
    with pytest.raises(InputError, match=r"'blocks\.1\.up' has hooks"):
        attach_frod(model, CONFIG, use_cache=False)
    remove_hook_from_module(model.blocks[1]["up"])  # type: ignore[index, arg-type]
    attach_frod(model, CONFIG, use_cache=False)


def test_values_that_are_assigned_take_effect() -> None:
    model, other = attached(), attached()
    perturb(trained(other), 0.1)
    x = gaussian(5, 16, 1)
    with torch.no_grad():
        before = model.eval()(x)
        model.load_state_dict(other.state_dict(), assign=True)
        assert not torch.equal(model(x), before)
        assert torch.equal(model(x), other.eval()(x))


def test_a_state_dict_with_lambda_is_read() -> None:
    model, other = attached(), attached()
    perturb(trained(other), 0.1)
    state = other.state_dict()
    for name, layer in other.named_modules():
        if isinstance(layer, FrodLinear):
            state[f"{name}.lambda_"] = state.pop(f"{name}.delta") + layer.lambda_0
    model.load_state_dict(state)
    assert torch.allclose(model(gaussian(5, 16, 1)), other(gaussian(5, 16, 1)), atol=1e-5)


@pytest.fixture
def precision() -> Iterator[None]:
    yield
    for backend in (torch.backends, torch.backends.mkldnn.matmul, torch.backends.cuda.matmul):
        backend.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")


@pytest.mark.usefixtures("precision")
def test_attaching_follows_torchs_new_switches_of_precision() -> None:
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    assert not float32_is_full(torch.device("cpu"))
    model = attached()
    x = gaussian(3, 16, 0)
    assert torch.equal(first(model)(x), first(model).base_layer(x))
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    assert float32_is_full(torch.device("cpu"))


def double_backward(layer: FrodLinear, x: Tensor) -> None:
    (gradient,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    gradient.sum().backward()


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (double_backward, "once_differentiable"),
        (lambda layer, x: torch.func.vmap(layer)(x), "functorch|vmap"),
        (lambda layer, x: torch.func.jvp(layer, (x,), (x,)), "forward|jvp|functorch"),
    ],
)
def test_what_is_impossible_is_refused_with_words(attempt: Any, words: str) -> None:
    layer = first(attached())
    with pytest.raises((RuntimeError, NotImplementedError), match=words):
        attempt(layer, gaussian(3, 16, 0).requires_grad_())


@pytest.mark.parametrize("how", ["float16", "autocast"])
def test_training_goes_on_after_half_precision_in_inference_mode(how: str) -> None:
    model = attached().half() if how == "float16" else attached()
    x = gaussian(3, 16, 0).to(torch.float16 if how == "float16" else torch.float32)
    with torch.autocast("cpu", torch.bfloat16, how == "autocast"):
        with torch.inference_mode():
            model(x)
        model(x).float().sum().backward()
    assert first(model).delta.grad is not None


def test_attaching_and_training_in_inference_mode_and_after() -> None:
    with torch.inference_mode():
        model = attached()
    x = gaussian(3, 16, 0)
    with torch.inference_mode():
        wanted = model(x)
    assert torch.allclose(model(x), wanted)
    assert merge_frod(model) is model
