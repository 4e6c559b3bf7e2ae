"""The cells of an experiment whose trained values were kept, and where an analysis writes."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from frod_bench.cells.cell import Cell, plan
from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.records import store

if TYPE_CHECKING:  # imported only when there is something to draw
    import pandas as pd
    from matplotlib.figure import Figure

    from frod_bench.report.table import Table

Say = Callable[[str], None]  # reports progress


@dataclass(frozen=True)
class Context:
    """What every table and figure of an analysis needs.

    Attributes:
        title: the profile's title.
        caption: sentences on profile and protocol.
        out_dir: has the folders `tables` and `figures`.
    """

    title: str
    caption: str
    out_dir: Path

    def write_table(self, table: "Table", numbers: "pd.DataFrame", name: str) -> list[Path]:
        """Write a table in all its forms; returns the paths."""
        from frod_bench.report.table import write_table

        return write_table(table, numbers, self.out_dir / "tables", name)

    def write_csv(self, frame: "pd.DataFrame", name: str) -> Path:
        """Write the numbers behind a table; returns the path."""
        path = self.out_dir / "tables" / f"{name}.csv"
        frame.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
        return path

    def write_figure(self, figure: "Figure", name: str) -> list[Path]:
        """Write a figure as PNG and PDF; returns the paths."""
        from frod_bench.report.figures import save_figure

        folder = self.out_dir / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        return save_figure(figure, folder / name)


@dataclass(frozen=True)
class Kept:
    """The cells of an analysis.

    Attributes:
        config: the grid's composed configuration, without its choices.
        cells: those with a record and trained values.
        lacking: one line for each other cell, and a last one on how to run them.
    """

    config: DictConfig
    cells: tuple[Cell, ...]
    lacking: tuple[str, ...]

    @property
    def context(self) -> Context:
        """The context of the cells' profile; the folder has the experiment's name."""
        profile = self.config.profile
        protocols = ", ".join(dict.fromkeys(cell.protocol for cell in self.cells))
        caption = f"Profile {profile.name}, protocol {protocols}."
        if profile.stand_in:
            caption += " Data and backbones are synthetic: these are not the benchmarks' numbers."
        results_dir = Path(self.config.results_root).resolve() / str(profile.name)
        return Context(str(profile.title), caption, results_dir / str(self.config.experiment.name))


def kept_cells(overrides: Sequence[str]) -> Kept:
    """Return the cells of the overrides' grid that have trained values.

    Raises InputError if the experiment keeps none, or no cell of it has any yet.
    """
    config, cells = compose_cells(overrides)
    if config.experiment is None or config.save != "adapter":
        name = None if config.experiment is None else config.experiment.name
        raise InputError(
            f"experiment={name}, save={config.save}: keeps no trained models, which this analysis "
            "reads. Name an experiment with save: adapter, e.g. update_spectrum."
        )
    missing = set(plan(cells).missing)
    diverged = [cell for cell in cells if cell not in missing and _status(cell) != "ok"]
    lacking = [f"{cell.label}: no trained values" for cell in cells if cell in missing]
    lacking += [f"{cell.label}: diverged, and has no trained model" for cell in diverged]
    if missing:
        command = f"python -m frod_bench.run -m {shlex.join(overrides)}"
        lacking.append(f"{len(missing)} of {len(cells)} runs are missing. Run {command}")
    usable = tuple(cell for cell in cells if cell not in missing and cell not in diverged)
    if not usable:
        raise InputError(
            f"experiment={config.experiment.name}: none of its {len(cells)} runs has a trained "
            f"model under {cells[0].results_dir}. {lacking[-1]}"
        )
    return Kept(config, usable, tuple(lacking))


def _status(cell: Cell) -> str:
    return str(store.load(cell.record_path)["status"])
