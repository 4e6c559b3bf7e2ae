"""Records that no run made: valid, of the size of real ones, with numbers drawn by a cell's hash.

They have what a run of the embedded profile leaves: a record, a curve with a line for each of
`STEPS` steps, and predictions of `ROWS` test rows.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells
from frod_bench.cells.results import provenance_of
from frod_bench.common import atomic
from frod_bench.config.settings import TaskConfig
from frod_bench.records import schema, store

STEPS, EVALUATED_EVERY, ROWS = 140, 10, 500
STARTED_AT = "2026-01-01T00:00:00+00:00"
SKILL = {"full": 0.8, "frod": 0.75, "lora": 0.74, "dora": 0.74}  # mean score; others less
LEAST_SKILL, SPREAD = 0.5, 0.02  # standard deviation over seeds


def write_grid(words: Sequence[str], root: Path) -> int:
    """Write the records of a grid's cells below `root`; returns how many."""
    _, cells = compose_cells([*words, f"results_root={root}"])
    write_records(cells)
    return len(cells)


def write_records(cells: Iterable[Cell]) -> None:
    """Write the record and the side files of each cell at its place."""
    with atomic.writing_many() as write:
        for cell in cells:
            path, random = cell.record_path, np.random.default_rng(int(cell.config_hash, 16))
            right = float(np.clip(random.normal(skill_of(cell), SPREAD), 0.0, 1.0))
            curve = curve_of(cell, right, random)
            predictions, score = predictions_of(cell.settings.task, right, random)
            document = record_of(cell, score, {"curve": curve, "predictions": predictions})
            write(store.curve_path(path), curve)
            write(store.predictions_path(path), predictions)
            write(path, json.dumps(document, indent=2).encode())


def skill_of(cell: Cell) -> float:
    """The share of test rows that the method gets right on the mean over seeds."""
    harder = int(hashlib.sha256(cell.task.encode()).hexdigest(), 16) % 20 / 100
    return SKILL.get(cell.method, LEAST_SKILL) - harder


def curve_of(cell: Cell, right: float, random: np.random.Generator) -> bytes:
    """A loss that falls to one minus `right`, and a score that rises to `right`."""
    task, noise = cell.settings.task, 0.02 * random.standard_normal(STEPS + 1)
    lines = []
    for step in range(STEPS + 1):
        done = 1 - np.exp(-5 * step / STEPS)
        line = {"step": step, "epoch": step / 40, "seconds": 0.066 * step}
        if step:
            line["train_loss"] = 2 - (1 + right) * done + noise[step]
            rates = cell.settings.method.learning_rates.items()
            line |= {f"lr_{group}": rate * (1 - step / STEPS) for group, rate in rates}
        if step % EVALUATED_EVERY == 0:
            line["eval_loss"] = 2 - (1 + right) * done
            line |= {task.primary_metric: right * done}
        lines.append(json.dumps(line) + "\n")
    return "".join(lines).encode()


def predictions_of(
    task: TaskConfig, right: float, random: np.random.Generator
) -> tuple[bytes, float]:
    """Predictions as a parquet file, of labels that all runs of a task share; the share right."""
    of_task = np.random.default_rng(int.from_bytes(task.name.encode()[:8]))
    classes = max(2, task.num_labels)
    labels = of_task.integers(classes, size=ROWS)
    wrong = (labels + random.integers(1, classes, size=ROWS)) % classes
    found = np.where(random.random(ROWS) < right, labels, wrong)
    table = pa.table(
        {
            "split": pa.array([task.test_split] * ROWS),
            "row_id": np.arange(ROWS),
            "prediction": found,
            "label": labels,
        }
    )
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue(), float((found == labels).mean())


def record_of(cell: Cell, score: float, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The record of a run that was ok."""
    path, metric = cell.record_path, cell.settings.task.primary_metric
    document: dict[str, Any] = {
        "schema_version": schema.SCHEMA_VERSION,
        "cell": cell.identity,
        "provenance": provenance_of(cell, STARTED_AT, "cpu"),
        "config": cell.config,
        "status": "ok",
        "error": None,
        "metrics": {
            metric: {"value": score, "n": ROWS, "stderr": (score * (1 - score) / ROWS) ** 0.5}
        },
        "primary_metric": metric,
        "higher_is_better": True,
        "params": {
            "trainable": 30_000,
            "trainable_head": 10_000,
            "backbone_total": 1_000_000,
            "extra_frozen": 0,
            "trainable_percent": 2.0,
        },
        "time": {"setup_sec": 0.2, "train_sec": 0.066 * STEPS, "eval_sec": 1.0},
        "steps": STEPS,
        "tokens_or_images": 32 * STEPS,
        "memory": {"peak_rss_bytes": 900_000_000, "peak_device_bytes": None},
        "data_counts": {"rows_read": 1_500, "rows_unusable": 0, "sequences_cut": 0},
        "curve": store.curve_path(path).name,
        "predictions": store.predictions_path(path).name,
        "files": {"adapter": None} | {kind: store.digest(one) for kind, one in files.items()},
    }
    schema.validate(document)
    return document
