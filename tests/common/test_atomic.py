"""Atomic writes: all of the new content or the old, and no temporary file is left."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
    with ThreadPoolExecutor(len(texts)) as writers:
        for _ in range(20):
            list(writers.map(partial(atomic.write_text, file), texts))  # raises their errors
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]


def test_temporary_names_differ_also_between_machines() -> None:
    """Processes of two machines can have the same number, and the same past."""
    program = (
        "import os, time; os.getpid = lambda: 7; time.time_ns = time.monotonic_ns = lambda: 7\n"
        "from pathlib import Path; from frod_bench.common import atomic\n"
        "print(atomic.temporary(Path('a')))"
    )
    names = [subprocess.check_output([sys.executable, "-c", program]) for _ in range(2)]
    assert len(set(names)) == 2


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed from now on, in order, by the names of files and folders."""
    done: list[str] = []
    fsync, rename = os.fsync, os.replace

    def flush(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def replace(source: str, target: str) -> None:
        done.append(f"> {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", replace)
    return done


def test_a_file_and_new_folders_are_on_the_disk_once_it_is_written(
    tmp_path: Path, flushed: list[str]
) -> None:
    atomic.write_text(tmp_path / "a" / "b" / "file", "text")
    partial, *rest = flushed[2:]
    assert flushed[:2] == [tmp_path.name, "a"]  # they have the entries of a and b
    assert partial.endswith(".partial")
    assert rest == ["> file", "b"]
    flushed.clear()
    atomic.write_text(tmp_path / "a" / "b" / "file", "text")
    assert flushed[1:] == ["> file", "b"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO, errno.ENOSPC])
def test_a_file_system_may_be_unable_to_flush_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if number in (errno.EINVAL, errno.ENOTSUP):
        atomic.flush_folder(tmp_path)
        return
    with pytest.raises(OSError, match=os.strerror(number)):
        atomic.flush_folder(tmp_path)


def test_many_files_appear_in_order_once_all_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: list[str]
) -> None:
    monkeypatch.setattr(os, "sync", lambda: flushed.append("all"))
    with atomic.writing_many() as write:
        for name in "cab":
            write(tmp_path / "new" / name, name.encode())
        assert not [path for path in tmp_path.rglob("*") if path.name in "cab"]
    assert flushed == ["all", "> c", "> a", "> b", "all"]
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        name: name for name in "abc"
    }


def test_many_files_are_all_or_none(tmp_path: Path) -> None:
    def write_two() -> None:
        with atomic.writing_many() as write:
            write(tmp_path / "a", b"1")
            write(tmp_path / "a" / "below a file", b"2")

    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="a"):
        write_two()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b""]
