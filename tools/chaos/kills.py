"""Which processes are killed, and when."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

WORKER, LAUNCHER, SWEEP, EVERYTHING = "worker", "launcher", "sweep", "all sweeps"
WRITER = "writer"  # the process that writes
HALF, BEFORE, AFTER = "half", "before", "after"  # as in inside/sitecustomize.py
MOMENTS = {HALF: "half written", BEFORE: "before the rename", AFTER: "after the rename"}
# Every kind of kill in turn: a victim at a random moment, or a write that is cut off.
KINDS = (WORKER, "checkpoint", LAUNCHER, "record", SWEEP, "cache", "report")
LONGEST_DELAY_SEC = 5.0
# How many writes of a kind a process lets pass at most before it stops at one. A cell's record is
# written after its trained values, predictions and curve; the folder of data sets is renamed once.
MOST_SKIPPED = {"checkpoint": 3, "record": 3, "cache": 0, "report": 8}


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, to one process or to several at once."""

    victim: str
    during: str | None = None  # checkpoint, record, cache or report; None: at a random moment
    moment: str = ""  # of the write
    skip: int = 0  # occasions to let pass
    after_first_write: bool = False  # the delay begins then, else when the kill's turn has come
    delay_sec: float = 0.0

    @property
    def kind(self) -> str:
        """For the list of kills: who, and when."""
        if self.during is None:
            return f"{self.victim}, at a random moment"
        return f"{self.victim}, in a write to the {self.during}, {MOMENTS[self.moment]}"


def dealt(count: int, modes: Sequence[str], random: Random) -> dict[str, list[Kill]]:
    """`count` kills, dealt to the modes so that together they have every kind as often."""
    hands: dict[str, list[Kill]] = {mode: [] for mode in modes}
    kinds = itertools.islice(itertools.cycle(KINDS), count)
    for kind, mode in zip(kinds, itertools.cycle(modes), strict=False):
        hands[mode].append(_kill(kind, mode == "rivals", random))
    for hand in hands.values():
        random.shuffle(hand)
        # Data sets are written at the beginning, and the report when all cells are done.
        hand.sort(key=lambda kill: {"cache": 0, "report": 2}.get(kill.during or "", 1))
    return hands


def _kill(kind: str, has_rivals: bool, random: Random) -> Kill:
    groups = [SWEEP, EVERYTHING] if has_rivals else [SWEEP]
    if kind in (WORKER, LAUNCHER, SWEEP):
        victim = random.choice(groups) if kind == SWEEP else kind
        waits, delay_sec = random.random() < 0.7, random.uniform(0, LONGEST_DELAY_SEC)
        return Kill(victim, after_first_write=waits, delay_sec=delay_sec)
    moment = random.choice(list(MOMENTS))
    victims = [WRITER, *groups]
    if moment != HALF and kind != "report":
        victims.append(LAUNCHER)  # the writer goes on, so that its file may not have been cut
    skip = random.randint(0, MOST_SKIPPED[kind])
    return Kill(random.choice(victims), kind, moment, skip)
