"""What most tests need: a composed cell on the embedded profile, cut short and untracked."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from frod_bench.grid import cells_of, composer
from frod_bench.sweep import Cell

SHORT = (
    "tracker=none",
    "trainer.max_steps=4",
    "trainer.batch_rows=8",
    "trainer.eval_every_steps=2",
    "trainer.train_rows=64",
    "trainer.curve_rows=16",
    "trainer.test_rows=32",
)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Fail a test that reaches out: all of them run without network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached out to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell(tmp_path: Path) -> MakeCell:
    """make_cell("task=rte", "method=frod") -> a short cell whose record lies under tmp_path."""

    def make(*overrides: str) -> Cell:
        with composer() as compose_one:
            line = [f"results_root={tmp_path}/results", *SHORT, *overrides]
            return cells_of([line], compose_one)[0]

    return make
