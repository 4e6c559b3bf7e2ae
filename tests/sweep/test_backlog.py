"""The order in which cells are tried, by a clock of the test's own."""

from types import SimpleNamespace
from typing import Any

import pytest

from frod_bench.sweep.backlog import FIRST_PAUSE_SEC, LONGEST_PAUSE_SEC, Backlog


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backlog(clock: Clock) -> Backlog:
    cells: Any = [SimpleNamespace(label=label) for label in "abc"]
    return Backlog(cells, clock)


def labels(backlog: Backlog) -> str:
    """What is taken until nothing is due."""
    return "".join(one.cell.label for one in iter(backlog.next, None))


def test_cells_are_taken_in_their_order(backlog: Backlog) -> None:
    assert backlog.due_in_sec() == 0
    assert labels(backlog) == "abc"
    assert backlog.due_in_sec() is None
    assert not backlog


def test_a_busy_cell_comes_last_and_after_a_pause(backlog: Backlog, clock: Clock) -> None:
    first = backlog.next()
    assert first is not None
    backlog.put_back_busy(first)
    assert [cell.label for cell in backlog.busy] == ["a"]
    assert labels(backlog) == "bc"
    assert backlog.due_in_sec() == pytest.approx(FIRST_PAUSE_SEC)
    clock.now += FIRST_PAUSE_SEC
    assert labels(backlog) == "a"


def test_pauses_grow_to_the_longest(backlog: Backlog, clock: Clock) -> None:
    pauses = []
    for _ in range(8):
        one = backlog.next()
        assert one is not None
        assert one.cell.label == "a" or not pauses
        labels(backlog)
        backlog.put_back_busy(one)
        pauses.append(backlog.due_in_sec() or 0.0)
        clock.now += pauses[-1]
    assert pauses[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert pauses[-2:] == pytest.approx([LONGEST_PAUSE_SEC] * 2)


def test_a_stopped_cell_comes_last_and_one_that_was_not_tried_first(backlog: Backlog) -> None:
    first, second = backlog.next(), backlog.next()
    assert first is not None
    assert second is not None
    backlog.put_back_stopped(first)
    backlog.put_back_first(second)
    assert first.was_stopped
    assert labels(backlog) == "bca"
