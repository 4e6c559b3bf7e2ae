"""Bad input, systematically: one message with field and remedy, status 2, folder as before."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from frod_bench.cli.exits import exit_statuses
from tests.bad_input.case import Bad
from tests.bad_input.cases import ALL
from tests.conftest import RunHere

ANNOUNCED = ("planning", "measuring", "writing the synthetic data sets, once for all runs")


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every path below a folder, with its size and time of change."""
    found = {path: path.lstat() for path in folder.rglob("*")}
    return {
        str(path.relative_to(folder)): (0 if path.is_dir() else stat.st_size, stat.st_mtime_ns)
        for path, stat in found.items()
    }


def test_the_table_is_long_and_repeats_nothing() -> None:
    assert len(ALL) > 590
    labels = [bad.label for bad in ALL]
    assert sorted(set(labels)) == sorted(labels)
    assert all(bad.field and bad.remedy for bad in ALL)


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("bad", ALL, ids=lambda bad: bad.label)
def test_bad_input_is_one_message_with_status_two_and_leaves_the_folder_as_it_was(
    bad: Bad,
    tmp_path: Path,
    here: RunHere,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if bad.given is not None:
        bad.given(tmp_path, monkeypatch)
    before = tree(tmp_path)
    if isinstance(bad.what, str):
        words = shlex.split(bad.what.replace("{here}", str(tmp_path)))
        done = here("frod_bench", *words)
        status, out, err = done.returncode, done.stdout, done.stderr
    else:
        with pytest.raises(SystemExit) as ended, exit_statuses():
            bad.what(tmp_path)
        status, (out, err) = ended.value.code, capsys.readouterr()
    assert status == 2, err
    told = [line for line in err.splitlines() if not line.startswith(ANNOUNCED)]
    assert len(told) == 1, told
    assert told[0].startswith("error: ")
    _, field, rest = told[0].partition(bad.field.replace("{here}", str(tmp_path)))
    assert field, told[0]
    assert bad.remedy in rest, told[0]
    assert out == ""
    assert tree(tmp_path) == before


@pytest.mark.parametrize("words", [["run", "task=rtee"], ["-m", "frod_bench.compare", "rte"]])
def test_the_whole_process_ends_with_status_two(tmp_path: Path, words: list[str]) -> None:
    """The front door, and a module of a verb."""
    command = [sys.executable, *(words if words[0] == "-m" else ["-m", "frod_bench", *words])]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
