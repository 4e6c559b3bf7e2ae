"""`frod-bench calibrate`: do methods beat the best constant answer without solving the task?"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from frod_bench import metrics
from frod_bench.cells.cell import Cell, records_of
from frod_bench.cells.grid import compose_cells
from frod_bench.cli.arguments import parse
from frod_bench.common import atomic
from frod_bench.common.errors import InputError
from frod_bench.common.paths import check_writable
from frod_bench.records import store

STARTS = ("frozen", "full", "random_full")
ABOVE_CONSTANT, CEILING, BELOW_FULL = 10.0, 97.0, 5.0  # points


def best_constant(path: Path, primary_metric: str) -> float:
    """The primary metric of the best constant answer on the test labels of the record at `path`.
    Raises InputError if its predictions cannot be read.
    """
    place = store.predictions_path(path)
    try:
        table = pd.read_parquet(place)
    except (OSError, ValueError) as error:  # Arrow's are of these kinds
        raise InputError(
            f"{place}: cannot be read ({error}). Remove the record {path.name} next to it, and "
            "run the cell again."
        ) from error
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
    """One row per task: constant, frozen, full, random_full (means over seeds), and in_band.
    Raises InputError if the runs are not of all three kinds.
    """
    keys = ["family", "task", "metric"]
    wide = rows.pivot_table(index=keys, columns="start", values="score", sort=False)
    if lost := [start for start in STARTS if start not in wide]:
        raise InputError(
            f"calibrate: has no run of {', '.join(lost)}, and needs frozen, full, and full from "
            "random weights. Name an experiment that has them, as calibration has, and all of its "
            "methods."
        )
    wide.insert(0, "constant", rows.groupby(keys, sort=False)["constant"].mean())
    wide = wide[["constant", *STARTS]].reset_index()
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
    atomic.write_text(folder / "calibration.csv", table.round(2).to_csv(index=False))
    text = markdown(table, base.profile.title)
    atomic.write_text(folder / "calibration.md", text)
    print(text)
