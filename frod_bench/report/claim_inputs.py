"""What the claims are judged on: the runs that the rules name, and which of them are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.report.frame import Task
from frod_bench.report.rules import Rules
from frod_bench.stats import Floats

NOT_ASKED = "not in this experiment"
NAMED = 3  # cells that a line names one by one; more are counted


@dataclass(frozen=True)
class ClaimInputs:
    """The cells of `Collected.frame` on the tasks and seeds that the rules name."""

    frame: pd.DataFrame
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    protocol: str  # of the records; several are named one after the other

    def table(self, method: str, column: str, frame: pd.DataFrame | None = None) -> Floats:
        """A column as (tasks x seeds), NaN where a cell gave no number.

        `frame` may be another frame of the same cells, such as that of arrivals.
        """
        cells = self.frame if frame is None else frame
        cells = cells[cells["method"] == method]
        wide = cells.pivot_table(index="task", columns="seed", values=column, aggfunc="first")
        wide = wide.reindex(index=list(self.tasks), columns=list(self.seeds))
        return wide.to_numpy(dtype=np.float64)

    def missing(self, methods: Sequence[str], known: pd.Series) -> str:
        """What is missing of `methods`, method by method; empty where every cell is known.

        `known` says of each row of `frame` whether it has a number.
        """
        rows = zip(self.frame.itertuples(index=False), known, strict=True)
        state = {(r.method, r.task, r.seed): "" if ok else _why(str(r.status)) for r, ok in rows}
        lines = [f"records of several protocols: {self.protocol}"] if "," in self.protocol else []
        for method in dict.fromkeys(methods):
            lost: dict[str, list[str]] = {}
            for task in self.tasks:
                for seed in self.seeds:
                    if why := state.get((method, task, seed), NOT_ASKED):
                        lost.setdefault(why, []).append(f"{task} seed {seed}")
            for why, cells in lost.items():
                few = len(cells) <= NAMED
                lines.append(
                    f"{method}: {', '.join(cells) if few else f'{len(cells)} cells'} {why}"
                )
        return "; ".join(lines)


def claim_inputs(frame: pd.DataFrame, rules: Rules) -> ClaimInputs:
    """Pick the cells that the rules name. Raises InputError where they name no known suite."""
    tasks, seeds = suite_tasks(rules.suite), tuple(rules.seeds)
    named = frame["task"].isin(tasks) & frame["seed"].isin(seeds)
    protocols = ", ".join(sorted(frame.loc[named, "protocol"].dropna().unique()))
    named &= (frame["head"] == Task._field_defaults["head"]) & (frame["variant"] == "")
    return ClaimInputs(frame[named], tasks, seeds, protocols)


def suite_tasks(name: str, folder: Path = CONF_DIR / "suite") -> tuple[str, ...]:
    """The tasks of a suite. Raises InputError if there is none of that name."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise InputError(f"claims.yaml: suite={name}, but {path} does not exist. Use another.")
    return tuple(str(task) for task in OmegaConf.load(path).tasks)


def _why(status: str) -> str:
    return "without a number" if status == "ok" else status
