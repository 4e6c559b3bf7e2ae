"""What a report is asked for: the words of its command line, its cells, and where it goes. Nothing
here imports pandas, so that a command that has nothing to report is fast.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from frod_bench.cells import cell as sweep
from frod_bench.cli import arguments
from frod_bench.common.errors import InputError
from frod_bench.common.names import resolved, settings_text
from frod_bench.config.settings import FIGURE_STYLES
from frod_bench.report.keys import Run, Task
from frod_bench.report.names import method_named, spelled
from frod_bench.report.rules import EDITIONS

MAIN = "main_table"
MANIFEST = Path("tables") / ".made_from.json"  # what the last whole report was made of
STYLE = f"figures.style={'|'.join(FIGURE_STYLES)}"


@dataclass(frozen=True)
class Cell:
    """A cell that a report asks for.

    `config_hash` says which record is meant; without it the newest of the task, method and seed
    (and protocol, if named) is taken, with a warning if there are several. A `family` that is left
    out is read off the task's other records. Cells with `axes` are variants of their method.
    """

    task: str
    method: str
    seed: int
    config_hash: str | None = None
    protocol: str | None = None
    family: str | None = None
    head: str = "classify"
    axes: tuple[tuple[str, str, Any], ...] = ()  # each a setting, its short name, its value

    @property
    def run(self) -> Run:
        """The cell's key in the report."""
        settings = settings_text((name, value) for _, name, value in self.axes)
        method = method_named(self.method, settings)
        return Run(Task(self.task, self.head), method, self.seed)


def parse(words: Sequence[str], verb: str = "report") -> tuple[str, list[str], dict[str, str]]:
    """(part, overrides, own keys) of a command line; the default experiment is main_table.

    Raises InputError for unknown words, and for overrides next to `folder=`.
    """
    asked = arguments.parse(verb, words)
    overrides, given = asked.overrides, asked.values
    if "folder" in given:  # nothing is composed, so the one key that a folder has is read here
        styles = [word for word in overrides if word.startswith("figures.style=")]
        given |= dict(word.split("=", 1) for word in styles)
        if others := sorted({word.partition("=")[0] for word in overrides if word not in styles}):
            raise InputError(
                f"folder={given['folder']}: is reported as it is, so {', '.join(others)} cannot be "
                f"chosen. Allowed with it: out=DIR, rules={'|'.join(EDITIONS)} and {STYLE}."
            )
    elif "out" in given:
        raise InputError(
            f"out={given['out']}: is for a report of a folder. Name it too, folder=DIR, or choose "
            "where an experiment's records and report are by results_root=DIR."
        )
    if not any(override.startswith("experiment=") for override in overrides):
        overrides = [f"experiment={MAIN}", *overrides]
    return asked.action or "all", overrides, given


def asked_cells(cells: Iterable[sweep.Cell]) -> list[Cell]:
    """The cells of a grid as a report asks for them."""
    return [
        Cell(c.task, c.method, c.seed, c.config_hash, c.protocol, c.family, c.settings.head, c.axes)
        for c in cells
    ]


def run_text(run: Run) -> str:
    """A run in a message, in the names that a user types."""
    return f"{spelled(run.task)}, {spelled(run.method)}, seed {run.seed}"


def refuse_same(cells: Iterable[Cell]) -> None:
    """Raise InputError if two of `cells` are of one run, for which a table has one number."""
    counts = Counter(cell.run for cell in cells)
    same = [run_text(run) for run, n in counts.items() if n > 1]
    if same:
        raise InputError(
            f"{len(same)} of {len(counts)} cells are asked for more than once, with different "
            f"settings, such as {same[0]}. A report shows one of them: leave the other settings "
            "out of the grid, or name them in experiment.axes (docs/how-to/analyses.md)."
        )


def refuse_nameless(config: DictConfig) -> None:
    """Raise InputError without an experiment, whose name is that of the report."""
    if config.experiment is None:
        raise InputError(
            "experiment=none: has no grid to report on. Name one, e.g. experiment=main_table, or "
            "report the records of a folder, frod-bench report folder=results/embedded."
        )


def folder_of(config: DictConfig) -> Path:
    """Where an experiment's report goes: the main table's beside the records."""
    results_dir = resolved(config.results_root, "results_root") / str(config.profile.name)
    name = config.experiment.name
    return results_dir if name == MAIN else results_dir / str(name)
