"""Jobs of Slurm: batch files that sbatch understands, nothing submitted twice, and the whole way
with processes that stand for jobs. The grammar is that of a real Slurm (`sbatch_options.json`).
"""

import json
import os
import re
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from frod_bench.cells import results
from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.cells.results import Outcome
from frod_bench.common import locks
from frod_bench.common.errors import Detached, InputError
from frod_bench.config.settings import LauncherConfig, RuntimeConfig
from frod_bench.sweep import engines, job_list, launch, submitit_engine
from frod_bench.sweep.batches import Needs
from frod_bench.sweep.watch import Watch
from frod_bench.sweep.workers import Work
from tests.conftest import SHORT, RunHere

pytest.importorskip("submitit")

GRAMMAR = json.loads(Path(__file__).with_name("sbatch_options.json").read_text(encoding="utf-8"))
SBATCH = """
cp "$1" "{folder}/$(ls {folder} | wc -l).sh"
echo "Submitted batch job $(ls {folder} | wc -l)"
"""


def write_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster that takes every job and runs none; returns the folder of its batch files."""
    programs, submitted = tmp_path / "bin", tmp_path / "submitted"
    programs.mkdir()
    submitted.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(submitit_engine, "AGAIN_SEC", 0.0)
    write_program(programs, "srun", "exit 1")
    write_program(programs, "sbatch", SBATCH.format(folder=submitted))
    write_program(programs, "squeue", f"cat {programs}/queue")
    (programs / "queue").touch()
    return submitted


def queue(slurm: Path, lines: str) -> None:
    (slurm.parent / "bin/queue").write_text(lines)


def cells_of(tmp_path: Path, *words: str) -> list[Cell]:
    grid = ("task=rte,dtd", "method=frozen,lora", "seed=0,1")
    return compose_cells([*SHORT, *(words or grid), f"results_root={tmp_path}/results"])[1]


def engine_of(
    runtime: RuntimeConfig | None = None,
    estimate: Any = None,
    **keys: Any,
) -> submitit_engine.SubmititEngine:
    launcher = LauncherConfig("submitit", **{"cell_minutes": 10, "memory_gb": 3.5, **keys})
    return submitit_engine.opened(launcher, runtime or RuntimeConfig(), estimate)


def unlike(_cell: Any) -> Outcome:
    raise AssertionError("nothing runs here")


def submit(engine: Any, cells: Sequence[Cell]) -> list[str]:
    """Submit and leave; returns what is said."""
    display: Any = Mock()
    engine.launcher.detach = True
    with pytest.raises(Detached):
        engine.run(cells, Work(unlike, unlike), display)
    return [call.args[0] for call in display.say.call_args_list]


def options_in(script: str) -> dict[str, str | None]:
    """The options of a batch file. Fails for one that sbatch would not know or not understand."""
    first, *lines = script.splitlines()
    assert first == "#!/bin/bash"
    commands = [place for place, line in enumerate(lines) if line and not line.startswith("#")]
    found: dict[str, str | None] = {}
    for place, line in enumerate(lines):
        if not line.startswith("#SBATCH"):
            continue
        assert place < commands[0], f"{line}: sbatch stops reading options at the first command"
        (word,) = shlex.split(line.removeprefix("#SBATCH"))
        name, has_value, value = word.removeprefix("--").partition("=")
        assert word.startswith("--")
        assert name in GRAMMAR["options"], f"{line}: sbatch has no such option"
        form = GRAMMAR["options"][name]
        if not has_value:
            assert form == "none" or form.endswith("?"), f"{line}: needs a value"
        else:
            assert form != "none", f"{line}: takes no value"
            assert re.fullmatch(GRAMMAR["forms"][form.rstrip("?")], value), f"{line}: not {form}"
        assert name not in found
        found[name] = value if has_value else None
    return found


@pytest.mark.parametrize(
    "line",
    [
        "#SBATCH --partitoin=gpu", "#SBATCH --mem=2GB", "#SBATCH --time=1h", "#SBATCH --requeue=1",
        "#SBATCH --array=0-", "#SBATCH --output=%q.out", "#SBATCH --signal=usr2", "#SBATCH --time",
    ],
)  # fmt: skip
def test_the_grammar_refuses_what_sbatch_would(line: str) -> None:
    with pytest.raises(AssertionError):
        options_in(f"#!/bin/bash\n{line}\ntrue")


def test_batch_files_are_those_of_a_grammar(slurm: Path, tmp_path: Path) -> None:
    runtime = RuntimeConfig(threads=2, device="cuda", jobs=3)
    sbatch = {"partition": "gpu", "account": "a b", "exclusive": "user", "gres-flags": "x"}
    options = sbatch | {"ntasks-per-node": 1, "hold": False}
    said = submit(
        engine_of(runtime, job_minutes=45, notice_sec=90, sbatch=options), cells_of(tmp_path)
    )
    found = {path.name: options_in(path.read_text()) for path in slurm.iterdir()}
    assert len(found) == 2  # an array for each family
    logs = f"{tmp_path}/results/jobs/%A_%a_0_log.out"
    for options, name, said_of in zip(
        (found[key] for key in sorted(found)), ("nlu", "vision"), said, strict=True
    ):
        assert options == {
            "array": "0-1%2", "job-name": f"frod_bench_{name}", "time": "45", "mem": "4G",
            "nodes": "1", "ntasks-per-node": "1", "cpus-per-task": "2", "gpus-per-node": "1",
            "signal": "USR2@90", "requeue": None, "open-mode": "append", "output": logs,
            "wckey": "submitit", **sbatch,
        }  # fmt: skip
        assert f"submitted 4 runs ({name}) in 2 jobs of 45 minutes and 4 GB" in said_of
    script = next(slurm.iterdir()).read_text()
    assert re.search(r"^srun .*--cpus-per-task=2 .*-m submitit", script, re.M)


def test_a_cpu_job_asks_for_no_gpu_and_a_single_one_is_not_an_array(
    slurm: Path, tmp_path: Path
) -> None:
    engine = engine_of(sbatch={"requeue": False})
    submit(engine, cells_of(tmp_path, "task=rte", "method=frozen"))
    (script,) = (path.read_text() for path in slurm.iterdir())
    options = options_in(script)
    assert not {"gpus-per-node", "array", "requeue"} & options.keys()
    assert options["output"] == f"{tmp_path}/results/jobs/%j_0_log.out"


def test_wall_time_and_memory_come_from_the_estimate_or_from_the_settings(
    slurm: Path, tmp_path: Path
) -> None:
    asked: list[str] = []

    def estimate(cells: Sequence[Cell], accelerator: str) -> dict[Cell, Needs]:
        asked.append(accelerator)
        return {cell: Needs(40.0 + cell.seed, 9.2) for cell in cells}

    cells = cells_of(tmp_path, "task=rte", "method=frozen", "seed=0,1")
    settings: dict[str, Any] = {"cell_minutes": None, "memory_gb": None}
    submit(engine_of(estimate=estimate, **settings), cells)
    other = cells_of(tmp_path, "task=cola", "method=frozen", "seed=0,1")
    gpu = RuntimeConfig(device="cuda")
    submit(engine_of(gpu, estimate, **settings | {"memory_gb": 20.0}), other)
    found = [options_in(path.read_text()) for path in sorted(slurm.iterdir())]
    assert [(one["time"], one["mem"], one["array"]) for one in found] == [
        ("82", "10G", "0-1%2"),  # 41 minutes are half of a job's; each has a job of its own
        ("82", "20G", "0-1%2"),
    ]
    assert asked == ["cpu-2", "a100-80gb"]


def test_a_cell_that_cannot_be_estimated_needs_words(slurm: Path, tmp_path: Path) -> None:
    def estimate(_cells: Any, _accelerator: str) -> Any:
        raise InputError("method=mine: can't be planned.")

    engine = engine_of(estimate=estimate, memory_gb=None)
    with pytest.raises(InputError, match=r"can't be planned.*launcher.cell_minutes=MINUTES"):
        engine.run(cells_of(tmp_path), Work(unlike, unlike), Mock())
    assert not list(slurm.iterdir())
    assert not (tmp_path / "results").exists()


def test_what_waits_or_runs_is_not_submitted_twice(slurm: Path, tmp_path: Path) -> None:
    cells = cells_of(tmp_path)
    half = [cell for cell in cells if cell.family == "nlu"]
    submit(engine_of(), half)
    queue(slurm, "1_0 RUNNING\n1_1 PENDING\n")
    said = submit(engine_of(), cells)
    assert said[0] == "2 jobs of an earlier command wait or run: 1_[0,1] (1 RUNNING, 1 PENDING)"
    assert "submitted 4 runs (vision) in 2 jobs" in said[1]
    assert len(list(slurm.iterdir())) == 2
    queue(slurm, "1_0 RUNNING\n1_1 PENDING\n2_0 RUNNING\n2_1 RUNNING\n")
    (said_last,) = submit(engine_of(), cells)
    assert "4 jobs of an earlier command wait or run" in said_last
    line = submitit_engine.queued_line(cells)
    assert line == ("8 of them wait or run in jobs: 1_[0,1], 2_[0,1] (3 RUNNING, 1 PENDING).")
    assert len(list(slurm.iterdir())) == 2


def test_what_a_job_left_when_it_ended_is_submitted_again(slurm: Path, tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "task=rte", "method=frozen", "seed=0,1,2,3")
    submit(engine_of(), cells)
    folder = submitit_engine.folder_of(cells)
    first, second = job_list.listed(folder)
    ended = next(cell for cell in cells if job_list.name_of(cell) == first.cells[0])
    job_list.note(folder, first.token, ended, "refused", Outcome("refused", "no rows"))
    queue(slurm, f"{second.id} RUNNING\n")
    said = submit(engine_of(), cells)
    left = len(first.cells) - 1
    assert said[0].startswith(f"job {first.id} has ended (UNKNOWN) and left {left} runs without")
    assert f"submitted {len(first.cells)} runs" in said[2]  # a refused one is tried again, too
    assert not job_list.notes_path(folder, first.token).exists()
    third = next(job for job in job_list.listed(folder) if job.id not in (first.id, second.id))
    assert set(third.cells) == set(first.cells)


def test_an_interrupt_between_two_arrays_names_the_first(slurm: Path, tmp_path: Path) -> None:
    cells, display = cells_of(tmp_path), Mock()
    display.say.side_effect = [None, KeyboardInterrupt, None]
    with pytest.raises(KeyboardInterrupt):
        engine_of().run(cells, Work(unlike, unlike), display)
    assert display.say.call_args_list[-1].args == ("The jobs go on without this command: 1_[0,1].",)


def test_a_job_that_one_answer_lacks_is_not_submitted_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(tmp_path, "task=rte", "method=frozen")
    submit(engine_of(), cells)
    asked: list[int] = []

    def states(jobs: Sequence[Any]) -> dict[str, str]:
        asked.append(len(jobs))
        state = "RUNNING" if len(asked) == submitit_engine.MISSES["slurm"] else job_list.UNKNOWN
        return {job.token: state for job in jobs}

    monkeypatch.setattr(job_list, "states", states)
    (said,) = submit(engine_of(), cells)
    assert "1 jobs of an earlier command wait or run" in said
    assert len(list(slurm.iterdir())) == 1


def test_a_cell_in_which_its_job_ended_comes_last(slurm: Path, tmp_path: Path) -> None:
    cells = cells_of(tmp_path, "task=rte", "method=frozen", "seed=0,1,2")
    folder = submitit_engine.folder_of(cells)
    for _ in range(2):
        submit(engine_of(cell_minutes=1), cells)
        (job,) = [one for one in job_list.listed(folder) if job_list.name_of(cells[0]) in one.cells]
        job_list.note(folder, job.token, cells[0], job_list.BEGUN)
        queue(slurm, "")
    sizes = sorted(len(one.cells) for one in job_list.listed(folder))
    assert sizes == [1, 2]
    assert len(job.cells) == 1


def test_what_a_running_job_has_noted_of_an_earlier_try_decides_nothing(
    slurm: Path, tmp_path: Path
) -> None:
    """Its failed cell is submitted again, and the new job alone says what becomes of it."""
    cells = cells_of(tmp_path, "task=rte", "method=frozen", "seed=0,1")
    submit(engine_of(), cells)
    folder = submitit_engine.folder_of(cells)
    (first,) = job_list.listed(folder)
    again, going_on = cells
    results.leave_failure(again, RuntimeError("the first try"))
    job_list.note(folder, first.token, again, "failed", Outcome("failed", "the first try"))
    job_list.note(folder, first.token, going_on, job_list.BEGUN)
    queue(slurm, f"{first.id} RUNNING\n")
    engine = engine_of()
    with locks.locked(folder / job_list.LOCK, "the list of jobs"):
        earlier = submitit_engine._of_earlier(folder, cells, lambda _: None)
    assert [one.cells for one in earlier] == [(job_list.name_of(going_on),)]
    said = submit(engine, cells)
    assert "submitted 1 runs (nlu) in 1 jobs" in said[1]
    second = next(job for job in job_list.listed(folder) if job.id != first.id)
    assert second.cells == (job_list.name_of(again),)
    watched = Watch(folder, cells, [*earlier, second], Mock())
    for token in watched.pending:
        watched.look_at_cells(token)
    assert watched.done == []


def test_options_that_sbatch_refuses_are_bad_input(slurm: Path, tmp_path: Path) -> None:
    refusal = "sbatch: error: invalid partition specified: gpu"
    write_program(slurm.parent / "bin", "sbatch", f"echo '{refusal}' >&2; exit 1")
    with pytest.raises(InputError, match="invalid partition specified: gpu"):
        engine_of().run(cells_of(tmp_path), Work(unlike, unlike), Mock())
    assert not (tmp_path / "results").exists()


def test_without_slurm_or_submitit_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: RunHere
) -> None:
    words = ["frod_bench", "run", "-m", *SHORT, "task=rte", "method=frozen", "launcher=submitit"]
    words.append(f"results_root={tmp_path}/results")
    monkeypatch.setenv("PATH", str(tmp_path))
    told = here(*words)
    assert (told.returncode, "there is no Slurm on this machine" in told.stderr) == (2, True)
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    told = here(*words)
    assert told.returncode == 2
    assert "pip install 'frod-bench[slurm]'" in told.stderr
    assert not list(tmp_path.iterdir())


def test_a_command_that_leaves_ends_well_and_says_what_remains(
    slurm: Path, tmp_path: Path, here: RunHere
) -> None:
    words = ["frod_bench", "run", "-m", *SHORT, "task=rte", "method=frozen", "seed=0,1"]
    words += [f"results_root={tmp_path}/results", "launcher=submitit", "launcher.memory_gb=2"]
    words += ["launcher.cell_minutes=1", "launcher.detach=true"]
    told = here(*words)
    assert told.returncode == 0
    assert "2 runs wait or run. The same command says what remains." in told.stderr
    queue(slurm, "1 PENDING\n")
    told = here(*words, "plan_only=true")
    assert "2 of 2 cells would run, 0 are done." in told.stdout
    assert "2 of them wait or run in jobs: 1 (1 PENDING)." in told.stdout
    assert len(list(slurm.iterdir())) == 1


def test_all_the_way_with_processes_that_stand_for_jobs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two jobs: runs of both, one of bad input, and a record for each that ran."""
    cells = cells_of(tmp_path, "task=rte,boolq", "method=bitfit", "seed=0,1")
    engine = engine_of(RuntimeConfig(jobs=2, device="cpu"), executor="local")
    job = Work(launch.work, launch.lost, partial(launch.prepare, "cpu"))
    display: Any = Mock()
    done = engine.run(cells, job, display)
    assert sorted((one.cell.label, one.status) for one in done) == [
        ("boolq/bitfit/0", "refused"),
        ("boolq/bitfit/1", "refused"),
        ("rte/bitfit/0", "ok"),
        ("rte/bitfit/1", "ok"),
    ]
    assert [cell.record_path.exists() for cell in cells] == [True, True, False, False]
    folder = submitit_engine.folder_of(cells)
    assert not job_list.listed(folder)  # both have ended
    assert {path.suffix for path in folder.iterdir()} == {".out"}


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("submitit", [1], submitit_engine.SubmititEngine),
        ("local", [1], engines.LocalEngine),
        ("submitit", [], engines.LocalEngine),  # nothing to start
        ("ray", [], engines.LocalEngine),
    ],
)
def test_an_engine_is_chosen_by_its_name(name: str, cells: Any, kind: type) -> None:
    with engines.opened(LauncherConfig(name, executor="local"), RuntimeConfig(), cells) as engine:
        assert isinstance(engine, kind)
