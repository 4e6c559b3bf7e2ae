"""Does a profile measure anything? The table of where each task lies between guessing and solved.

    python -m frod_bench.run -m experiment=calibration
    python -m frod_bench.calibrate [profile=embedded results_root=results]

For each task, on test and in points: the best constant answer, the frozen head, full fine-tuning,
and full fine-tuning from random weights. The band: full at least 10 over the constant and at most
97, the frozen head at least 5 under full. Writes `<results>/<profile>/tables/calibration.{md,csv}`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from frod_bench import metrics
from frod_bench.cells.cell import Cell, records_of
from frod_bench.cells.grid import compose_cells
from frod_bench.cells.inputs import check_writable
from frod_bench.cli.exits import exit_statuses
from frod_bench.common.errors import InputError
from frod_bench.common.terminal import plain_console
from frod_bench.records import store

OVER_CONSTANT, CEILING, UNDER_FULL = 10.0, 97.0, 5.0  # points


def best_constant(path: Path, primary_metric: str) -> float:
    """The primary metric of the constant answer that does best on the labels of a record's test."""
    table = pd.read_parquet(store.predictions_path(path))
    labels = table.loc[table["split"] == "test", "label"].to_numpy()
    scores = [
        metrics.compute([primary_metric], np.full_like(labels, a), labels)[primary_metric].value
        for a in np.unique(labels)
    ]
    return float(max(score for score in scores if score is not None))


def measured(cells: Iterable[Cell], overrides: Sequence[str]) -> pd.DataFrame:
    """One row a cell: task, what it is (frozen, full, random), score and constant in points."""
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
    """One row a task: constant, frozen, full, random_full (means over seeds), and the band."""
    keys = ["family", "task", "metric"]
    wide = rows.pivot_table(index=keys, columns="start", values="score", sort=False)
    wide.insert(0, "constant", rows.groupby(keys, sort=False)["constant"].mean())
    wide = wide[["constant", "frozen", "full", "random_full"]].reset_index()
    wide["in_band"] = (
        (wide["full"] >= wide["constant"] + OVER_CONSTANT)
        & (wide["full"] <= CEILING)
        & (wide["frozen"] <= wide["full"] - UNDER_FULL)
    )
    return wide


def markdown(table: pd.DataFrame, title: str) -> str:
    """The table for people, with what pretraining gives on the mean over tasks."""
    gain = (table["full"] - table["random_full"]).mean()
    head = (
        f"# Calibration: {title}\n\n"
        "Test scores in points (100 x the primary metric), means over seeds. Band: full at least "
        f"{OVER_CONSTANT:g} over the best constant answer and at most {CEILING:g}, the frozen head "
        f"at least {UNDER_FULL:g} under full.\n\n"
        f"Pretrained weights give {gain:.1f} points over random ones under full fine-tuning, on "
        f"the mean over {len(table)} tasks; {sum(table.in_band)} are in the band.\n\n"
        "| task | metric | best constant | frozen head | full | full from random | in band |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | --- |\n"
    )
    lines = [
        f"| {r.task} | {r.metric} | {r.constant:.1f} | {r.frozen:.1f} | {r.full:.1f} "
        f"| {r.random_full:.1f} | {'yes' if r.in_band else '**no**'} |"
        for r in table.itertuples()
    ]
    return head + "\n".join(lines) + "\n"


def calibrate(overrides: Sequence[str], console: Console) -> None:
    """Read the records, write the table, and show it."""
    named = ["experiment=calibration", *overrides]
    base, cells = compose_cells(named)
    table = calibration(measured(cells, named))
    check_writable(cells[0].results_dir)
    folder = cells[0].results_dir / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    table.round(2).to_csv(folder / "calibration.csv", index=False)
    text = markdown(table, base.profile.title)
    (folder / "calibration.md").write_text(text)
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def start(words: Sequence[str]) -> None:
    """The command line; exits with its status."""
    with exit_statuses():
        calibrate(words, plain_console())
