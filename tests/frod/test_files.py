"""Adapters as files, and the cache of bases: round trips, and what is refused."""

import copy
import hashlib
import json
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import nn

from frod_bench.common.errors import InputError
from frod_bench.frod import (
    FrodConfig,
    FrodLinear,
    attach_frod,
    frod_parameters,
    load_frod,
    save_frod,
    unmerge_frod,
)
from frod_bench.frod import adapter as adapter_module
from frod_bench.frod.core import draw_supports
from frod_bench.frod.files import SETTINGS_NAME, TENSORS_NAME
from frod_bench.frod.storage import basis_cache_dir, tensors_in

from .helpers import STACKS, Net, gaussian, perturb

CONFIG = FrodConfig(target_modules=["up", "down"], sparse_rate=0.1, seed=3)
SMALLER = FrodConfig(["up", "down"], sparse_rate=0.1, seed=3, shared_side="smaller")
X = gaussian(7, 12, 1)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def saved(tmp_path: Path, cache: Path) -> tuple[nn.Module, Path]:
    """A trained model, and the folder of its adapter."""
    model = attach_frod(Net(), CONFIG, cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter")
    return model, tmp_path / "adapter"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("from_cache", [False, True])
@pytest.mark.parametrize("config", [CONFIG, SMALLER], ids=["input", "smaller"])
def test_round_trip(
    tmp_path: Path, cache: Path, dtype: torch.dtype, from_cache: bool, config: FrodConfig
) -> None:
    model = attach_frod(Net().to(dtype), config, cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter")
    other = tmp_path / "other"
    base = Net().to(dtype)
    loaded = load_frod(base, tmp_path / "adapter", cache_dir=cache if from_cache else other)
    assert loaded is base
    assert torch.equal(loaded(X.to(dtype)), model(X.to(dtype)))
    assert not any(p.requires_grad for n, p in loaded.named_parameters() if "base_layer" in n)


def test_an_adapter_of_whole_names_is_loaded_beside_layers_that_end_alike(
    tmp_path: Path, cache: Path
) -> None:
    def base() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU()))

    model = attach_frod(base(), FrodConfig(r"0", sparse_rate=0.1), cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter")
    loaded = load_frod(base(), tmp_path / "adapter", cache_dir=cache)
    x = gaussian(3, 8, 1)
    assert torch.equal(loaded(x), model(x))
    assert isinstance(loaded[1][0], nn.Linear)  # type: ignore[index]
    with pytest.raises(InputError, match="adapts other layers than this model has: '0' is in only"):
        load_frod(nn.ModuleDict({"inner": base()}), tmp_path / "adapter", cache_dir=cache)


@pytest.mark.parametrize("basis", ["exact", "peft"])
def test_what_is_read_begins_where_torchs_own_memory_does(
    tmp_path: Path, cache: Path, basis: str
) -> None:
    """Some products round by where their operands begin: what is read must compute the same."""
    config = FrodConfig(["up", "down"], sparse_rate=0.1, basis=basis)
    model = attach_frod(Net(), config, cache_dir=cache)
    save_frod(model, tmp_path / "whole", include_basis=True)
    save_frod(model, tmp_path / "adapter")
    if basis == "peft":
        save_frod(model, tmp_path / "for_peft", format="peft")
    folders = [folder for folder in tmp_path.iterdir() if folder != cache]
    read = [load_frod(Net(), folder, cache_dir=cache) for folder in folders]
    for one in [model, attach_frod(Net(), config, cache_dir=cache), *read]:
        for layer in (module for module in one.modules() if isinstance(module, FrodLinear)):
            for tensor in (*layer.buffers(), layer.delta, layer.rotation):
                assert tensor.data_ptr() % 64 == 0


def test_tensors_of_a_file_are_the_readers_own(tmp_path: Path) -> None:
    content = save({name: gaussian(3, 5, 1) for name in ("a", "bb", "ccc")})
    for tensor in tensors_in(tmp_path / TENSORS_NAME, content).values():
        assert tensor.data_ptr() % 64 == 0
        assert torch.equal(tensor, gaussian(3, 5, 1))


def test_a_compiled_models_adapter_fits_the_plain_base(tmp_path: Path, cache: Path) -> None:
    model = attach_frod(Net(), CONFIG, cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(torch.compile(nn.DataParallel(model)), tmp_path / "adapter")
    loaded = load_frod(Net(), tmp_path / "adapter", cache_dir=cache)
    assert torch.equal(loaded(X), model(X))
    assert not torch.equal(loaded(X), Net()(X))


def test_names_in_files_do_not_change_with_those_of_the_code(tmp_path: Path, cache: Path) -> None:
    """Files that exist have them: adapters are read by name, and so are cached bases."""
    model = attach_frod(Net(width=8, hidden=24, blocks=2), CONFIG, cache_dir=cache)
    save_frod(model, tmp_path / "adapter", include_basis=True)
    layers = [f"blocks.{block}.{name}" for block in (0, 1) for name in ("up", "down")]
    shared = {f"{kind}.{name}" for kind in ("probe", "basis", "support") for name in ("up", "down")}
    trained = {f"{layer}.{kind}" for layer in layers for kind in ("delta", "rotation")}
    assert set(load_file(tmp_path / "adapter" / TENSORS_NAME)) == {"left_probes"} | shared | trained
    up, down = sorted((set(load_file(path)) for path in cache.iterdir()), key=len)
    both = {"basis_transposed", "scale.0", "scale.1"}
    assert up == both | {"inverse_transposed"}  # its layers hold no U
    assert down == both | {"left_transposed.0", "left_transposed.1"}


def test_files_have_the_rights_of_any_file(saved: tuple[nn.Module, Path], cache: Path) -> None:
    (cache / "other").touch()
    usual = (cache / "other").stat().st_mode
    assert {path.stat().st_mode for path in [*saved[1].iterdir(), *cache.iterdir()]} == {usual}


def test_adapter_is_as_large_as_what_is_trained_and_holds_no_basis(tmp_path: Path) -> None:
    config = FrodConfig(["up", "down"], sparse_rate=0.02)
    model = attach_frod(Net(width=128, hidden=256, blocks=12), config, cache_dir=tmp_path / "cache")
    count = sum(p.numel() for group in frod_parameters(model).values() for p in group)
    save_frod(model, tmp_path / "adapter")
    paths = sorted((tmp_path / "adapter").iterdir())
    assert [path.name for path in paths] == [SETTINGS_NAME, TENSORS_NAME]
    assert sum(path.stat().st_size for path in paths) < 1.15 * 4 * count  # 1.003 at RoBERTa-large


def test_adapter_from_before_there_was_a_side_is_on_the_inputs(
    saved: tuple[nn.Module, Path], cache: Path
) -> None:
    path = saved[1] / SETTINGS_NAME
    settings = json.loads(path.read_text())
    assert settings["config"].pop("shared_side") == "input"
    path.write_text(json.dumps(settings))
    assert torch.equal(load_frod(Net(), saved[1], cache_dir=cache)(X), saved[0](X))


@pytest.mark.parametrize("include_basis", [False, True])
def test_unmerging_what_was_loaded_gives_the_base_bit_for_bit(
    tmp_path: Path, saved: tuple[nn.Module, Path], cache: Path, include_basis: bool
) -> None:
    save_frod(saved[0], tmp_path / "again", include_basis=include_basis)
    loaded = unmerge_frod(load_frod(Net(), tmp_path / "again", cache_dir=cache))
    pairs = zip(loaded.state_dict().items(), Net().state_dict().items(), strict=True)
    assert all(one == other and torch.equal(a, b) for (one, a), (other, b) in pairs)


LOAD_ELSEWHERE = """
import sys, torch
torch.set_num_threads(int(sys.argv[1]))
from safetensors.torch import save_file
from frod_bench.frod import load_frod
from tests.frod.helpers import Net, gaussian
model = load_frod(Net(width=96, hidden=160), sys.argv[2], cache_dir=sys.argv[3])
save_file({"y": model(gaussian(7, 96, 1)).detach()}, sys.argv[4])
"""


def test_saved_by_one_thread_loaded_by_two_in_another_process(tmp_path: Path, cache: Path) -> None:
    torch.set_num_threads(1)  # as the tests are run anyway
    model = attach_frod(Net(width=96, hidden=160), CONFIG, cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter")
    out = tmp_path / "y.safetensors"
    words = ["2", str(tmp_path / "adapter"), str(tmp_path / "fresh"), str(out)]
    subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE, *words],
        check=True, timeout=120, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert torch.allclose(load_file(out)["y"], model(gaussian(7, 96, 1)), atol=1e-5)


def refused(model: nn.Module, folder: Path, cache: Path) -> str:
    """The message of the refusal; the model must be as it was."""
    modules = list(model.modules())
    with pytest.raises(InputError) as caught:
        load_frod(model, folder, cache_dir=cache)
    assert list(model.modules()) == modules
    assert all(p.requires_grad for p in model.parameters())
    return str(caught.value)


def test_another_base_is_refused(saved: tuple[nn.Module, Path], cache: Path) -> None:
    assert "another base" in refused(Net(seed=1), saved[1], cache)
    assert "another base" in refused(Net().double(), saved[1], cache)
    assert "other layers" in refused(Net(blocks=4), saved[1], cache)


def test_another_basis_is_refused(
    saved: tuple[nn.Module, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column's sign, the least that roundoff could change in a basis without a rule for it."""
    exact = adapter_module.exact_basis

    def flipped(*arguments, **options):
        factors = exact(*arguments, **options)
        factors.V[:, 0] *= -1
        return factors

    with_basis = tmp_path / "with_basis"
    save_frod(saved[0], with_basis, include_basis=True)
    monkeypatch.setattr(adapter_module, "exact_basis", flipped)
    message = refused(Net(), saved[1], tmp_path / "fresh")
    assert "probe" in message
    assert "include_basis=True" in message
    loaded = load_frod(Net(), with_basis, cache_dir=tmp_path / "fresh")
    assert torch.allclose(loaded(X), saved[0](X), atol=1e-5)


def test_another_u_in_the_same_basis_is_refused(
    saved: tuple[nn.Module, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = adapter_module.exact_basis

    def moved(*arguments, **options):
        factors = exact(*arguments, **options)
        factors.U[1][:] = factors.U[1].roll(1, dims=1)
        return factors

    monkeypatch.setattr(adapter_module, "exact_basis", moved)
    assert "U of 'blocks.1." in refused(Net(), saved[1], tmp_path / "fresh")


def test_another_support_is_refused_unless_it_is_in_the_folder(
    saved: tuple[nn.Module, Path], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_basis = tmp_path / "with_basis"
    save_frod(saved[0], with_basis, include_basis=True)
    monkeypatch.setattr(
        adapter_module, "draw_supports", lambda widths, rate, seed: draw_supports(widths, rate, 99)
    )
    assert "support of" in refused(Net(), saved[1], cache)
    loaded = load_frod(Net(), with_basis, cache_dir=cache)
    assert torch.allclose(loaded(X), saved[0](X), atol=1e-5)


@pytest.mark.parametrize("config", [CONFIG, SMALLER], ids=["input", "smaller"])
def test_stored_basis_is_read_and_not_computed(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, config: FrodConfig
) -> None:
    model = attach_frod(Net(), config, cache_dir=cache)
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "without_basis")
    save_frod(model, tmp_path / "with_basis", include_basis=True)

    def fail(*arguments, **options):
        raise AssertionError("factored again")

    monkeypatch.setattr(adapter_module, "exact_basis", fail)
    loaded = load_frod(Net(), tmp_path / "with_basis", cache_dir=tmp_path / "fresh")
    assert torch.allclose(loaded(X), model(X), atol=1e-5)
    with pytest.raises(AssertionError, match="factored again"):
        load_frod(Net(), tmp_path / "without_basis", cache_dir=tmp_path / "fresh")


def test_stored_basis_of_bad_condition_is_computed_again(tmp_path: Path) -> None:
    """V rounded to float32 does not give U back where its condition is 1e8; the probe tells."""

    def base() -> nn.Module:
        model = nn.ModuleList(nn.ModuleDict({"fc": nn.Linear(32, 24)}) for _ in range(5))
        with torch.no_grad():
            for index, (block, weight) in enumerate(
                zip(model, STACKS["badly_conditioned"](), strict=True)
            ):
                block["fc"].weight.copy_(weight)
                block["fc"].bias.fill_(index)
        return model

    config = FrodConfig(["fc"], sparse_rate=0.1)
    model = attach_frod(base(), config, cache_dir=tmp_path / "cache")
    perturb([p for group in frod_parameters(model).values() for p in group], 0.1)
    save_frod(model, tmp_path / "adapter", include_basis=True)
    loaded = load_frod(base(), tmp_path / "adapter", cache_dir=tmp_path / "fresh")
    x = gaussian(9, 32, 1)
    for one, other in zip(loaded, model, strict=True):
        assert torch.allclose(one["fc"](x), other["fc"](x), atol=1e-5)


def test_unknown_format_is_refused(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"format='pfet'.*Did you mean 'peft'"):
        save_frod(saved[0], tmp_path / "other", format="pfet")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", [SETTINGS_NAME, TENSORS_NAME])
def test_missing_and_truncated_files_are_refused(
    saved: tuple[nn.Module, Path], cache: Path, name: str
) -> None:
    path = saved[1] / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "damaged" in refused(Net(), saved[1], cache)
    path.unlink()
    assert name in refused(Net(), saved[1], cache)


def test_another_schema_is_refused(saved: tuple[nn.Module, Path], cache: Path) -> None:
    path = saved[1] / SETTINGS_NAME
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"schema_version": 99}))
    assert "schema_version" in refused(Net(), saved[1], cache)
    path.write_text(json.dumps(settings | {"config": {"target_module": ["up"]}}))
    assert "target_module" in refused(Net(), saved[1], cache)


def test_an_adapter_that_stores_lambda_is_read(saved: tuple[nn.Module, Path], cache: Path) -> None:
    """As versions before 0.3 wrote it: lambda, to one unit in its last place, and schema 2."""
    lambdas = {
        f"{name}.lambda": layer.lambda_.detach()
        for name, layer in saved[0].named_modules()
        if isinstance(layer, FrodLinear)
    }
    tensors = load_file(saved[1] / TENSORS_NAME)
    rewrite(saved[1], {k: v for k, v in tensors.items() if ".delta" not in k} | lambdas, 2)
    assert torch.allclose(load_frod(Net(), saved[1], cache_dir=cache)(X), saved[0](X), atol=1e-6)


def rewrite(folder: Path, tensors: dict[str, torch.Tensor], schema_version: int = 3) -> None:
    """Write other tensors into a folder, with the checksum that fits them."""
    content = save(tensors)
    (folder / TENSORS_NAME).write_bytes(content)
    path = folder / SETTINGS_NAME
    changed = {
        "schema_version": schema_version,
        "tensors_sha256": hashlib.sha256(content).hexdigest(),
    }
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


NAN = float("nan")
BAD_TENSORS: dict[str, tuple[str, Callable[[torch.Tensor], torch.Tensor | None], str]] = {
    "delta missing": ("blocks.0.up.delta", lambda _: None, "is missing"),
    "delta of one value": ("blocks.0.up.delta", lambda _: torch.ones(1), "has shape (1,)"),
    "delta NaN": ("blocks.0.up.delta", lambda t: t * NAN, "has NaN or infinite values"),
    "delta of integers": ("blocks.0.up.delta", lambda t: t.long(), "is torch.int64"),
    "S of other size": ("blocks.1.up.rotation", lambda t: t[1:].clone(), "has shape"),
    "delta of eight bits": (
        "blocks.0.up.delta",
        lambda t: t.to(torch.float8_e4m3fn),
        "is torch.float8_e4m3fn",
    ),
    "S infinite": ("blocks.1.up.rotation", lambda t: t / 0, "has NaN or infinite values"),
    "probes of U missing": ("left_probes", lambda _: None, "is missing"),
    "probes of U cut": ("left_probes", lambda t: t[:-1].clone(), "has shape"),
    "probe of V missing": ("probe.up", lambda _: None, "is missing"),
    "probe of V NaN": ("probe.up", lambda t: t * NAN, "has NaN or infinite values"),
    "V missing": ("basis.up", lambda _: None, "is missing"),
    "V of other shape": ("basis.up", lambda t: t[:, :1].clone(), "has shape"),
    "V of integers": ("basis.up", lambda t: t.long(), "is torch.int64"),
    "support missing": ("support.up", lambda _: None, "is missing"),
    "support of floats": ("support.up", lambda t: t.float(), "is torch.float32"),
    "support of other shape": ("support.up", lambda t: t[:-1].clone(), "has shape"),
    "support outside": ("support.up", lambda t: t + 10**6, "has entries outside"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_tensors_that_do_not_fit_are_refused(tmp_path: Path, cache: Path, case: str) -> None:
    """The message names the file and the tensor, although the checksum fits."""
    save_frod(attach_frod(Net(), CONFIG, cache_dir=cache), tmp_path / "bad", include_basis=True)
    name, change, words = BAD_TENSORS[case]
    tensors = load_file(tmp_path / "bad" / TENSORS_NAME)
    changed = change(tensors.pop(name))
    rewrite(tmp_path / "bad", tensors if changed is None else tensors | {name: changed})
    message = refused(Net(), tmp_path / "bad", cache)
    assert str(tmp_path / "bad" / TENSORS_NAME) in message
    assert f"{name!r} {words}" in message


FIRST = "blocks.0.up"
WHOLE = {"category": "up", "weight_sha256": "0"}
# What is changed, and the words that follow the file's name.
BAD_SETTINGS = {
    "empty": ("", " is truncated or damaged"),
    "too deep": ("[" * 100_000, " is truncated or damaged"),
    "a list": ("[]", ": schema_version must be one of"),
    "null": ("null", ": schema_version must be one of"),
    "no layers": ({"layers": None}, ": layers=None must be a mapping"),
    "a list of layers": ({"layers": [1]}, ": layers=[1] must be a mapping"),
    "a layer of another kind": (
        {"layers": {FIRST: 3}},
        f": layers['{FIRST}']['category']=None must be a text",
    ),
    "a layer without its weight": (
        {"layers": {FIRST: {"category": "up"}}},
        f": layers['{FIRST}']['weight_sha256']=None must be a text",
    ),
    "supports of another kind": ({"supports": 3}, ": supports=3 must be a mapping"),
    "no support": (
        {"layers": {FIRST: WHOLE}, "supports": {}},
        ": supports['up']=None must be a text",
    ),
    "a support of another kind": (
        {"layers": {FIRST: WHOLE}, "supports": {"up": [1]}},
        ": supports['up']=[1] must be a text",
    ),
    "config of another kind": ({"config": []}, ": config=[] must be a mapping"),
    "no targets": ({"config": {}}, ": config: FrodConfig.__init__() missing 1 required"),
    "rate out of range": (
        {"config": {"target_modules": ["up"], "sparse_rate": 7}},
        ": config: sparse_rate=7 is out of range",
    ),
    "rate of 400 digits": (
        {"config": {"target_modules": ["up"], "sparse_rate": 10**400}},
        ": config: sparse_rate=1000",
    ),
    "regularization without a reciprocal": (
        {"config": {"target_modules": ["up"], "regularization": 5e-324}},
        ": config: regularization=5e-324 is out of range",
    ),
    "basis stored or not": (
        {"include_basis": "yes"},
        ": include_basis='yes' must be true or false",
    ),
    "no checksum": ({"tensors_sha256": None}, ": tensors_sha256=None must be a text"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_settings_that_do_not_fit_are_refused(
    saved: tuple[nn.Module, Path], cache: Path, case: str
) -> None:
    change, words = BAD_SETTINGS[case]
    path = saved[1] / SETTINGS_NAME
    content = change
    if not isinstance(change, str):
        content = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(content)
    assert refused(Net(), saved[1], cache).startswith(f"{path}{words}")


def same_factors(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.modules(), other.modules(), strict=True)
    return all(
        torch.equal(a.U, b.U)
        and torch.equal(a.lambda_0, b.lambda_0)
        and torch.equal(a.shared.V, b.shared.V)
        for a, b in pairs
        if isinstance(a, FrodLinear)
    )


def test_second_attaching_reads_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = attach_frod(Net(), CONFIG, cache_dir=cache)
    assert len(list(cache.iterdir())) == 2  # one entry a category, nothing left beside them

    def fail(*arguments, **options):
        raise AssertionError("factored again")

    monkeypatch.setattr(adapter_module, "exact_basis", fail)
    # neither the support's seed nor its size is part of the basis
    second = attach_frod(Net(), FrodConfig(["up", "down"], 0.5, seed=9), cache_dir=cache)
    assert same_factors(first, second)
    for other in (FrodConfig(["up"], regularization=1e-2), FrodConfig(["up"], basis="peft")):
        if other.basis == "exact":
            with pytest.raises(AssertionError, match="factored again"):
                attach_frod(Net(), other, cache_dir=cache)
        else:
            attach_frod(Net(), other, cache_dir=cache)
            assert len(list(cache.iterdir())) == 3
    with pytest.raises(AssertionError, match="factored again"):
        attach_frod(Net(seed=1), CONFIG, cache_dir=cache)
    # of `up`, 12 -> 20, the inputs are the smaller side; of `down` the transposes are factored
    attach_frod(Net(), FrodConfig(["up"], shared_side="smaller"), cache_dir=cache)
    with pytest.raises(AssertionError, match="factored again"):
        attach_frod(Net(), FrodConfig(["down"], shared_side="smaller"), cache_dir=cache)


def test_roundoff_of_pefts_basis_is_not_shared_between_numbers_of_threads(cache: Path) -> None:
    threads = torch.get_num_threads()
    try:
        for entries, count in ((1, 1), (2, 2), (2, 1)):
            torch.set_num_threads(count)
            attach_frod(Net(), FrodConfig(["up"], basis="peft"), cache_dir=cache)
            assert len(list(cache.iterdir())) == entries
    finally:
        torch.set_num_threads(threads)


def reshape(path: Path) -> None:
    """Give the tensors other shapes, and leave the checksum as it was."""
    with safe_open(path, framework="pt") as entry:
        metadata = entry.metadata()
    tensors = {name: tensor.reshape(2, -1) for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "header cut short": lambda content: content[:5],
    "names cut short": lambda content: content[:100],
    "values cut short": lambda content: content[: len(content) // 2],
    "last byte lost": lambda content: content[:-1],
    "flipped": lambda content: content[:-3] + bytes([content[-3] ^ 64]) + content[-2:],
    "empty": lambda content: b"",
    "foreign": lambda content: b"not a tensor file at all",
}


@pytest.mark.parametrize("damage", [*DAMAGES, "reshaped", "exchanged", "a folder"])
def test_damaged_entry_is_made_again(
    cache: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = attach_frod(Net(), CONFIG, cache_dir=cache)
    up, down = cache.iterdir()
    if damage == "exchanged":  # each whole, with the shapes of the other
        up.rename(cache / "held")
        down.rename(up)
        (cache / "held").rename(down)
    for path in (up, down):
        if damage == "reshaped":
            reshape(path)
        elif damage == "a folder":
            path.unlink()
            path.mkdir()
        elif damage in DAMAGES:
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert same_factors(first, attach_frod(Net(), CONFIG, cache_dir=cache))
    assert caplog.text.count("computing it again") == 2
    if damage == "a folder":
        return  # not ours to remove
    caplog.clear()
    attach_frod(Net(), CONFIG, cache_dir=cache)
    assert caplog.text == ""  # the entries were mended


def test_concurrent_writers_leave_one_whole_entry(cache: Path) -> None:
    models = [Net() for _ in range(6)]
    threads = [
        threading.Thread(target=attach_frod, args=(model, CONFIG), kwargs={"cache_dir": cache})
        for model in models
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_factors(models[0], model) for model in models[1:])
    assert len(list(cache.iterdir())) == 2


def test_cache_that_cannot_be_written_costs_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    model = attach_frod(copy.deepcopy(Net()), CONFIG, cache_dir=blocked)
    assert torch.equal(model(X), Net()(X))
    assert caplog.text.count("not cached") == 1


@contextmanager
def file_limit(limit_bytes: int) -> Iterator[None]:
    """A disk that is full after so many bytes a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_costs_only_the_cache_and_is_reported_once(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with file_limit(100):
        model = attach_frod(Net(), CONFIG, cache_dir=cache)
        attach_frod(Net(), CONFIG, cache_dir=cache)
    assert torch.equal(model(X), Net()(X))
    (message,) = caplog.messages
    assert f"not cached: {cache} cannot be written" in message
    assert list(cache.iterdir()) == []
    attach_frod(Net(), CONFIG, cache_dir=cache)
    assert len(list(cache.iterdir())) == 2  # there is room again


def test_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert basis_cache_dir(tmp_path) == tmp_path
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))
    assert basis_cache_dir() == tmp_path / "frod_basis"
    monkeypatch.delenv("FROD_BENCH_CACHE")
    assert basis_cache_dir().name == "frod_basis"
