"""The shipped backbones are the ones whose hashes were written with them."""

import json
from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.common.paths import SHIPPED_BACKBONES_DIR
from frod_bench.embedded.current import (
    BACKBONES,
    HASHES_FILE,
    file_hashes,
    verify_backbones,
)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder that looks like three built backbones."""
    for name in BACKBONES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
    (tmp_path / HASHES_FILE).write_text(json.dumps(file_hashes(tmp_path)))
    return tmp_path


def test_what_was_built_passes(built: Path) -> None:
    verify_backbones(built)


def test_a_changed_file_is_named(built: Path) -> None:
    (built / "vit" / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"vit/model\.safetensors"):
        verify_backbones(built)


def test_a_missing_file_is_named(built: Path) -> None:
    (built / "encoder" / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"encoder/model\.safetensors"):
        verify_backbones(built)


def test_a_file_without_a_hash_is_named(built: Path) -> None:
    (built / "decoder" / "pytorch_model.bin").write_bytes(b"smuggled in")
    with pytest.raises(InputError, match=r"decoder/pytorch_model\.bin"):
        verify_backbones(built)


def test_no_hashes_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        verify_backbones(tmp_path)


def test_the_shipped_backbones_are_unchanged_and_small() -> None:
    verify_backbones()
    files = [path for path in SHIPPED_BACKBONES_DIR.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 8 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt", ".jinja"}
