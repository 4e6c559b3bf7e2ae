"""Atomic writes: all of the new content or the old, and no temporary file is left."""

import threading
from pathlib import Path

import pytest

from frod_bench.common import atomic


def test_it_replaces_the_file_and_makes_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    for text in ("first", "zweite ä"):
        atomic.write_text(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(file.parent.iterdir()) == [file]


def test_a_writer_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    atomic.write_text(file, "old")
    with pytest.raises(TypeError), atomic.replacing(file) as partial:
        partial.write_text(None)  # type: ignore[arg-type]
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_it_has_the_permissions_of_a_file_made_as_usual(tmp_path: Path) -> None:
    usual, file = tmp_path / "usual", tmp_path / "a"
    usual.touch()
    with atomic.replacing(file) as partial:
        partial.chmod(0o600)
    assert file.stat().st_mode == usual.stat().st_mode


def test_writers_at_the_same_time_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    texts = [str(number) * 100_000 for number in range(4)]
    threads = [threading.Thread(target=atomic.write_text, args=(file, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]
