"""The cells of an experiment whose trained values were kept, and those that lack them."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from frod_bench.cells.cell import Cell, plan
from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.records import store


@dataclass(frozen=True)
class Kept:
    """The cells that an analysis is made of.

    Attributes:
        config: the grid's composed configuration, choices left out.
        cells: those with a record and trained values.
        lacking: a line for each of the others, and last how to make them; empty if there are none.
    """

    config: DictConfig
    cells: tuple[Cell, ...]
    lacking: tuple[str, ...]

    @property
    def out_dir(self) -> Path:
        """Where tables and figures go: a folder of the experiment's name beside the records."""
        results_dir = Path(self.config.results_root).resolve() / str(self.config.profile.name)
        return results_dir / str(self.config.experiment.name)


def kept_cells(overrides: Sequence[str]) -> Kept:
    """The cells of the grid that `overrides` name, with their trained values.

    Raises InputError where the experiment keeps none, or no cell of it has any yet.
    """
    config, cells = compose_cells(overrides)
    if config.experiment is None or config.save != "adapter":
        name = None if config.experiment is None else config.experiment.name
        raise InputError(
            f"experiment={name}, save={config.save}: trained models are looked into, and this "
            "keeps none. Name an experiment with save: adapter, as update_spectrum."
        )
    missing = set(plan(cells).missing)
    diverged = [cell for cell in cells if cell not in missing and _status(cell) != "ok"]
    lacking = [f"{cell.label}: no trained values" for cell in cells if cell in missing]
    lacking += [f"{cell.label}: diverged, there is no trained model" for cell in diverged]
    if missing:
        command = f"python -m frod_bench.run -m {shlex.join(overrides)}"
        lacking.append(f"{len(missing)} of {len(cells)} cells are to be made: {command}")
    usable = tuple(cell for cell in cells if cell not in missing and cell not in diverged)
    if not usable:
        raise InputError(
            f"experiment={config.experiment.name}: none of its {len(cells)} cells has a trained "
            f"model under {cells[0].results_dir}. {lacking[-1]}"
        )
    return Kept(config, usable, tuple(lacking))


def _status(cell: Cell) -> str:
    return str(store.load(cell.record_path)["status"])
