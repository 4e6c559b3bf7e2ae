"""One round: sweeps on a new folder, disturbed, and started again until all cells are done."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from tools.chaos.kills import EVERYTHING, LAUNCHER, WORKER, WRITER, Kill
from tools.chaos.sweeps import ChaosError, Folder, Sweep

POLL_SEC = 0.02
LIMIT_SEC = 1200.0  # of one wait: a sweep that takes longer hangs
MOST_STARTS = 2  # of a sweep that is no longer disturbed: the one under way may have lost a cell


class Round:
    """Sweeps on one folder."""

    def __init__(self, folder: Folder, sweeps: Sequence[Sweep], random: Random) -> None:
        self.folder, self.sweeps, self.random = folder, sweeps, random
        self.made: list[Kill] = []

    def disturb(self, kills: Sequence[Kill]) -> list[Kill]:
        """Make the kills; returns those that found no occasion before all cells were done, after
        those whose turn did not come.
        """
        waiting: list[Kill] = []
        left: list[Kill] = []
        for kill in kills:
            if self.all_done():
                waiting.append(kill)
                continue
            make = self.kill_at_random if kill.during is None else self.kill_in_a_write
            if make(kill):
                self.made.append(kill)
            else:
                left.append(kill)
        return waiting + left

    def finish(self) -> None:
        """Start the same command until it is done. Raises ChaosError if it never is."""
        for _ in range(MOST_STARTS):
            self.start_ended()
            self.wait(lambda: not any(sweep.is_running for sweep in self.sweeps))
            if self.all_done():
                return
        raise ChaosError(f"not done after {MOST_STARTS} starts:\n{self.sweeps[0].tail()}")

    def end(self) -> None:
        """Leave no process behind."""
        for sweep in self.sweeps:
            sweep.kill()

    def worker_kills(self) -> Counter[int]:
        """The number of kills that hit workers and not their launcher, by launcher.

        A launcher may leave a failed record of each. It leaves none if the worker had no cell, or
        if its cell was done.
        """
        return sum((one.worker_kills for one in self.sweeps), Counter[int]())

    def all_done(self) -> bool:
        """Whether every sweep has ended with all cells done."""
        return all(sweep.is_done for sweep in self.sweeps)

    def start_ended(self) -> None:
        """Start the sweeps that have ended before all was done."""
        for sweep in self.sweeps:
            if not sweep.is_running and not sweep.is_done:
                sweep.start()

    def kill_at_random(self, kill: Kill) -> bool:
        """Kill after a delay; False if all cells were done before."""
        self.start_ended()
        sweep = self.random.choice([one for one in self.sweeps if one.is_running] or self.sweeps)
        if kill.after_first_write:
            self.wait(lambda: len(self.folder.journal()) > sweep.noted or not sweep.is_running)
        due = time.monotonic() + kill.delay_sec
        self.wait(lambda: time.monotonic() > due or not sweep.is_running)
        if kill.victim == WORKER:
            self.wait(lambda: bool(sweep.workers()) or not sweep.is_running)
        if not sweep.is_running:
            self.start_ended()
            return not self.all_done() and self.kill_at_random(kill)
        return self.strike(kill, sweep, writer=None) or self.kill_at_random(kill)

    def kill_in_a_write(self, kill: Kill) -> bool:
        """Order a process to stop in a write, and kill; False if there was no such write before all
        cells were done.
        """
        self.start_ended()
        number = f"order-{len(self.made)}-{time.monotonic_ns()}"
        order = {"id": number, "during": kill.during, "moment": kill.moment, "skip": kill.skip}
        prepared = self.folder.order_file.with_suffix(".new")
        prepared.write_text(json.dumps(order))
        prepared.rename(self.folder.order_file)
        writer = 0

        def is_over() -> bool:
            nonlocal writer
            if not self.folder.order_file.exists():  # taken
                writer = next(
                    (e["pid"] for e in self.folder.journal() if e.get("order") == number), 0
                )
                return bool(writer)
            self.start_ended()
            return self.all_done()

        self.wait(is_over)
        if not writer:
            self.folder.order_file.unlink()
            return False
        sweep = next(one for one in self.sweeps if writer in one.pids())
        return self.strike(kill, sweep, writer)

    def strike(self, kill: Kill, sweep: Sweep, writer: int | None) -> bool:
        """Kill the victims of a kill that is aimed at `sweep`; False if there is none by now."""
        if kill.victim == EVERYTHING:
            killed = set[int]().union(*(one.kill() for one in self.sweeps))
        elif kill.victim == WORKER:
            workers = sweep.workers()
            killed = sweep.kill(self.random.sample(workers, min(len(workers), 1)))
        elif kill.victim == WRITER and writer:
            killed = sweep.kill([writer])
        elif kill.victim == LAUNCHER:
            killed = sweep.kill([sweep.launcher] if sweep.launcher else [])
        else:
            killed = sweep.kill()
        if killed and sweep.launcher and sweep.launcher not in killed:
            sweep.worker_kills[sweep.launcher] += 1
        if writer and kill.victim == LAUNCHER:
            with suppress(ProcessLookupError):
                os.kill(writer, signal.SIGCONT)
        return bool(killed)

    def wait(self, is_over: Callable[[], bool]) -> None:
        """Wait for something. Raises ChaosError, with what the sweeps printed, after the limit."""
        deadline = time.monotonic() + LIMIT_SEC
        while not is_over():
            if time.monotonic() > deadline:
                told = "\n".join(f"{one.name}:\n{one.tail()}" for one in self.sweeps)
                raise ChaosError(f"nothing happened for {LIMIT_SEC:g} s:\n{told}")
            time.sleep(POLL_SEC)
