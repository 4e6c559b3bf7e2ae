"""Measure plan, scan and report of thousands of records that no run made.

    python -m tools.scale seeds=100
    python -m tools.scale seeds=3 keep=results/scale

The records are of the main table's twenty tasks and five methods, so `seeds=100` makes 10,000, as
files and as a part. Each command runs in a process of its own: the seconds are those of the
processor, which another program on the machine changes little, and the memory is the peak of the
process together with its copies, by their shares of what they share. The
second, empty `reproduce` is measured on three seeds, and only in a clone without changes: elsewhere
a report is never taken for current.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import psutil

from frod_bench.cells.results import code_version
from tools.scale.synthetic import write_grid

GRID = ("experiment=main_table", "profile=embedded", "tracker=none")
PROFILE = "embedded"
FEW_SEEDS = 3  # of the empty reproduce, as `make reproduce-all` has them
KEYS = ("seeds", "keep")
EVERY_SEC = 0.1  # memory is looked at: it takes a few ms of the tool, not of what is measured
SCAN = """
import sys
from pathlib import Path
from frod_bench.records import sources
records, unusable = sources.opened(Path(sys.argv[1])).scan()
print(len(records), len(unusable))
"""


class Cost(NamedTuple):
    """What a process took."""

    cpu_sec: float
    wall_sec: float
    peak_bytes: int


def main(words: Sequence[str]) -> int:
    """Measure with `key=value` words; returns the exit status."""
    values = dict(word.partition("=")[::2] for word in words)
    if unknown := [key for key in values if key not in KEYS]:
        print(f"error: {unknown[0]}: is not a key. Allowed: {', '.join(KEYS)}.", file=sys.stderr)
        return 2
    seeds = values.get("seeds", "100")
    if not seeds.isdecimal() or not int(seeds):
        print(f"error: seeds={seeds}: is not a number of seeds, e.g. 100.", file=sys.stderr)
        return 2
    scratch = Path(values.get("keep") or tempfile.mkdtemp(prefix="frod_bench_scale_")).resolve()
    if scratch.exists() and any(scratch.iterdir()):
        print(f"error: keep={scratch}: holds something. Name a new folder.", file=sys.stderr)
        return 2
    try:
        measure(int(seeds), scratch)
    finally:
        if "keep" not in values:
            shutil.rmtree(scratch, ignore_errors=True)
    return 0


def measure(seeds: int, scratch: Path) -> None:
    """Make the records and print a line for each command."""
    files, parts, few = (scratch / name for name in ("files", "parts", "few"))
    grid = [*GRID, f"seed=range({seeds})"]
    count = made(grid, files)
    print(f"{count} records\n{'command':<34}{'CPU s':>8}{'wall s':>9}{'peak MB':>9}")
    here, packed = f"results_root={files}", f"results_root={parts}"
    bench = ("-m", "frod_bench")
    show("archive pack", *bench, "archive", f"folder={files / PROFILE}", f"out={parts / PROFILE}")
    show("scan, from the archive", "-c", SCAN, str(parts / PROFILE))
    show("scan, from files", "-c", SCAN, str(files / PROFILE))
    show("plan", *bench, "run", "-m", *grid, here, "plan_only=true")
    show("report, from the archive", *bench, "report", *grid, packed)
    show("its tables alone", *bench, "report", "tables", *grid, packed)
    show("report, from files", *bench, "report", *grid, here)
    if code_version()[1]:
        print("a second, empty reproduce: left out, since this clone has changes")
        return
    grid = [*GRID, f"seed=range({FEW_SEEDS})"]
    made(grid, few)
    first = (*bench, "reproduce", *grid, f"results_root={few}")
    show(f"reproduce, {FEW_SEEDS} seeds: the report", *first)
    show(f"reproduce, {FEW_SEEDS} seeds: empty", *first)


def made(grid: Sequence[str], root: Path) -> int:
    """Write the records of a grid; returns how many.

    Another process writes them, to keep the memory of this one small: the peak of each process that
    is measured begins with the memory of this one, which starts it.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(write_grid, grid, root).result()


def show(name: str, *words: str) -> None:
    """Run Python with `words` and print what that took. Exits if it fails."""
    cost = run(words)
    megabytes = cost.peak_bytes / 1e6
    print(f"{name:<34}{cost.cpu_sec:>8.1f}{cost.wall_sec:>9.1f}{megabytes:>9.0f}", flush=True)


def run(words: Sequence[str]) -> Cost:
    """Run Python with `words`, its output thrown away, and wait for it. Exits if it fails."""
    started = time.monotonic()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], stdout=quiet, stderr=quiet)
    peak_bytes = 0
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak_bytes = max(peak_bytes, memory_bytes(process.pid))
        time.sleep(EVERY_SEC)
    if status:
        sys.exit(f"error: ended with status {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    wall_sec = time.monotonic() - started
    return Cost(used.ru_utime + used.ru_stime, wall_sec, max(peak_bytes, 1024 * used.ru_maxrss))


def memory_bytes(number: int) -> int:
    """What a process and those that it started have in memory, each with its share of what they
    share.
    """
    total = 0
    with suppress(psutil.Error):  # it has ended
        process = psutil.Process(number)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
