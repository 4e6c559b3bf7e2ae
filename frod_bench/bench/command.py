"""`frod-bench bench`: seconds and memory of attaching, training and evaluating, by method.

Prints tables and writes `frod.json` (`frod_cuda.json` on a GPU): each method on each shape and
batch in its own process, interleaved; our layers beside the seconds that their multiply-adds would
take; and the goals. On a CPU it is float32 and takes about half an hour on two cores; on a GPU
bfloat16, with `torch.compile` off and on. Seconds depend on the machine; compare the ratios.

Exit status: 1 if a method died (the document says why, and has the others), 2 for bad input.
"""

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.status import Status

from frod_bench.bench.options import SHAPES, Options, parse
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.atomic import write_text
from frod_bench.common.errors import CellsFailed
from frod_bench.common.terminal import plain_console

PIPE_WIDTH = 120  # characters, as wide as the tables, instead of rich's 80
BUSY = 0.5  # jobs; beside one more, two threads on two cores take several times as long


def run(options: Options) -> None:
    """Race on every shape, write the document, print the tables. Raises CellsFailed."""
    # Imported only when the options are known to be good, because they import torch.
    from frod_bench.bench.goals import judge
    from frod_bench.bench.race import Race, race, say
    from frod_bench.bench.report import document_of, show

    load, whole = os.getloadavg()[0], Race([], [])
    start = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "load_average": load}
    # Shows what is running, on a terminal; refreshed rarely, so that it takes almost no time.
    with Status("", console=plain_console(stderr=True), refresh_per_second=1) as status:
        if "roberta_base" in options.shapes and options.device == "cpu":
            say(status, "roberta_base takes about half an hour on two cores, the others minutes")
        if load > BUSY:
            say(status, f"this machine is busy (load {load:.1f}): times will be off")
        for name in options.shapes:
            for compiled in options.compiled:
                found = race(SHAPES[name], options, compiled, status)
                whole.rows.extend(found.rows)
                whole.layers.extend(found.layers)
    verdicts = judge(whole, options.device)
    document = document_of(whole, verdicts, options, start)
    write_text(options.path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    console = plain_console()
    if not console.is_terminal:
        console = plain_console(width=PIPE_WIDTH)
    show(whole, verdicts, options.rounds, console)
    print(options.path)
    out = {f"{row.method} on {row.shape}" for row in whole.rows if row.error is not None}
    if out:
        raise CellsFailed(f"{', '.join(sorted(out))}: failed, see {options.path}")


def start(words: Sequence[str]) -> None:
    """Run the command line and exit with its status."""
    with exit_statuses():
        run(parse(words))
