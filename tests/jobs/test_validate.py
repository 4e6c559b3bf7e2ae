"""Checking the input of cells: what fits, what does not, and that nothing is left behind."""

from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.jobs import validate
from tests.conftest import SHORT


def test_each_task_and_method_is_checked_once_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, "task=rte", "method=frozen,frod"]
    validate.validate([*words, "seed=0,1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["rte/frozen/0", "rte/frod/0"]
    assert "64 rows of train" in lines[0]
    assert "(lambda, rotation, head)" in lines[1]
    assert list(tmp_path.iterdir()) == []


def test_everything_that_cannot_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, "task=rte,boolq", "method=bitfit"]
    with pytest.raises(InputError, match=r"1 of 2 cannot run: boolq/bitfit/0\."):
        validate.validate(words)
    told = capsys.readouterr()
    assert told.out.startswith("rte/bitfit/0: ok;")
    assert "boolq/bitfit/0: method=bitfit: trains biases" in told.err
