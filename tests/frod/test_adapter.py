"""Attaching, merging, taking off; bad input leaves the model as it was."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint
from torchvision.models.swin_transformer import ShiftedWindowAttention
from transformers.pytorch_utils import Conv1D

from frod_bench.common.errors import InputError
from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    frod_parameters,
    merge_frod,
    unmerge_frod,
)
from frod_bench.frod.targets import find_targets

from .helpers import Net, gaussian, perturb

CONFIG = FrodConfig(target_modules=["up", "down"], sparse_rate=0.1)
SMALLER = FrodConfig(target_modules=["up", "down"], sparse_rate=0.1, shared_side="smaller")
X = gaussian(7, 12, 1)


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained(model: nn.Module, size: float = 0.1) -> nn.Module:
    perturb([p for group in frod_parameters(model).values() for p in group], size)
    return model


@pytest.mark.parametrize(
    "config",
    [CONFIG, SMALLER, FrodConfig(["up", "down"], basis="peft")],
    ids=["input", "smaller", "peft"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_model_is_unchanged_at_step_0_bit_for_bit(
    tmp_path: Path, dtype: torch.dtype, config: FrodConfig
) -> None:
    model, x = Net().to(dtype), X.to(dtype)
    wanted = model(x)
    attach_frod(model, config, cache_dir=tmp_path)
    assert torch.equal(model(x), wanted)
    with torch.no_grad():
        assert torch.equal(model(x), wanted)


def test_without_the_cache_nothing_is_kept_and_nothing_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "unused"))
    wanted = attach_frod(Net(), CONFIG, cache_dir=tmp_path / "cache")
    for entry in (tmp_path / "cache").iterdir():
        entry.write_bytes(b"damaged")
    got = attach_frod(Net(), CONFIG, cache_dir=tmp_path / "cache", use_cache=False)
    attach_frod(Net(), CONFIG, use_cache=False)
    assert {entry.read_bytes() for entry in (tmp_path / "cache").iterdir()} == {b"damaged"}
    assert not (tmp_path / "unused").exists()
    assert torch.equal(trained(got)(X), trained(wanted)(X))


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_basis_does_not_depend_on_autocast_or_the_precision_of_products(
    tmp_path: Path, precision: str
) -> None:
    wanted = attach_frod(Net(), CONFIG, cache_dir=tmp_path / "one")
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            got = attach_frod(Net(), CONFIG, cache_dir=tmp_path / "other")
    finally:
        torch.set_float32_matmul_precision("highest")
    layers = [
        [module for module in model.modules() if isinstance(module, FrodLinear)]
        for model in (got, wanted)
    ]
    assert layers[0]
    for one, other in zip(*layers, strict=True):
        assert torch.allclose(one.U, other.U, rtol=0, atol=1e-6)


def test_attach_freezes_the_base_and_trains_lambda_and_rotation(tmp_path: Path) -> None:
    plain = Net()
    plain.head.requires_grad_(False)
    model = attach_frod(plain, CONFIG, cache_dir=tmp_path)
    groups = frod_parameters(model)
    wanted = {id(p) for group in groups.values() for p in group}
    assert {id(p) for p in model.parameters() if p.requires_grad} == wanted
    # three layers each of 12 -> 20 (nnz 14) and 20 -> 12 (nnz 40)
    assert sum(p.numel() for p in groups["lambda"]) == 3 * (12 + 20)
    assert sum(p.numel() for p in groups["rotation"]) == 3 * (14 + 40)


def test_basis_on_the_smaller_side_trains_fewer_values(tmp_path: Path) -> None:
    model = attach_frod(Net(), SMALLER, cache_dir=tmp_path)
    groups = frod_parameters(model)
    assert sum(p.numel() for p in groups["lambda"]) == 3 * (12 + 12)
    assert sum(p.numel() for p in groups["rotation"]) == 3 * (14 + 14)
    down = model.blocks[0].down
    assert (down.in_features, down.out_features) == (20, 12)
    assert down.shared.V.shape == (12, 12)


def test_basis_stays_on_the_inputs_where_the_layers_outputs_differ_in_number(
    tmp_path: Path,
) -> None:
    model = nn.ModuleList([nn.ModuleDict({"fc": nn.Linear(16, rows)}) for rows in (8, 8, 4)])
    attach_frod(model, FrodConfig(["fc"], shared_side="smaller"), cache_dir=tmp_path)
    assert [block["fc"].delta.numel() for block in model] == [16, 16, 16]
    model = nn.ModuleList([nn.ModuleDict({"fc": nn.Linear(16, 8)}) for _ in range(2)])
    attach_frod(model, FrodConfig(["fc"], shared_side="smaller"), cache_dir=tmp_path)
    assert [block["fc"].delta.numel() for block in model] == [8, 8]


def test_basis_is_held_once_a_category_also_after_copy_and_cast(tmp_path: Path) -> None:
    model = attach_frod(Net(), CONFIG, cache_dir=tmp_path)
    for other in (model, copy.deepcopy(model), copy.deepcopy(model).to(torch.float64)):
        layers = [module for module in other.modules() if isinstance(module, FrodLinear)]
        assert len(layers) == 6
        assert len({layer.shared.V.data_ptr() for layer in layers}) == 2


@pytest.mark.parametrize("config", [CONFIG, SMALLER], ids=["input", "smaller"])
def test_merge_keeps_the_outputs_and_leaves_plain_layers(
    tmp_path: Path, config: FrodConfig
) -> None:
    plain = Net()
    model = trained(attach_frod(copy.deepcopy(plain), config, cache_dir=tmp_path))
    wanted = model(X)
    assert not torch.allclose(wanted, plain(X), atol=1e-3)
    merged = merge_frod(model)
    assert merged is model
    assert torch.allclose(merged(X), wanted, atol=1e-5)
    assert [type(module) for module in merged.modules()] == [type(m) for m in plain.modules()]
    assert list(merged.state_dict()) == list(plain.state_dict())


def test_unmerge_restores_the_base_bit_for_bit(tmp_path: Path) -> None:
    plain = Net()
    before = state(plain)
    model = unmerge_frod(trained(attach_frod(plain, CONFIG, cache_dir=tmp_path)))
    after = state(model)
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    attach_frod(model, CONFIG, cache_dir=tmp_path)  # and it can be attached again


def test_gradient_checkpointing_gives_the_same_gradients(tmp_path: Path) -> None:
    model = trained(attach_frod(Net(), CONFIG, cache_dir=tmp_path))
    parameters = [p for group in frod_parameters(model).values() for p in group]
    wanted = torch.autograd.grad(model(X).sum(), parameters)
    y = X
    for block in model.blocks:
        y = checkpoint(block, y, use_reentrant=False)
    got = torch.autograd.grad(model.head(y).sum(), parameters)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


def test_targets_by_expression_and_by_dotted_suffix(tmp_path: Path) -> None:
    model = attach_frod(Net(), FrodConfig(r"blocks\.[01]\.up"), cache_dir=tmp_path)
    assert [n for n, m in model.named_modules() if isinstance(m, FrodLinear)] == [
        "blocks.0.up",
        "blocks.1.up",
    ]
    model = attach_frod(Net(), FrodConfig(["2.down"]), cache_dir=tmp_path)
    assert [n for n, m in model.named_modules() if isinstance(m, FrodLinear)] == ["blocks.2.down"]


@pytest.mark.parametrize(("rows", "shared_side"), [(20, "input"), (8, "smaller")])
def test_conv1d_is_adapted_as_the_linear_layer_that_it_is(
    tmp_path: Path, rows: int, shared_side: str
) -> None:
    conv, linear = nn.Sequential(Conv1D(rows, 12)), nn.Sequential(nn.Linear(12, rows))
    with torch.no_grad():
        linear[0].weight.copy_(conv[0].weight.T)
        linear[0].bias.copy_(conv[0].bias)
    for model in (conv, linear):
        config = FrodConfig(["0"], shared_side=shared_side)  # type: ignore[arg-type]
        trained(attach_frod(model, config, cache_dir=tmp_path))
    assert torch.allclose(conv(X), linear(X), atol=1e-6)
    wanted = conv(X)
    assert torch.allclose(merge_frod(conv)(X), wanted, atol=1e-6)
    assert conv[0].weight.shape == (12, rows)


def test_one_role_of_two_widths_is_two_categories(tmp_path: Path) -> None:
    model = nn.ModuleList([nn.ModuleDict({"fc": nn.Linear(width, 16)}) for width in (8, 8, 16)])
    attach_frod(model, FrodConfig(["fc"]), cache_dir=tmp_path)
    found = [m.shared.category for m in model.modules() if isinstance(m, FrodLinear)]
    assert found == ["fc@8", "fc@8", "fc@16"]


def test_a_layer_under_two_names_stays_one_layer(tmp_path: Path) -> None:
    layer = nn.Linear(4, 4)
    model = nn.ModuleDict({"fc": layer, "other": layer})
    attach_frod(model, FrodConfig(["fc"]), cache_dir=tmp_path)
    assert isinstance(model["fc"], FrodLinear)
    assert model["other"] is model["fc"]
    assert unmerge_frod(model)["other"] is layer


@pytest.mark.parametrize("how", ["the same parameter", "the same memory"])
def test_merging_a_tied_weight_is_refused_and_both_modules_left_alone(
    tmp_path: Path, how: str
) -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(12, 8), "fc": nn.Linear(8, 12, bias=False)})
    embedding = model["embed"].weight
    model["fc"].weight = embedding if how == "the same parameter" else nn.Parameter(embedding.data)
    before = embedding.detach().clone()
    trained(attach_frod(model, FrodConfig(["fc"]), cache_dir=tmp_path))
    adapted, x = model["fc"], gaussian(5, 8, 0)
    wanted = adapted(x)
    with pytest.raises(InputError, match=r"'fc' is tied to 'embed.weight'.*leave it out"):
        merge_frod(model)
    assert model["fc"] is adapted
    assert torch.equal(adapted(x), wanted)
    assert torch.equal(model["embed"].weight, before)
    assert unmerge_frod(model)["fc"].weight.data_ptr() == embedding.data_ptr()  # still tied
    assert torch.equal(model["embed"].weight, before)


def test_merging_beside_tied_weights_leaves_them_tied(tmp_path: Path) -> None:
    model = nn.ModuleDict({"embed": nn.Embedding(12, 8), "fc": nn.Linear(8, 8)})
    model["out"] = nn.Linear(8, 12, bias=False)
    model["out"].weight = model["embed"].weight
    before = model["embed"].weight.detach().clone()
    merge_frod(trained(attach_frod(model, FrodConfig(["fc"]), cache_dir=tmp_path)))
    assert model["out"].weight is model["embed"].weight
    assert torch.equal(model["embed"].weight, before)


def nan_model() -> nn.Module:
    model = Net()
    with torch.no_grad():
        model.blocks[1].up.weight[0, 0] = float("nan")
    return model


def attached_model() -> nn.Module:
    return attach_frod(Net(), CONFIG)


class Quantized(nn.Linear):
    """As quantized layers do: its own forward."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)


class Tripled(Conv1D):
    """A Conv1D whose own forward the adapted layer would not call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3 * super().forward(x)


def patched_model() -> nn.Module:
    """A layer whose forward was replaced in the instance, as some libraries do."""
    model = nn.Sequential(nn.Linear(4, 4))
    plain = model[0].forward
    model[0].forward = lambda x: 3 * plain(x)
    return model


class Packed(nn.Parameter):
    """As quantized weights do: a tensor that is another kind inside."""


def packed_model() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].weight = Packed(torch.ones(4, 4))
    return model


def swin() -> nn.Module:
    """It passes its layers' weights to a function."""
    return nn.Sequential(ShiftedWindowAttention(4, [2, 2], [0, 0], 2))


class CallsItsLayers(nn.TransformerEncoderLayer):
    """A subclass with a forward of its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return self.linear2(self.linear1(x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_that_are_called_are_adapted(batch_first: bool) -> None:
    """Torch's own without `batch_first`, for which it has no other path; a subclass always."""
    kind = CallsItsLayers if batch_first else nn.TransformerEncoderLayer
    model = kind(8, 2, 16, dropout=0.0, batch_first=batch_first)
    attach_frod(model, FrodConfig(["linear1", "linear2"], sparse_rate=0.1), use_cache=False)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    x = gaussian(5, 3, 1)[..., None].expand(5, 3, 8)
    with torch.no_grad():
        adapted = model.eval()(x)
        merged = merge_frod(model).eval()(x)
    torch.testing.assert_close(merged, adapted, rtol=1e-4, atol=1e-5)


def mixed_model() -> nn.Module:
    model = Net()
    model.blocks[1].up.to(torch.bfloat16)
    return model


def model_on_two_devices() -> nn.Module:
    model = Net()
    model.blocks[1].up.to("meta")  # every machine has it
    return model


@pytest.mark.parametrize(
    ("build", "targets", "words"),
    [
        (model_on_two_devices, ["up"], ["'blocks.1.up'", "on meta", "'blocks.0.up'", "on cpu"]),
        (packed_model, ["0"], ["'0'", "quantized"]),
        (lambda: nn.Sequential(weight_norm(nn.Linear(4, 4))), ["0"], ["'0'", "parametrized"]),
        (mixed_model, ["up"], ["'blocks.1.up'", "bfloat16", "'blocks.0.up'", "float32"]),
        (Net, ["upp"], ["target_modules", "'upp'", "Did you mean 'up'", "down"]),
        (Net, ["up", "quary"], ["'quary'", "Allowed"]),
        (Net, r".*\.upp", ["target_modules", "any layer", "up"]),
        (Net, ["blocks"], ["'blocks'", "ModuleList"]),
        (nan_model, ["up"], ["'blocks.1.up'", "NaN"]),
        (lambda: Net().to("meta"), ["up"], ["'blocks.0.up'", "meta"]),
        (attached_model, ["up"], ["already", "merge_frod"]),
        (lambda: nn.Sequential(Quantized(4, 4)), ["0"], ["'0'", "Quantized"]),
        (patched_model, ["0"], ["'0'", "a forward of its own", "del module.forward"]),
        (lambda: nn.Sequential(Tripled(4, 4)), ["0"], ["'0'", "Tripled", "class's forward"]),
        (lambda: nn.Sequential(weight_norm(Conv1D(4, 4))), ["0"], ["'0'", "parametrized"]),
        (lambda: nn.MultiheadAttention(4, 2), ["out_proj"], ["'out_proj'"]),
        (
            lambda: nn.TransformerEncoderLayer(4, 2, batch_first=True),
            ["linear1"],
            ["'linear1'", "not always called"],
        ),
        (swin, ["qkv"], ["'0.qkv'", "ShiftedWindowAttention"]),
    ],
)
def test_bad_target_is_refused_and_the_model_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build, targets, words: list[str]
) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))
    model = build()
    modules = list(model.modules())
    trains = [p.requires_grad for p in model.parameters()]
    with pytest.raises(InputError) as caught:
        attach_frod(model, FrodConfig(targets))
    assert isinstance(caught.value, ValueError)
    assert all(word in str(caught.value) for word in words), caught.value
    assert list(model.modules()) == modules
    assert [p.requires_grad for p in model.parameters()] == trains


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sparse_rate", 2),
        ("sparse_rate", -0.1),
        ("sparse_rate", float("nan")),
        ("sparse_rate", "0.1"),
        ("regularization", 0),
        ("regularization", -1e-3),
        ("regularization", 5e-324),
        ("regularization", float("inf")),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", True),
        ("basis", "exakt"),
        ("shared_side", "smallest"),
        ("target_modules", []),
        ("target_modules", ""),
        ("target_modules", "("),
        ("target_modules", [1]),
        ("target_modules", None),
    ],
)
def test_bad_setting_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        FrodConfig(**{"target_modules": ["up"], field: value})


def test_weights_that_cannot_be_factored_name_the_regularization() -> None:
    """A layer of zeros, with a pi that is zero in PEFT's float32."""
    model = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(8, 6)}) for _ in range(2))
    nn.init.zeros_(model[1]["fc"].weight)
    config = FrodConfig(["fc"], basis="peft", regularization=1e-100)
    with pytest.raises(InputError, match=r"'0\.fc' .* regularization=1e-100 .* larger"):
        attach_frod(model, config, use_cache=False)


def test_pefts_basis_on_another_side_is_refused() -> None:
    with pytest.raises(InputError, match=r"shared_side='smaller'.*basis='peft'.*basis='exact'"):
        FrodConfig(["up"], basis="peft", shared_side="smaller")


@pytest.mark.parametrize(
    ("outputs", "on_outputs"),
    [((8, 8), True), ((8, 4), False), ((8, 20), False), ((16, 16), False)],
)
def test_basis_is_on_outputs_that_are_fewer_and_equally_many(
    outputs: tuple[int, int], on_outputs: bool
) -> None:
    model = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(16, rows)}) for rows in outputs)
    (targets,) = find_targets(model, ["fc"], "smaller").values()
    assert [target.on_outputs for target in targets] == [on_outputs] * 2


@pytest.mark.parametrize("take_off", [merge_frod, unmerge_frod])
def test_taking_off_what_is_not_attached_is_refused(take_off) -> None:
    with pytest.raises(ValueError, match="not attached"):
        take_off(Net())
