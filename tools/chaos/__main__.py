"""Kill sweeps until they give up, or show that they do not.

    python -m tools.chaos kills=100 seed=0
    python -m tools.chaos kills=10 modes=local,rivals keep=results/chaos

A sweep of twelve short cells is run once undisturbed, and then with its processes killed by
SIGKILL: workers, the launcher, or all of them, at random moments and in the middle of writes to
checkpoints, records, the cache and the report. The same command is started again until it is done.
Modes: `local` is one sweep with two workers, `rivals` two sweeps on one folder, and `ray` one sweep
on a Ray cluster, which is left out if Ray is not installed and nobody names the mode. The seed
fixes which kills are made; what a process does at the moment when it is killed depends on the
machine.

Exit status 0 if nothing was lost, 1 if something was, or if a sweep hangs or
ends as none should, 2 for bad input.
"""

import importlib.util
import math
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from frod_bench.common.errors import InputError
from tools.chaos.kills import Kill, dealt
from tools.chaos.rounds import Round
from tools.chaos.sweeps import ChaosError, Folder, Sweep
from tools.chaos.verdict import Counts, check, judge, table

GRID = (
    *("experiment=main_table", "profile=embedded", "task=rte,boolq,eurosat"),
    *("method=lora,frod", "seed=0,1", "tracker=none", "save=adapter", "protocol.selection=best"),
    *("trainer.max_steps=8", "trainer.batch_rows=4", "trainer.eval_every_steps=4"),
    *("trainer.train_rows=64", "trainer.curve_rows=16", "trainer.test_rows=32"),
    "runtime.checkpoint_every_steps=2",
)
CELLS = math.prod(word.count(",") + 1 for word in GRID)
MODES: dict[str, list[tuple[str, ...]]] = {  # the words of each sweep
    "local": [("runtime.jobs=2",)],
    "rivals": [("runtime.jobs=1",), ("runtime.jobs=1",)],
    "ray": [("runtime.jobs=2", "launcher=ray")],
}
KEYS = ("kills", "seed", "modes", "keep")


class Order(NamedTuple):
    """What the words of the command ask for."""

    kills: int
    seed: int
    modes: list[str]
    keep: Path | None  # a new folder


def main(words: Sequence[str]) -> int:
    """Run the harness with `key=value` words; returns the exit status."""
    try:
        order = read(words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    scratch = order.keep or Path(tempfile.mkdtemp(prefix="frod_bench_chaos_"))
    scratch = scratch.resolve()
    try:
        status = run(order.kills, order.seed, order.modes, scratch)
    except ChaosError as error:
        print(f"error: {error}\nWhat the sweeps left is in {scratch}.", file=sys.stderr)
        return 1
    if status or order.keep:
        print(f"What the sweeps left is in {scratch}.")
    else:
        shutil.rmtree(scratch)
    return status


def read(words: Sequence[str]) -> Order:
    """The order that `key=value` words give. Raises InputError. The default leaves Ray's mode out
    where Ray is not installed; whoever names it wants it.
    """
    values = dict(word.partition("=")[::2] for word in words)
    if unknown := [key for key in values if key not in KEYS]:
        raise InputError(f"{unknown[0]}: is not a key. Allowed: {', '.join(KEYS)}.")
    numbers = [values.get("kills", "100"), values.get("seed", "0")]
    if wrong := [number for number in numbers if not number.isdecimal()]:
        raise InputError(f"{wrong[0]!r}: is not a whole number, as kills and seed are.")
    kills, seed = map(int, numbers)
    if kills == 0:
        raise InputError("kills=0: shows nothing. Give a number from 1.")
    asked = values.get("modes", ",".join(MODES)).split(",")
    if unknown := [mode for mode in asked if mode not in MODES]:
        raise InputError(f"modes={unknown[0]}: is none of {', '.join(MODES)}.")
    modes = [mode for mode in asked if mode != "ray" or has_ray()]
    if modes != asked and "modes" in values:
        raise InputError("modes=ray: Ray is not installed. Install it (EXTRAS=ray).")
    if modes != asked:
        print("ray: left out, since Ray is not installed")
    keep = Path(values["keep"]) if values.get("keep") else None
    if keep and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise InputError(f"keep={keep}: is a file, or holds something. Name a new folder.")
    return Order(kills, seed, modes, keep)


def run(kills: int, seed: int, modes: Sequence[str], scratch: Path) -> int:
    """Run all modes and print the summary; returns the exit status."""
    random, started = Random(seed), time.monotonic()
    undisturbed = Folder(scratch / "undisturbed")
    whole = Round(undisturbed, sweeps_of("local", undisturbed), random)
    try:
        whole.finish()
    finally:
        whole.end()
    check(undisturbed, CELLS)
    print(f"undisturbed: {time.monotonic() - started:.0f} s", flush=True)
    columns: list[tuple[str, Counts]] = []
    made: Counter[tuple[str, str]] = Counter()
    for mode, hand in dealt(kills, modes, random).items():
        counts, done = run_mode(mode, hand, scratch, undisturbed, random)
        columns.append((mode, counts))
        made.update((kill.kind, mode) for kill in done)
    print(f"\nKills by kind (seed={seed}):")
    for (kind, mode), count in sorted(made.items()):
        print(f"{count:>4}  {mode:<7} {kind}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"\nAfter {sum(made.values())} kills in {time.monotonic() - started:.0f} s, of which the "
        f"processors worked {used.ru_utime + used.ru_stime:.0f} s:"
    )
    print(table(columns))
    return int(not all(counts.is_clean for _, counts in columns))


def run_mode(
    mode: str, kills: list[Kill], scratch: Path, undisturbed: Folder, random: Random
) -> tuple[Counts, list[Kill]]:
    """Make the kills, in as many rounds as they take; returns what they cost, and those made."""
    counts, done, number, vain = Counts(), [], 0, 0
    while kills:
        number += 1
        folder, started = Folder(scratch / f"{mode}-{number}"), time.monotonic()
        round_ = Round(folder, sweeps_of(mode, folder), random)
        try:
            kills = round_.disturb(kills)
            round_.finish()
        finally:
            round_.end()
        cost, left = judge(folder, undisturbed, round_.worker_kills())
        starts = sum(sweep.starts for sweep in round_.sweeps)
        print(
            f"{mode}, round {number}: {len(round_.made)} kills, {starts} starts, {left} temporary "
            f"files for prune, {time.monotonic() - started:.0f} s",
            flush=True,
        )
        counts += cost
        done += round_.made
        vain = 0 if round_.made else vain + 1
        if vain > 1:  # in a row; the first one may have begun with a kill that has no occasion
            raise ChaosError(f"{mode}: no occasion for a kill: {', '.join(k.kind for k in kills)}")
        if cost.is_clean:
            shutil.rmtree(folder.path)
    return counts, done


def sweeps_of(mode: str, folder: Folder) -> list[Sweep]:
    """The sweeps of a mode on a folder."""
    return [
        Sweep(folder, [*GRID, *words], f"{mode}-{number}")
        for number, words in enumerate(MODES[mode], start=1)
    ]


def has_ray() -> bool:
    """Whether the suite can run cells on Ray here."""
    return importlib.util.find_spec("ray") is not None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
