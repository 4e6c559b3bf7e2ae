"""Seconds and memory of attaching, training and evaluating, method beside method, in one run.

    python -m frod_bench.bench [shapes=a,b] [methods=a,b] [rounds=5] [device=cpu]
                               [compile=false] [threads=N] [results_root=results]

Prints tables and writes `<results_root>/bench/frod.json` (`frod_cuda.json` on a GPU): each method
on each shape and batch in a process of its own, in turns; our layers beside the seconds that their
multiply-adds would take; and the goals. On a CPU it is float32 and takes about half an hour on two
cores; on a GPU bfloat16, with `torch.compile` off and on.

Absolute seconds are this machine's. The ratios are what to compare. Exit status: 1 where a method
died (the file says why, and has the others), 2 for bad input.
"""

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from frod_bench.bench.goals import judge
from frod_bench.bench.options import Options, parse
from frod_bench.bench.race import Race, race
from frod_bench.bench.report import document_of, save, show, start_now
from frod_bench.bench.shapes import SHAPES
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import CellsFailed
from frod_bench.common.terminal import plain_console

PIPE_WIDTH = 120  # characters
BUSY = 0.5  # jobs; beside one more, two threads on two cores take several times as long


class TerminalDisplay:
    """What is done as lines on standard error, and on a terminal what runs now below them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = Status("", console=console, refresh_per_second=1)  # next to no time

    def __enter__(self) -> Self:
        self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def say(self, line: str) -> None:
        """Something is done."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def now(self, line: str) -> None:
        """This runs now."""
        self.status.update(Text(line))


def run(options: Options) -> None:
    """Race on every shape, write the document, print the tables.

    Raises CellsFailed where a method did not come through.
    """
    start = start_now()
    rows, layers = [], []
    with TerminalDisplay(plain_console(stderr=True)) as display:
        if "roberta_base" in options.shapes and options.device == "cpu":
            display.say("roberta_base takes about half an hour on two cores, the rest minutes")
        if start.load_average > BUSY:
            display.say(f"this machine is busy (load {start.load_average:.1f}): times will be off")
        for name in options.shapes:
            for compiled in options.compiled:
                found = race(
                    SHAPES[name],
                    options.methods,
                    rounds=options.rounds,
                    device=options.device,
                    compiled=compiled,
                    threads=options.threads,
                    display=display,
                )
                rows += found.rows
                layers += found.layers
    whole = Race(rows, layers)
    verdicts = judge(whole, "cpu" if options.device == "cpu" else "cuda")
    save(document_of(whole, verdicts, options, start), options.path)
    show(whole, verdicts, options.rounds, table_console())
    print(options.path)
    out = {f"{row.method} on {row.shape}" for row in rows if row.error is not None}
    if out:
        raise CellsFailed(f"{', '.join(sorted(out))}: did not come through, see {options.path}")


def table_console() -> Console:
    """Standard output; in a pipe as wide as the tables, where rich would cut them to 80."""
    console = plain_console()
    return console if console.is_terminal else plain_console(width=PIPE_WIDTH)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        run(parse(words))
