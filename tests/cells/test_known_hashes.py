"""Hashes of large files are kept, and only while the file is what it was."""

import hashlib
import os
from pathlib import Path

import pytest

from frod_bench.cells import known_hashes


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read, with a cache of its own; all count as large and settled."""
    read: list[Path] = []
    ours = known_hashes.hash_file
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(known_hashes, "LEAST_BYTES", 1)
    monkeypatch.setattr(known_hashes, "SETTLED_SEC", -1.0)
    monkeypatch.setattr(known_hashes, "hash_file", lambda path: read.append(path) or ours(path))
    return read


def digest(file: Path) -> str:
    """What a new process would say."""
    known_hashes._sha256.cache_clear()
    return known_hashes.sha256_of(file)


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert [digest(file), digest(file)] == [expected, expected]
    assert len(reads) == 1
    before = file.stat()
    file.write_bytes(b"WEIGHTS")  # of the same size, and with the old time of change
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digest(file) == hashlib.sha256(b"WEIGHTS").hexdigest()
    assert len(reads) == 2


def test_a_file_that_was_written_just_now_is_not_noted(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_hashes, "SETTLED_SEC", 3600.0)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    digest(file)
    digest(file)
    assert len(reads) == 2


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[1, 2]", b"\xff\xfe\x00", b'["x", 1, 2, 3, "0"]', b"[" * 100_000, b"null"],
)
def test_a_damaged_cache_is_as_good_as_none(tmp_path: Path, reads: list[Path], line: bytes) -> None:
    cache = tmp_path / "cache" / known_hashes.FILE
    cache.parent.mkdir()
    cache.write_bytes(line + b"\n")
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    expected = hashlib.sha256(b"weights").hexdigest()
    assert [digest(file), digest(file)] == [expected, expected]
    assert len(reads) == 1


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file in the folder's place")
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    assert digest(file) == digest(file) == hashlib.sha256(b"weights").hexdigest()
    assert len(reads) == 2
