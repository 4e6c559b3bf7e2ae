"""One cell -> one record: where tasks, methods, the loop and the tracker meet."""

import json
import shutil
import time
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional

from frod_bench import checkpoint, memory, metrics, models, provenance, record, tracker
from frod_bench.errors import InputError
from frod_bench.methods import Prepared, prepare
from frod_bench.settings import Settings, TaskConfig
from frod_bench.sweep import Cell
from frod_bench.tasks import Split, TaskData, load_task
from frod_bench.train import Point, Problem, Progress, Trainer, predict


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, in the few words that a progress display needs."""

    status: str  # ok | failed | diverged
    record_path: Path
    summary: str  # the primary metric, or the error


def execute(cell: Cell) -> Outcome:
    """Run one cell and leave its record.

    An exception inside the run becomes a `failed` record. Raises InputError, before anything is
    written, where the input is at fault.
    """
    started_at = now()
    settings = typed(cell.config)
    torch.set_num_threads(settings.runtime.threads)
    run = tracker.start(cell.config, cell.results_dir / "wandb", cell.label)
    try:
        body = run_cell(cell, settings, run)
    except InputError:
        raise
    except Exception as error:
        body = failed_body(cell, error)
    document = leave_record(cell, body, started_at)
    run.finish(summary_of(document), exit_code=int(body["status"] == "failed"))
    return Outcome(body["status"], cell.record_path, words(document))


def record_failure(cell: Cell, error: Exception) -> Outcome:
    """Leave the `failed` record of a cell that could not be run at all."""
    document = leave_record(cell, failed_body(cell, error), now())
    return Outcome("failed", cell.record_path, words(document))


def leave_record(cell: Cell, body: dict[str, Any], started_at: str) -> dict[str, Any]:
    """Save the record made of `body`, then drop the checkpoints it makes needless."""
    document = {
        "schema_version": record.SCHEMA_VERSION,
        "cell": cell.identity,
        "provenance": origin(cell, started_at),
        "config": cell.config,
        **body,
    }
    record.save(document, cell.record_path)
    if body["status"] != "failed":
        shutil.rmtree(cell.place("checkpoints"), ignore_errors=True)
    return document


def now() -> str:
    """The time of day in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_cell(cell: Cell, settings: Settings, run: tracker.NullTracker) -> dict[str, Any]:
    """Train and evaluate; the record's fields that come of it."""
    task, trainer_config = settings.task, settings.trainer
    accelerator = make_accelerator(settings)
    memory.reset_peaks(accelerator.device)
    data = load_data(settings)
    model = build_model(settings, data.num_labels)
    started = time.perf_counter()
    prepared = prepare(model, settings.method, settings.backbones[task.family], settings.seed)
    trainer = Trainer(
        prepared.model,
        prepared.groups,
        settings.method.learning_rates,
        make_problem(settings, data),
        trainer_config,
        seed=settings.seed,
        accelerator=accelerator,
        checkpoints=cell.place("checkpoints"),
        checkpoint_every_steps=settings.runtime.checkpoint_every_steps,
        on_point=run.log,
    )
    setup_sec = time.perf_counter() - started
    progress = trainer.run()
    tested = time.perf_counter()
    on_test = settings.protocol.metrics_split == "test"  # touched here, and only here
    splits = data.tests if on_test else {"test": data.validation}
    measured = {} if progress.diverged else measure(trainer, splits, task, cell.record_path)
    write_curve(cell.record_path, progress.curve)
    if settings.save == "adapter" and not progress.diverged:
        checkpoint.save_parameters(cell.adapter_path, prepared.model)
    eval_sec = progress.eval_sec + time.perf_counter() - tested
    return {
        "status": "diverged" if progress.diverged else "ok",
        "error": divergence(progress) if progress.diverged else None,
        "metrics": measured,
        "primary_metric": task.primary_metric,
        "higher_is_better": metrics.HIGHER_IS_BETTER[task.primary_metric],
        "params": prepared.params,
        "time": {"setup_sec": setup_sec, "train_sec": progress.train_sec, "eval_sec": eval_sec},
        "steps": int(progress.curve[-1]["step"]),
        "tokens_or_images": progress.tokens,
        "memory": {
            "peak_rss_bytes": memory.peak_rss_bytes(),
            "peak_device_bytes": memory.peak_device_bytes(accelerator.device),
        },
        "data_counts": asdict(data.counts) | {"prompt_digest": data.prompt_digest},
        "predictions": None if progress.diverged else record.predictions_path(cell.record_path).name,
        "curve": record.curve_path(cell.record_path).name,
    }


def typed(config: Mapping[str, Any]) -> Settings:
    """The resolved configuration as the dataclasses of `settings`."""
    schema = OmegaConf.structured(Settings)
    settings: Settings = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.create(dict(config))))  # type: ignore[assignment]
    return settings


def load_data(settings: Settings) -> TaskData:
    """The task's splits, prepared for its family's backbone."""
    backbone = settings.backbones[settings.task.family]
    return load_task(
        settings.task,
        backbone,
        source_of(settings.model_root, backbone.hub_id),
        data_root=settings.data_root,
        validation_percent=settings.protocol.validation_percent,
        train_rows=settings.trainer.train_rows,
        test_rows=settings.trainer.test_rows,
        seed=settings.seed,
    )


def build_model(settings: Settings, num_labels: int) -> models.Classifier:
    """The family's backbone with a head for the task."""
    backbone = settings.backbones[settings.task.family]
    return models.build(
        source_of(settings.model_root, backbone.hub_id),
        revision=backbone.revision,
        pooling=backbone.pooling,
        num_labels=num_labels,
        pretrained=settings.pretrained,
        seed=settings.seed,
    )


def restore_trained(record_path: Path) -> Prepared:
    """The trained model of a cell that was run with `save=adapter`."""
    document = record.load(record_path)
    settings = typed(document["config"])
    cell = document["cell"]
    model = build_model(settings, load_data(settings).num_labels)
    prepared = prepare(
        model, settings.method, settings.backbones[settings.task.family], settings.seed
    )
    folder = record_path.parents[3] / "adapters" / cell["task"] / cell["method"]
    checkpoint.restore_parameters(folder / f"{record_path.stem}.safetensors", prepared.model)
    return prepared


def source_of(model_root: str | None, hub_id: str) -> str:
    """What `from_pretrained` is given: a folder under `model_root`, or the Hub id."""
    return hub_id if model_root is None else str(Path(model_root) / hub_id)


def make_accelerator(settings: Settings) -> Accelerator:
    """An accelerator for the device that `runtime.device` names."""
    AcceleratorState._reset_state(reset_partial_state=True)  # another cell may ask for another
    return Accelerator(
        cpu=settings.runtime.device == "cpu", mixed_precision=settings.trainer.mixed_precision
    )


def make_problem(settings: Settings, data: TaskData) -> Problem:
    """What the loop needs to know of the task, without its name."""
    task, protocol = settings.task, settings.protocol
    held_out: Split = data.validation if protocol.curve_split == "validation" else data.tests["test"]
    limit = settings.trainer.curve_rows

    def score(logits: Tensor, labels: Tensor) -> Point:
        found = metrics.compute(task.metrics, predictions_of(logits), labels.numpy())
        return {name: float(metric.value) for name, metric in found.items()}

    sign = 1 if metrics.HIGHER_IS_BETTER[task.primary_metric] else -1

    def is_better(new: Point, old: Point) -> bool:
        return sign * new[task.primary_metric] > sign * old[task.primary_metric]

    return Problem(
        train=data.train,
        held_out=held_out if limit is None else held_out[:limit],
        collate=data.collate,
        loss=functional.cross_entropy if data.num_labels > 1 else squared_error,
        score=score,
        is_better=is_better if protocol.selection == "best" else None,
    )


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error of logits (B x 1) against labels (B)."""
    return functional.mse_loss(logits.squeeze(-1), labels)


def predictions_of(logits: Tensor) -> np.ndarray:
    """Class numbers, or the values themselves for regression (one logit)."""
    chosen = logits.argmax(dim=-1) if logits.shape[-1] > 1 else logits.squeeze(-1)
    return chosen.numpy()


def measure(
    trainer: Trainer, splits: Mapping[str, Split], task: TaskConfig, record_path: Path
) -> dict[str, dict[str, Any]]:
    """Metrics of each split, and the predictions beside the record."""
    measured, columns = {}, []
    for name, split in splits.items():
        logits, labels = predict(
            trainer.model, split, trainer.problem.collate, trainer.config, trainer.accelerator
        )
        predictions = predictions_of(logits)
        suffix = "" if name == "test" else f"_{name}"
        for metric, found in metrics.compute(task.metrics, predictions, labels.numpy()).items():
            measured[metric + suffix] = {
                "value": found.value, "n": found.n, "stderr": found.stderr,
            }  # fmt: skip
        columns.append(
            pa.table(
                {
                    "split": [name] * len(labels),
                    "row_id": [str(row.id) for row in split],
                    "prediction": predictions,
                    "label": labels.numpy(),
                }
            )
        )
    record_path.parent.mkdir(parents=True, exist_ok=True)
    replace(record.predictions_path(record_path), lambda file: pq.write_table(pa.concat_tables(columns), file))
    return measured


def write_curve(record_path: Path, curve: list[Point]) -> None:
    """One JSON object a line."""
    text = "".join(json.dumps(finite(point)) + "\n" for point in curve)
    record_path.parent.mkdir(parents=True, exist_ok=True)
    replace(record.curve_path(record_path), lambda file: file.write_text(text))


def finite(point: Point) -> dict[str, float | None]:
    """The point with null in place of NaN and infinities, which JSON has no words for."""
    return {name: value if np.isfinite(value) else None for name, value in point.items()}


def replace(path: Path, write: Any) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it there."""
    partial = path.with_name(f".{path.name}.part")
    write(partial)
    partial.replace(path)


def divergence(progress: Progress) -> dict[str, str]:
    """The record's `error` of a run whose loss left the finite numbers."""
    last = progress.curve[-1]
    return {
        "type": "Diverged",
        "message": f"train loss is {last['train_loss']}",
        "where": f"step {last['step']}",
    }


def failed_body(cell: Cell, exception: Exception) -> dict[str, Any]:
    """The record's fields for a cell that raised."""
    error = {
        "type": type(exception).__name__,
        "message": str(exception),
        "where": "".join(traceback.format_exception(exception)),
    }
    task = cell.config["task"]
    empty = dict.fromkeys(("params", "time", "memory", "predictions", "curve"))
    return {
        "status": "failed",
        "error": error,
        "metrics": {},
        "primary_metric": task["primary_metric"],
        "higher_is_better": True,
        "steps": 0,
        "tokens_or_images": 0,
        **empty,
    }


def origin(cell: Cell, started_at: str) -> dict[str, Any]:
    """The record's `provenance`."""
    runtime, precision = cell.config["runtime"], cell.config["trainer"]["mixed_precision"]
    version, dirty = provenance.code_version()
    dtypes = {"no": "float32", "bf16": "bfloat16 (mixed)", "fp16": "float16 (mixed)"}
    return {
        "code_version": version,
        "dirty": dirty,
        "packages": provenance.package_versions(),
        "device": runtime["device"],
        "dtype": dtypes[precision],
        "threads": runtime["threads"],
        "data_fingerprint": cell.data_fingerprint,
        "backbone_fingerprint": cell.backbone_fingerprint,
        "started_at": started_at,
    }


def summary_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the tracker shows of a finished cell."""
    values = {f"test/{name}": metric["value"] for name, metric in document["metrics"].items()}
    counts = {f"params/{name}": value for name, value in (document["params"] or {}).items()}
    times = {f"time/{name}": value for name, value in (document["time"] or {}).items()}
    return {"status": document["status"], **values, **counts, **times}


def words(document: Mapping[str, Any]) -> str:
    """The primary metric, or the error, in a few words."""
    if document["status"] == "ok":
        metric = document["metrics"][document["primary_metric"]]
        return f"{document['primary_metric']} {metric['value']:.3f}"
    return f"{document['error']['type']}: {document['error']['message']}"
