"""One row per cell: the numbers that every table is made of, for readers who want their own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from frod_bench.records.schema import CurvePoint
from frod_bench.report.frame import METHOD_KEY, TASK_KEY, Run, run_of
from frod_bench.report.names import csv_frame

COLUMNS = (
    *(*TASK_KEY, "family", *METHOD_KEY, "seed", "protocol", "config_hash", "settings_hash"),
    "status",
    *("metric", "value", "n", "stderr", "start_loss", "trainable", "trainable_head", "steps"),
    *("setup_sec", "train_sec", "eval_sec", "code_version"),
)


def cells_table(frame: pd.DataFrame, curves: Mapping[Run, Sequence[CurvePoint]]) -> pd.DataFrame:
    """The cells of `Collected.frame`, a row each.

    `value` is the primary metric on test in its own unit, `start_loss` the held-out loss before the
    first step, NaN if it was not measured.
    """
    runs = map(run_of, frame.itertuples(index=False))
    starts = [_start_loss(curves.get(run, ())) for run in runs]
    return csv_frame(frame.assign(start_loss=starts)[list(COLUMNS)])


def write_cells(table: pd.DataFrame, out_dir: Path) -> list[Path]:
    """Write `cells.csv`; floats with all their digits, so that runs can be compared bit for bit."""
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "cells.csv"
    table.to_csv(path, index=False)
    return [path]


def _start_loss(curve: Sequence[CurvePoint]) -> float:
    first = curve[0] if curve else {}
    loss = first.get("eval_loss") if first.get("step") == 0 else None
    return float("nan") if loss is None else float(loss)
