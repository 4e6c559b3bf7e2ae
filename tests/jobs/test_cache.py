"""`frod-bench cache`: what it lists, what it removes, what it leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frod_bench import __main__ as front
from frod_bench.common.paths import cache_dir
from frod_bench.frod import FrodConfig, attach_frod
from frod_bench.frod.storage import basis_cache_dir
from frod_bench.jobs import ls
from tests.frod.helpers import Net


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two bases, a writer's remains, and a folder of another kind beside them."""
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))
    attach_frod(Net(), FrodConfig(["up", "down"]))
    (basis_cache_dir() / "x.partial").write_bytes(b"half")
    (tmp_path / "embedded_mirror").mkdir()
    (tmp_path / "embedded_mirror" / "data.parquet").write_bytes(b"data")
    return tmp_path


def frod_bench(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["frod-bench", *words])
    front.main()


def test_entries_are_listed_the_oldest_first(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = sorted(basis_cache_dir().glob("*.safetensors"))
    os.truncate(old, 2_500_000)
    os.utime(old, (0, 86400 * 365.5))  # noon, so that the day is the same in most time zones
    frod_bench(monkeypatch, "cache")
    first, second, total = capsys.readouterr().out.splitlines()
    assert first.split() == ["1971-01-01", first.split()[1], "2.5", "MB", old.stem]
    assert second.endswith(new.stem)
    assert total == f"2 entries, 2.5 MB, in {basis_cache_dir()}"


def test_clear_removes_the_bases_and_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (basis_cache_dir() / "notes.txt").write_text("mine")
    frod_bench(monkeypatch, "cache", "clear")
    assert "2 entries" in capsys.readouterr().out
    assert [path.name for path in basis_cache_dir().iterdir()] == ["notes.txt"]
    assert (cache / "embedded_mirror" / "data.parquet").exists()
    frod_bench(monkeypatch, "cache")
    assert capsys.readouterr().out.startswith("0 entries")


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FROD_BENCH_CACHE", "~/cache")
    assert cache_dir() == tmp_path / "cache"


def test_a_cache_that_was_never_written_has_no_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "nowhere"))
    for words in (["cache"], ["cache", "clear"]):
        frod_bench(monkeypatch, *words)
        assert "0 entries" in capsys.readouterr().out
    assert not (tmp_path / "nowhere").exists()


def test_another_action_is_refused_with_status_2(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        frod_bench(monkeypatch, "cache", "claer")
    assert caught.value.code == 2
    assert "'claer'" in capsys.readouterr().err
    assert len(ls.find_entries(basis_cache_dir())) == 2


def test_what_cannot_be_removed_is_told_with_status_1(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SystemExit, match=r"Permission denied.*FROD_BENCH_CACHE"):
        frod_bench(monkeypatch, "cache", "clear")


def test_the_folder_is_the_one_that_attaching_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("/somewhere", ""):
        monkeypatch.setenv("FROD_BENCH_CACHE", value)
        assert ls.cache_dir() / ls.BASES == basis_cache_dir()


def test_neither_torch_nor_hydra_is_imported() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['frod-bench', 'cache']\n"
        "from frod_bench.__main__ import main\n"
        "main()\n"
        "sys.exit(bool({'torch', 'hydra'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=240).returncode == 0


def test_every_other_command_line_is_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from frod_bench.jobs import run

    seen: list[list[str]] = []
    monkeypatch.setattr(run, "run", seen.append)
    frod_bench(monkeypatch, "task=rte", "method=frod")
    frod_bench(monkeypatch, "run", "-m", "task=rte")
    assert seen == [["task=rte", "method=frod"], ["-m", "task=rte"]]
