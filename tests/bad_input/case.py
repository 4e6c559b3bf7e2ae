"""A row of the table: what is given, and what one message must say of it."""

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from frod_bench.cells.compose import composer
from frod_bench.cells.grid import cells_of
from frod_bench.cli.arguments import prepared
from frod_bench.jobs.run import check_methods
from tests.conftest import SHORT

# Cells that need rows or weights are asked to run; nothing is trained: each is refused before.
RUN = " ".join(("run task=rte method=frozen results_root={here}/results", *SHORT))
PLAN = "run task=rte results_root={here}/results plan_only=true"

Given = Callable[[Path, pytest.MonkeyPatch], object]


class Bad(NamedTuple):
    """A command line, or a call of the library, and the words of its message in their order."""

    what: str | Callable[[Path], object]  # {here} is the test's folder, which is the working one
    field: str  # what is wrong, with its value
    remedy: str  # what is allowed, or what to do
    given: Given | None = None  # makes what it needs
    name: str = ""  # of a call, or of a line that stands for several files

    @property
    def label(self) -> str:
        """The test's name."""
        return self.name or str(self.what)[:100]


def planned(here: Path, words: str) -> None:
    """Plan a cell as `run` does, without Hydra's own start, which composes it twice."""
    line = shlex.split(words.replace("{here}", str(here)))
    with composer() as compose_one:
        own = [f"results_root={here}/results", "task=rte", "tracker=none"]
        check_methods(cells_of([prepared([*own, *line])], compose_one))


def cell(words: str, field: str, remedy: str, given: Given | None = None, name: str = "") -> Bad:
    """Settings of a cell that are refused when it is planned."""
    return Bad(functools.partial(planned, words=words), field, remedy, given, name or words[:100])
