"""Pick each method's learning rates from the trials of `experiment=tune`.

    python -m frod_bench.run -m experiment=tune
    python -m frod_bench.tune [profile=embedded results_root=results] [out=conf/learning_rates]
    python -m frod_bench.tune experiment=tune_small profile=small

A method's rates in a family (in `<family>_rank`, where options are ranked) are those of the trial
with the best mean of the primary metric over the tuning tasks, on validation. Every method has the
same number of trials; one that diverged or failed counts as worst. Writes
`<results>/<profile>/tables/tuning.csv` (every trial) and the profile's table of learning rates,
`<results>/<profile>/learning_rates/<profile>.yaml`. With `out=conf/learning_rates` the table goes
to the suite's own configuration, which the next run composes; a table there that was written by
hand is kept, and the new one called <profile>_tuned.yaml.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from omegaconf import OmegaConf

from frod_bench.cells.cell import Cell, records_of
from frod_bench.cells.grid import compose_cells
from frod_bench.cells.inputs import check_writable
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR, REFERENCE_DIR
from frod_bench.records import hashing

WORST = -math.inf
WRITTEN = "# Written by `python -m frod_bench.tune`"  # how a table of rates that is ours begins


def trials(cells: Iterable[Cell], overrides: Sequence[str]) -> pd.DataFrame:
    """One row a cell: family, method, trial, task, score, and its rates as one text."""
    rows = []
    for cell, document in records_of(cells, overrides):
        ok = document["status"] == "ok"
        value = document["metrics"][document["primary_metric"]]["value"] if ok else None
        rows.append(
            {
                "family": hashing.headed(cell.family, cell.config),
                "method": cell.method,
                "trial": cell.config["trial"],
                "task": cell.task,
                "metric": document["primary_metric"],
                "score": WORST if value is None else value,
                **{f"lr_{k}": v for k, v in cell.config["method"]["learning_rates"].items()},
            }
        )
    return pd.DataFrame(rows)


def pick(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """family -> method -> group -> rate of the best trial; the earlier one wins a tie.

    Raises InputError where no trial of a method came to a score.
    """
    picked: dict[str, dict[str, dict[str, float]]] = {}
    rates = [column for column in table if column.startswith("lr_")]
    for (family, method), group in table.groupby(["family", "method"], sort=False):
        means = group.groupby("trial")["score"].mean()
        if means.max() == WORST:
            raise InputError(
                f"{method} in {family}: none of {len(means)} trials has a score on every task, so "
                "no rate can be picked. Lower its box in conf/learning_rates/trial*.yaml, and run "
                "its trials again."
            )
        best = means.idxmax()
        row = group[group["trial"] == best].iloc[0][rates].dropna()
        picked.setdefault(family, {})[method] = {
            name.removeprefix("lr_"): float(rate) for name, rate in row.items()
        }
    return picked


def with_others(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The trials, behind those of other methods, families and heads that are at `path` already."""
    if not path.exists():
        return table
    old = pd.read_csv(path)
    new = set(zip(table["family"], table["method"], strict=True))
    pairs = zip(old["family"], old["method"], strict=True)
    return pd.concat([old[[pair not in new for pair in pairs]], table], ignore_index=True)


def write_rates(picked: dict[str, Any], trial_count: int, experiment: str, path: Path) -> None:
    """The table of rates that a profile composes; what it has of others stays."""
    old: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    whole = {family: old.get(family, {}) | picked.get(family, {}) for family in old | picked}
    others = whole != picked
    methods = ", ".join(dict.fromkeys(method for family in picked.values() for method in family))
    head = (
        f"{WRITTEN}: for each family {'of' if others else 'and'} "
        f"{methods if others else 'method'} the best of {trial_count} trials\n"
        f"# on validation (experiments/{experiment}.yaml); every trial is in "
        f"results/<profile>/tables/tuning.csv.{' The rest is as it was.' if others else ''}\n"
    )
    path.write_text(head + yaml.safe_dump(whole, sort_keys=False, default_flow_style=None))


def rates_path(profile: str, folder: Path) -> Path:
    """Where a profile's tuned rates go: not over a table with sources, which somebody wrote."""
    path = folder / f"{profile}.yaml"
    by_hand = path.exists() and not path.read_text().startswith(WRITTEN)
    return folder / f"{profile}_tuned.yaml" if by_hand else path


def start(words: Sequence[str]) -> None:
    """Read the trials' records, write the two tables."""
    with exit_statuses():
        outs = [word for word in words if word.startswith("out=")]
        words = [word for word in words if word not in outs]
        asked = [word for word in words if word.startswith("experiment=")]
        named = [*([] if asked else ["experiment=tune"]), *words]
        base, cells = compose_cells(named)
        table = trials(cells, named)
        picked = pick(table)
        check_writable(cells[0].results_dir)
        tables = cells[0].results_dir / "tables"
        tables.mkdir(parents=True, exist_ok=True)
        trials_so_far = tables / "tuning.csv"
        if not trials_so_far.exists():
            trials_so_far = REFERENCE_DIR / base.profile.name / "tables" / "tuning.csv"
        whole = with_others(table, trials_so_far)
        whole.to_csv(tables / "tuning.csv", index=False)
        folder = cells[0].results_dir / "learning_rates"
        if outs:
            folder = Path(outs[-1].removeprefix("out="))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / rates_path(base.profile.name, CONF_DIR / "learning_rates").name
        current = CONF_DIR / "learning_rates" / path.name
        if not path.exists() and current.exists():  # what is not tuned now stays as it is
            path.write_text(current.read_text())
        write_rates(picked, table["trial"].nunique(), base.experiment.name, path)
        print(f"{tables / 'tuning.csv'}\n{path.resolve()}")
