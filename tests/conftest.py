"""Fixtures of most tests: a short, untracked run of the embedded profile; commands in process."""

import functools
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from frod_bench.cells.cell import Cell
from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.sweep import engines
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.workers import Environment, Work
from tests.machine import REQUIREMENTS

# No test measures speed: a machine that has other work would fail it.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

SHORT = (
    "tracker=none",
    "trainer.max_steps=4",
    "trainer.batch_rows=8",
    "trainer.eval_every_steps=2",
    "trainer.train_rows=64",
    "trainer.curve_rows=16",
    "trainer.test_rows=32",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need what this machine does not have."""
    skips = {
        requirement.marker: pytest.mark.skip(reason=f"to run it, {requirement.remedy}")
        for requirement in REQUIREMENTS
        if not requirement.available()
    }
    for item in items:
        for marker, skip in skips.items():
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Make a test that opens a connection to another machine fail."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test opened a connection to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell(tmp_path: Path) -> MakeCell:
    """make_cell("task=rte", "method=frod") -> a short cell whose record is written to tmp_path."""

    def make(*overrides: str) -> Cell:
        with composer() as compose_one:
            line = [f"results_root={tmp_path}/results", *SHORT, *overrides]
            return cells_of([line], compose_one)[0]

    return make


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the cells of a grid in this process, one after another, instead of in workers."""

    def run_in_turn(
        cells: Sequence[Cell], work: Work, _workers: Sequence[Environment], display: SweepDisplay
    ) -> list[Finished]:
        done = []
        for cell in cells:
            status, summary, is_ours = work.run(cell)
            done.append(Finished(cell, status, summary, seconds=0.0, is_ours=is_ours))
            display.finished(done[-1])
        return done

    monkeypatch.setattr(engines, "run_cells", run_in_turn)


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes from one that has imported all, which takes each of the spawned ones seconds.

    They do what spawned ones do, with the environment of the first test that asks for this.
    """
    get_context = multiprocessing.get_context
    prepared = get_context("forkserver")
    prepared.set_forkserver_preload(["frod_bench.bench.race"])
    monkeypatch.setattr(
        multiprocessing,
        "get_context",
        lambda method=None: prepared if method == "spawn" else get_context(method),
    )


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train the first two blocks of each backbone, which cost a third of all six.

    Not for tests that load trained values, since what loads them builds all blocks.
    """
    from frod_bench.training import runner  # imports what most tests do not need

    monkeypatch.setattr(runner, "make_ready", functools.partial(runner.make_ready, blocks=2))


RunHere = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunHere:
    """here(module, *words) -> status and output of `python -m module words`, in this process.

    A new process would take seconds to import torch.
    """
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # `main` sets it; this restores it afterwards
    for module in ("hydra._internal.hydra", "hydra.core.utils"):  # else it silences all loggers
        monkeypatch.setattr(f"{module}.configure_log", lambda *_: None)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", list(words))
        capsys.readouterr()
        status: Any = 0
        try:
            runpy.run_module(words[0], run_name="__main__")
        except SystemExit as ended:
            status = ended.code
        printed = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, printed.out, printed.err)

    return run
