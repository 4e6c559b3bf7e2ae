"""The list of jobs: what is in it, what Slurm says of them, and what damage does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import leases
from frod_bench.common.errors import InputError
from frod_bench.sweep import job_list
from frod_bench.sweep.job_list import BEGUN, STOPPED, UNKNOWN, Listed
from tests.conftest import MakeCell


def write_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_slurm_says_which_jobs_wait_or_run(slurm: Path) -> None:
    queue = 'echo "$*" >>$0.asked; echo "7_0 RUNNING"; echo "9 PENDING"; echo "7_1 TIMEOUT"'
    write_program(slurm, "squeue", queue)
    jobs = [Listed(f"t{name}", name, "slurm", None, ()) for name in ("7_0", "7_1", "9", "70")]
    assert job_list.states(jobs) == {
        "t7_0": "RUNNING",
        "t7_1": "TIMEOUT",
        "t9": "PENDING",
        "t70": UNKNOWN,
    }
    assert (slurm / "squeue.asked").read_text().count("--array") == 1  # once for all


@pytest.mark.parametrize("script", ["echo 'Unable to contact slurm controller' >&2; exit 1", None])
def test_without_an_answer_nothing_is_known(
    slurm: Path, script: str | None, monkeypatch: Any
) -> None:
    if script is None:
        monkeypatch.setenv("PATH", str(slurm))
    else:
        write_program(slurm, "squeue", script)
    with pytest.raises(InputError, match=r"squeue: cannot be asked .*where Slurm answers"):
        job_list.states([Listed("t", "7", "slurm", None, ())])
    assert job_list.states([]) == {}


def test_a_process_that_stands_for_a_job_is_told_from_a_later_one_with_its_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    about = leases.about_process(child.pid)

    def state(process: Any) -> str:
        return job_list.states([Listed("t", str(child.pid), "local", process, ())])["t"]

    assert state(about) == "RUNNING"
    assert state(about | {"started": about["started"] - 1}) == UNKNOWN
    assert state(about | {"host": "elsewhere"}) == UNKNOWN
    assert state(None) == UNKNOWN
    child.communicate(b"\n", timeout=30)
    assert state(about) == UNKNOWN
    assert state(leases.about_process(child.pid)) == UNKNOWN


def test_jobs_are_listed_in_order_and_damaged_files_are_left_out(tmp_path: Path) -> None:
    for name in ("10_2", "9", "10_10"):
        job_list.add(tmp_path, Listed(f"t{name}", name, "slurm", None, ("a/b.json",)))
    whole = (tmp_path / "t9.json").read_text()
    hostile = {"id": "../../x", "token": "e"}
    damaged = {
        "a": "",
        "b": "[]",
        "c": whole[:20],
        "d": whole,  # under another name than its own
        "e": json.dumps(json.loads(whole) | hostile),
        "f": json.dumps(json.loads(whole) | {"token": "f", "cells": None}),
        "g": json.dumps(json.loads(whole) | {"token": "g", "more": 1}),
    }
    for name, text in damaged.items():
        (tmp_path / f"{name}.json").write_text(text)
    assert [job.id for job in job_list.listed(tmp_path)] == ["9", "10_2", "10_10"]
    assert job_list.listed(tmp_path / "none") == []


def test_a_job_that_is_forgotten_leaves_its_log(tmp_path: Path) -> None:
    job = Listed("t1", "7_1", "slurm", None, ())
    job_list.add(tmp_path, job)
    for name in ("7_1_submitted.pkl", "7_1_0_result.pkl", "7_1_0_log.out", "7_11_submitted.pkl"):
        (tmp_path / name).touch()
    job_list.notes_path(tmp_path, "t1").touch()
    job_list.forget(tmp_path, job)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "7_11_submitted.pkl",
        "7_1_0_log.out",
    ]


def test_notes_tell_what_runs_and_what_has_ended(make_cell: MakeCell, tmp_path: Path) -> None:
    first, second = (make_cell("task=rte", "method=frozen", f"seed={seed}") for seed in (0, 1))
    names = list(map(job_list.name_of, (first, second)))
    assert names[0].startswith("embedded/records/rte/frozen/0-")

    def read() -> tuple[str | None, dict[str, Any]]:
        notes = job_list.read_notes(tmp_path, "t")
        return notes.begun, dict(notes.ended)

    assert read() == (None, {})
    job_list.note(tmp_path, "t", first, BEGUN)
    assert read() == (names[0], {})
    job_list.note(tmp_path, "t", first, BUSY, Outcome(BUSY, "another process runs it"))
    assert read() == (None, {})
    job_list.note(tmp_path, "t", second, BEGUN)
    job_list.note(tmp_path, "t", second, STOPPED)  # and queued again
    assert read() == (None, {})
    job_list.note(tmp_path, "t", second, BEGUN)
    job_list.note(tmp_path, "t", second, "ok", Outcome("ok", "accuracy 1"))
    job_list.note(tmp_path, "t", second, "ok", Outcome("ok", "accuracy 1", False))  # run again
    assert read() == (None, {names[1]: Outcome("ok", "accuracy 1")})
    with job_list.notes_path(tmp_path, "t").open("a") as stream:
        stream.write('{"cell": "x", "sta\n[]\n3\n{"cell": ')
    assert read() == (None, {names[1]: Outcome("ok", "accuracy 1")})
