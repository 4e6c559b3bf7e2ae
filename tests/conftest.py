"""What most tests need: a composed cell on the embedded profile, cut short and untracked."""

import os
from collections.abc import Callable
from pathlib import Path

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

MakeCell = Callable[..., Cell]


@pytest.fixture
def make_cell(tmp_path: Path) -> MakeCell:
    """make_cell("task=rte", "method=frod") -> a short cell whose record lies under tmp_path."""

    def make(*overrides: str) -> Cell:
        with composer() as compose_one:
            line = [f"results_root={tmp_path}/results", *SHORT, *overrides]
            return cells_of([line], compose_one)[0]

    return make
