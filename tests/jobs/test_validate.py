"""Checking the input of cells: what fits, what does not, and that nothing is left behind."""

from pathlib import Path

import pytest

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.jobs import known_fits, run
from frod_bench.training import runner
from tests.conftest import SHORT, MakeCell


def test_each_task_and_method_is_checked_once_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, "task=rte", "method=frozen,frod"]
    run.validate([*words, "seed=0,1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["rte/frozen/0", "rte/frod/0"]
    assert "64 rows of train" in lines[0]
    assert "(lambda, rotation, head)" in lines[1]
    assert list(tmp_path.iterdir()) == []


def test_each_backbone_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, "task=rte", "method=frozen", "seed=0"]
    run.validate([*words, "backbones.nlu.max_length=16,32"])
    assert len(capsys.readouterr().out.splitlines()) == 2


METHODS = sorted(file.stem for file in (CONF_DIR / "method").glob("*.yaml"))


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_accepts_every_method_of_the_suite(
    make_cell: MakeCell, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_fits, "cache_dir", lambda: tmp_path)  # what is kept is not asked
    run.check_methods([make_cell("task=rte", f"method={method}")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("task=boolq", "method=bitfit"), "method=bitfit: trains biases"),
        (("task=rte", "method=frod", "+method.learning_rates.x=1"), "no such parameter group"),
        (("task=rte", "method=lora", "+method.peft.target_modules=[nowhere]"), "'nowhere' matches"),
        (("task=rte", "method=lora", "+method.peft.rank=4"), "rank"),
        (("task=rte", "method=lora", "+method.peft.bias=some"), "bias: some, is not implemented"),
    ],
)
def test_a_plan_refuses_what_a_run_refuses(
    make_cell: MakeCell, words: tuple[str, ...], message: str
) -> None:
    cell = make_cell(*words)
    with pytest.raises(InputError, match=message) as planned:
        run.check_methods([cell])
    with pytest.raises(InputError) as executed:
        runner.execute(cell)
    assert str(planned.value) == str(executed.value)


def test_everything_that_cannot_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"results_root={tmp_path}/results", *SHORT, "task=rte,boolq", "method=bitfit"]
    with pytest.raises(InputError, match=r"1 of 2 cannot run: boolq/bitfit/0\."):
        run.validate(words)
    told = capsys.readouterr()
    assert told.out.startswith("rte/bitfit/0: ok;")
    assert "boolq/bitfit/0: method=bitfit: trains biases" in told.err
