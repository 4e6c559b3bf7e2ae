"""The cells that wait for a worker, in their order; one that another process runs comes back at the
end, after a pause. Every engine takes its cells from here.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from frod_bench.cells.cell import Cell

FIRST_PAUSE_SEC = 0.1  # before a busy cell is tried again; doubled after each try, up to
LONGEST_PAUSE_SEC = 5.0


@dataclass(eq=False)
class Waiting:
    """A cell and its earlier tries."""

    cell: Cell
    due: float = 0.0  # by the backlog's clock
    pause_sec: float = FIRST_PAUSE_SEC
    is_busy: bool = False  # another process ran it when it was last tried
    was_stopped: bool = False  # a worker that ran it was asked to stop


class Backlog:
    """The cells that are not running here and not done."""

    def __init__(self, cells: Iterable[Cell], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting = deque(Waiting(cell) for cell in cells)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> list[Cell]:
        """The cells that other processes ran when they were last tried."""
        return [one.cell for one in self._waiting if one.is_busy]

    def next(self) -> Waiting | None:
        """Take out the first cell that may be tried now; None if there is none."""
        now = self._clock()
        found = next((one for one in self._waiting if one.due <= now), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def due_in_sec(self) -> float | None:
        """The time until `next` has a cell; None if all have been taken."""
        if not self._waiting:
            return None
        return max(0.0, min(one.due for one in self._waiting) - self._clock())

    def put_back_first(self, one: Waiting) -> None:
        """The cell was not tried: it is the next one again."""
        self._waiting.appendleft(one)

    def put_back_busy(self, one: Waiting) -> None:
        """Another process runs the cell: try it again after all others, and after a pause."""
        one.is_busy, one.due = True, self._clock() + one.pause_sec
        one.pause_sec = min(2 * one.pause_sec, LONGEST_PAUSE_SEC)
        self._waiting.append(one)

    def put_back_stopped(self, one: Waiting) -> None:
        """Its worker was asked to stop: try it again after all others."""
        one.was_stopped, one.is_busy = True, False
        self._waiting.append(one)
