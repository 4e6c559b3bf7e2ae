"""The searches of one command: they advance together, so that their runs share the workers.

Runs that have records are not run again: after an interruption the same command goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from frod_bench.cells.cell import Cell, cell_of
from frod_bench.common.errors import CellsFailed, InputError
from frod_bench.common.names import has_settings, with_head
from frod_bench.config.settings import Settings
from frod_bench.jobs.run import sweep
from frod_bench.records import store
from frod_bench.report.keys import FROZEN
from frod_bench.tuning import evidence
from frod_bench.tuning.procedure import (
    Asking,
    Point,
    Rules,
    around,
    rates_of,
    search,
    search_variant,
)

# Family, with the head if options are ranked, and method, with what an experiment varies of it.
Key = tuple[str, str]
# Profile -> the experiment whose procedure it is searched by.
SEARCHES = {
    "embedded": "tune",
    "small": "tune_small",
    "real": "tune_real",
    "paper": "tune_paper",
}
DEFAULT_PROFILE = "embedded"


def search_of(profile: str) -> str:
    """The experiment whose procedure a profile is searched by: the default's for one of yours."""
    return SEARCHES.get(profile, SEARCHES[DEFAULT_PROFILE])


class Searches:
    """The searches of one command, and what they have found so far."""

    def __init__(
        self,
        base: DictConfig,
        cells: Sequence[Cell],
        known_heads: Mapping[str, int],
        known_picks: Mapping[Key, Point] | None = None,
    ) -> None:
        self.base, self.rules = base, Rules.of(experiment_of(base))
        self.known_heads, self.known_picks = known_heads, known_picks or {}
        self.cells: dict[Key, list[Cell]] = {}  # one of each task and seed
        for cell in cells:
            of_key = self.cells.setdefault(key_of(cell), [])
            if any((other.task, other.seed) == (cell.task, cell.seed) for other in of_key):
                raise InputError(
                    f"{cell.label}: is in the grid at several settings, and a search is of one, "
                    "unless an experiment names what it varies. Search them one at a time, or name "
                    "such an experiment, e.g. experiment=budget_curve."
                )
            of_key.append(cell)
        self.ties = {key: tie_of(of_key[0].settings) for key, of_key in self.cells.items()}
        self.rows: dict[str, dict[str, object]] = {}  # by the hash of the cell
        self.picks: dict[Key, Point] = {}

    def run(self) -> None:
        """Search the frozen backbone's head rate first, then all other methods together."""
        frozen = [key for key in self.cells if key[1] == FROZEN.method]
        self._advance({key: self._begin(key) for key in frozen})
        self._advance({key: self._begin(key) for key in self.cells if key not in frozen})

    def check(self) -> None:
        """Raise InputError for a search that cannot begin."""
        for key in self.cells:
            self.first_points(key)

    def first_points(self, key: Key) -> int:
        """How many points the first stage of a search has. Raises InputError if it cannot begin."""
        return len(next(self._begin(key), ()))  # none if nothing of the method is trained

    def _begin(self, key: Key) -> Asking[Point] | Asking[Point | None]:
        first = self.cells[key][0]
        if has_settings(key[1]):
            return search_variant(self._known_pick(key[0], first.method), self.rules)
        if self.rules.around:
            return around(self._known_pick(*key), self.rules.around)
        rates = first.settings.method.learning_rates
        rules = self.rules.with_center_of(first.method, rates)
        return search(first.method, list(rates), self.head_start(key[0]), rules)

    def _known_pick(self, family: str, method: str) -> Point:
        """The pick of an earlier search. Raises InputError, with its command, if there is none."""
        pick = self.known_picks.get((family, method))
        if pick is None:
            profile = self.base.profile.name
            named = [] if profile == DEFAULT_PROFILE else [f"profile={profile}"]
            words = [f"experiment={search_of(profile)}", *named, f"method={method}"]
            raise InputError(
                f"{method} in {family}: has no pick of a search to begin with. Search it first: "
                f"frod-bench tune {' '.join(words)}."
            )
        return pick

    def head_start(self, family: str) -> int | None:
        """The grid step of the frozen backbone's best head rate, found now or before."""
        if (family, FROZEN.method) in self.picks:
            return self.picks[family, FROZEN.method].head
        return self.known_heads.get(family)

    def _advance(self, searches: Mapping[Key, Asking[Point] | Asking[Point | None]]) -> None:
        """Run what the searches ask for until each has its pick."""
        asked: dict[Key, list[Point]] = {}
        found: dict[Key, dict[Point, float]] = {}
        stuck: list[str] = []
        waiting = dict(searches)
        while waiting:
            for key, one in list(waiting.items()):
                try:
                    asked[key] = one.send(found[key]) if key in found else next(one)
                except StopIteration as done:
                    del waiting[key]
                    if done.value is not None:
                        self.picks[key] = done.value
                except InputError as error:
                    del waiting[key]
                    stuck.append(f"{key[1]} in {key[0]}: {error}")
            found = self._scores({key: asked[key] for key in waiting})
        if stuck:
            raise InputError(" ".join(stuck))

    def _scores(self, asked: Mapping[Key, list[Point]]) -> dict[Key, dict[Point, float]]:
        """Run the cells of the points that are asked for, and return their means in points."""
        cells = {
            (key, point): [self.at(cell, point) for cell in self.cells[key]]
            for key, points in asked.items()
            for point in points
        }
        self._run([cell for of_point in cells.values() for cell in of_point])
        means: dict[Key, dict[Point, float]] = {key: {} for key in asked}
        for (key, point), of_point in cells.items():
            rows = [evidence.row_of(cell, point) for cell in of_point]
            means[key][point] = evidence.mean_of(pd.DataFrame(rows))
            for cell, row in zip(of_point, rows, strict=True):
                self.rows.setdefault(cell.config_hash, row)
        return means

    def _run(self, cells: Sequence[Cell]) -> None:
        """Run what is missing. A run that diverges is an answer; one that fails is not."""
        if not cells:
            return
        try:
            sweep(self.base, cells)
        except CellsFailed:
            statuses = {store.status_at(cell.record_path) for cell in cells}
            if not statuses <= {"ok", "diverged"}:
                raise

    def at(self, cell: Cell, point: Point) -> Cell:
        """The cell with the learning rates of a point."""
        method, tie = cell.settings.method, self.ties[key_of(cell)]
        rates = rates_of(point, list(method.learning_rates), tie)
        return cell_of(replace(cell.settings, method=replace(method, learning_rates=rates)))

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Every run that was asked for, and the picks."""
        table = pd.DataFrame(self.rows.values())
        return table, evidence.pick_rows(table, self.picks, stride=self.rules.stride)


def key_of(cell: Cell) -> Key:
    """The search that a cell belongs to."""
    return with_head(cell.family, cell.settings.head), cell.variant


def tie_of(settings: Settings) -> float:
    """1 / sqrt(s k) for the backbone's hidden width k: a row of S then moves in L2 as far as its
    entry of lambda; 1 for methods without a rotation, and without sparse entries.
    """
    method = settings.method
    if method.kind != "frod" or method.sparse_rate == 0:
        return 1.0
    from frod_bench.models.loading import config_of  # imports torch

    config = config_of(settings.backbone.hub_id, settings.model_root)
    width = getattr(config, "hidden_size", None) or config.vision_config.hidden_size
    return float((method.sparse_rate * width) ** -0.5)


def experiment_of(base: DictConfig) -> dict[str, Any] | None:
    """The experiment as plain values, None if there is none."""
    found: Any = OmegaConf.to_container(base.experiment) if base.experiment else None
    return found
