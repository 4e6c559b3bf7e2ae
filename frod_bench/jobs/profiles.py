"""How a profile's settings are chosen: learning rates (tune) and the tasks' difficulty (calibrate).

Learning rates of a family (`<family>_rank`: scored by log-likelihood) are those of the trial with
the best validation score, averaged over the tuning tasks.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from omegaconf import OmegaConf

from frod_bench import metrics
from frod_bench.cells.cell import Cell, records_of
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.arguments import parse
from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.common.paths import CONF_DIR, REFERENCE_DIR, check_writable
from frod_bench.records import store

WORST = -math.inf  # the score of a trial that diverged or failed
WRITTEN = "# Written by `python -m frod_bench.tune`"  # the first words of a table written here
SHIPPED_TABLES = CONF_DIR / "learning_rates"
ABOVE_CONSTANT, CEILING, BELOW_FULL = 10.0, 97.0, 5.0  # points


def trials(cells: Iterable[Cell], overrides: Sequence[str]) -> pd.DataFrame:
    """One row per cell: family, method, trial, task, metric, score, and `lr_<group>` columns."""
    rows = []
    for cell, document in records_of(cells, overrides):
        ok = document["status"] == "ok"
        value = document["metrics"][document["primary_metric"]]["value"] if ok else None
        rows.append(
            {
                "family": with_head(cell.family, cell.config.get("head", "classify")),
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
    """family -> method -> group -> learning rate of the best trial; the earlier one wins a tie.

    Raises InputError if no trial of a method has a score on every task.
    """
    picked: dict[str, dict[str, dict[str, float]]] = {}
    columns = [column for column in table if column.startswith("lr_")]
    for (family, method), group in table.groupby(["family", "method"], sort=False):
        means = group.groupby("trial")["score"].mean()
        if means.max() == WORST:
            raise InputError(
                f"{method} in {family}: none of {len(means)} trials has a score on every task, so "
                "no learning rate can be picked. Lower its range in "
                "conf/learning_rates/trial*.yaml, and run its trials again."
            )
        best = group[group["trial"] == means.idxmax()].iloc[0][columns].dropna()
        picked.setdefault(family, {})[method] = {
            name.removeprefix("lr_"): float(rate) for name, rate in best.items()
        }
    return picked


def with_others(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The trials, after those of other methods, families and heads that `path` already has."""
    if not path.exists():
        return table
    old, pair = pd.read_csv(path), ["family", "method"]
    is_replaced = old.set_index(pair).index.isin(table.set_index(pair).index)
    return pd.concat([old[~is_replaced], table], ignore_index=True)


def write_rates(picked: dict[str, Any], trial_count: int, experiment: str, path: Path) -> None:
    """Write the table of learning rates that a profile composes; keeps those of other methods."""
    old: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {}
    whole = {family: old.get(family, {}) | picked.get(family, {}) for family in old | picked}
    methods = ", ".join(dict.fromkeys(method for family in picked.values() for method in family))
    head = (
        f"{WRITTEN}: for {methods}, for each family the best of {trial_count} trials\n"
        f"# on validation (experiments/{experiment}.yaml); every trial is in "
        "results/<profile>/tables/tuning.csv. Others are unchanged.\n"
    )
    path.write_text(head + yaml.safe_dump(whole, sort_keys=False, default_flow_style=None))


def rates_path(profile: str, folder: Path) -> Path:
    """The file of a profile's tuned learning rates; never one that somebody wrote by hand."""
    path = folder / f"{profile}.yaml"
    by_hand = path.exists() and not path.read_text().startswith(WRITTEN)
    return folder / f"{profile}_tuned.yaml" if by_hand else path


def tune(words: Sequence[str]) -> None:
    """Read the trials' records, write the two tables and print their paths."""
    asked = parse("tune", words)
    named = asked.grid("tune")
    base, cells = compose_cells(named)
    results_dir, profile = cells[0].results_dir, base.profile.name
    table = trials(cells, named)
    picked = pick(table)
    check_writable(results_dir, value=str(base.results_root))
    tuning = results_dir / "tables" / "tuning.csv"
    tuning.parent.mkdir(parents=True, exist_ok=True)
    published = REFERENCE_DIR / profile / "tables" / "tuning.csv"
    whole = with_others(table, tuning if tuning.exists() else published)
    whole.to_csv(tuning, index=False)
    folder = Path(asked.values.get("out", results_dir / "learning_rates"))
    folder.mkdir(parents=True, exist_ok=True)
    shipped = rates_path(profile, SHIPPED_TABLES)
    path = folder / shipped.name
    if not path.exists() and shipped.exists():  # keeps what is not tuned now
        path.write_text(shipped.read_text())
    write_rates(picked, table["trial"].nunique(), base.experiment.name, path)
    print(tuning, path.resolve(), sep="\n")


def best_constant(path: Path, primary_metric: str) -> float:
    """The primary metric of the best constant answer on the test labels of the record at `path`."""
    table = pd.read_parquet(store.predictions_path(path))
    labels = table.loc[table["split"] == "test", "label"].to_numpy()
    scores = [
        metrics.compute([primary_metric], np.full_like(labels, a), labels)[primary_metric].value
        for a in np.unique(labels)
    ]
    return float(max(score for score in scores if score is not None))


def scores_of(cells: Iterable[Cell], overrides: Sequence[str]) -> pd.DataFrame:
    """One row per cell; start is frozen, full or random_full, scores and constants are points."""
    rows = []
    for cell, document in records_of(cells, overrides):
        if document["status"] != "ok":
            raise InputError(f"{cell.label}: {document['status']}, see {cell.record_path}.")
        name = document["primary_metric"]
        rows.append(
            {
                "family": cell.family,
                "task": cell.task,
                "metric": name,
                "start": cell.method if cell.config["pretrained"] else f"random_{cell.method}",
                "score": 100 * (document["metrics"][name]["value"] or 0.0),
                "constant": 100 * best_constant(cell.record_path, name),
            }
        )
    return pd.DataFrame(rows)


def calibration(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per task: constant, frozen, full, random_full (means over seeds), and in_band."""
    keys = ["family", "task", "metric"]
    wide = rows.pivot_table(index=keys, columns="start", values="score", sort=False)
    wide.insert(0, "constant", rows.groupby(keys, sort=False)["constant"].mean())
    wide = wide[["constant", "frozen", "full", "random_full"]].reset_index()
    wide["in_band"] = (
        (wide["full"] >= wide["constant"] + ABOVE_CONSTANT)
        & (wide["full"] <= CEILING)
        & (wide["frozen"] <= wide["full"] - BELOW_FULL)
    )
    return wide


def markdown(table: pd.DataFrame, title: str) -> str:
    """The table as text, with the mean gain from pretrained weights."""
    gain = (table["full"] - table["random_full"]).mean()
    head = (
        f"# Difficulty check: {title}\n\n"
        "Test scores in points (100 x the primary metric), means over seeds. Band: full at least "
        f"{ABOVE_CONSTANT:g} above the best constant answer and at most {CEILING:g}, the frozen "
        f"head at least {BELOW_FULL:g} below full.\n\n"
        f"Under full fine-tuning, pretrained weights score {gain:.1f} points more than random "
        f"ones, on the mean over {len(table)} tasks; {sum(table.in_band)} are in the band.\n\n"
        "| task | metric | best constant | frozen head | full | full from random | in band |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | --- |\n"
    )
    lines = [
        f"| {r.task} | {r.metric} | {r.constant:.1f} | {r.frozen:.1f} | {r.full:.1f} "
        f"| {r.random_full:.1f} | {'yes' if r.in_band else '**no**'} |"
        for r in table.itertuples()
    ]
    return head + "\n".join(lines) + "\n"


def calibrate(words: Sequence[str]) -> None:
    """Read the records, write the table, and print it."""
    named = parse("calibrate", words).grid("calibration")
    base, cells = compose_cells(named)
    table = calibration(scores_of(cells, named))
    folder = cells[0].results_dir / "tables"
    check_writable(folder, value=str(base.results_root))
    folder.mkdir(parents=True, exist_ok=True)
    table.round(2).to_csv(folder / "calibration.csv", index=False)
    text = markdown(table, base.profile.title)
    (folder / "calibration.md").write_text(text)
    print(text)
