"""One cell -> one record: where task, method, training loop and tracker meet."""

import functools
import logging
import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torch.nn import functional

from frod_bench import metrics
from frod_bench.cells import results
from frod_bench.cells.cell import Cell, cell_of, find_missing
from frod_bench.cells.code import code_digests
from frod_bench.cells.leftovers import remove_temporaries
from frod_bench.cells.results import Outcome
from frod_bench.common import locks, processes, secrets, stopping
from frod_bench.common.errors import InputError
from frod_bench.config.settings import Settings
from frod_bench.data.load import TaskData, load_data
from frod_bench.data.rows import Split
from frod_bench.methods.registry import (
    Model,
    Prepared,
    adapt_steps,
    check_sketches,
    prepare,
    sketches_of,
)
from frod_bench.models.classifier import build_classifier, check_reads, recompute_activations
from frod_bench.models.multiple_choice import build_multiple_choice
from frod_bench.records import store
from frod_bench.training import bf16_on_cpu, checkpoint, memory, tracker
from frod_bench.training.distributed import make_accelerator, name_blocks, send_buffers_once
from frod_bench.training.features import with_features
from frod_bench.training.loop import Point, Problem, Trainer, in_steps, predict

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """A cell with its data read and its model prepared."""

    cell: Cell
    accelerator: Accelerator
    data: TaskData
    prepared: Prepared
    prepare_sec: float


def execute(cell: Cell, *, waits: bool = True) -> Outcome:
    """Run one cell and save its record, with the status `failed` after an exception.

    Only one process runs a cell at a time. The next one waits and then finds the record; without
    `waits` it returns BUSY at once. Bad input raises InputError and leaves nothing. A run that is
    stopped, or that reaches its time limit, leaves only its checkpoint. If several processes train
    the cell together, the first one saves the record, and the others raise their own errors.
    """
    logging.getLogger("frod_bench").setLevel(logging.WARNING)  # Hydra sets it to INFO
    secrets.keep_out_of_logs()
    started_at = results.now()
    try:
        accelerator = make_accelerator(cell.settings)
        lock = locks.locked(cell.lock_path, cell.label, wait=waits)
        with lock if accelerator.is_main_process else nullcontext(False) as has_lock:
            is_missing = has_lock and bool(find_missing([cell]).missing)
            may_run, is_missing = broadcast_object_list([has_lock, is_missing])
            if not may_run:
                return Outcome(results.BUSY, "another process runs it")
            if not is_missing:
                found = results.outcome_of(store.load(cell.record_path))
                return found._replace(is_ours=False)
            if has_lock:
                remove_temporaries(cell)
            outcome = first_try(cell, accelerator, started_at)
            if outcome is None:
                accelerator.free_memory()
                accelerator = make_accelerator(cell.settings)  # its gradient scaler is new, too
                outcome = run_and_record(make_ready(cell, accelerator), started_at)
        accelerator.end_training()
    except InputError:
        raise
    except stopping.TimeIsUp as late:
        minutes = cell.settings.runtime.cell_minutes
        return Outcome(results.OVER_LIMIT, f"runtime.cell_minutes={minutes:g}; {late}")
    except Exception as error:
        if not processes.is_first():
            raise
        return results.leave_failure(cell, error)
    return outcome


def first_try(cell: Cell, accelerator: Accelerator, started_at: str) -> Outcome | None:
    """As `run_and_record`; None, with a warning, if the parameters of the best step were lost. The
    caller then tries again, when the error no longer holds this model.
    """
    try:
        return run_and_record(make_ready(cell, accelerator), started_at)
    except checkpoint.BestIsLostError as error:
        if processes.count() > 1:  # others may have read them
            raise
        logger.warning(
            "%s: %s The run resumes from an older checkpoint, or starts over.", cell.label, error
        )
        return None


def make_ready(
    cell: Cell, accelerator: Accelerator | None = None, *, blocks: int | None = None
) -> Ready:
    """Read the cell's data and backbone (of which `blocks`, if given, are the first ones that are
    read) and apply its method; writes nothing. Raises InputError if they do not fit together.
    """
    settings = cell.settings
    accelerator = accelerator or make_accelerator(settings)
    torch.set_num_threads(settings.runtime.threads)
    if cell_of(settings).config_hash != cell.config_hash:
        raise InputError(
            f"{cell.label}: its data set, backbone or method's function changed since the cell was "
            "planned. Start the same command again."
        )
    data = load_data(settings)
    model = build_model(settings, data.num_labels, blocks)
    backbone = settings.backbone
    sample = data.collate([data.train[0]])
    del sample["labels"]
    check_reads(model, sample, backbone.name, settings.task.name)
    memory.give_back_freed_memory()
    memory.reset_peaks(accelerator.device)
    started = time.perf_counter()
    prepared = prepare(model, settings.method, backbone, settings.seed)
    if settings.runtime.gradient_checkpointing:
        recompute_activations(prepared.model)
    name_blocks(prepared.model)
    return Ready(cell, accelerator, data, prepared, time.perf_counter() - started)


def run_and_record(ready: Ready, started_at: str) -> Outcome:
    """Run a cell, whether or not it has a record, and save its record."""
    cell = ready.cell
    if not ready.accelerator.is_main_process:
        return results.outcome_of(run_cell(ready, tracker.NullTracker())[0])
    code_digests()  # parses code, as importing wandb does: in two threads Python 3.11 may fail
    run = tracker.start(cell.config, cell.results_dir / "wandb", cell.label)
    try:
        document, _ = results.leave_record(
            cell,
            *run_cell(ready, run),
            started_at=started_at,
            device=str(ready.accelerator.device),
        )
    except stopping.EndedEarly as early:
        is_late = isinstance(early, stopping.TimeIsUp)
        run.finish({"status": results.OVER_LIMIT if is_late else "stopped"}, exit_code=1)
        raise
    except checkpoint.BestIsLostError:
        run.finish({"status": "failed"}, exit_code=1)
        raise
    except Exception as error:
        run.finish({"status": "failed"}, exit_code=1)
        return results.leave_failure(cell, error)
    numbers = {f"final/{name}": metric["value"] for name, metric in document["metrics"].items()}
    for part in ("params", "time"):
        numbers |= {f"{part}/{name}": value for name, value in document[part].items()}
    run.finish({"status": document["status"], **numbers})
    return results.outcome_of(document)


def run_cell(
    ready: Ready, run: tracker.NullTracker
) -> tuple[dict[str, Any], list[Point], pa.Table | None]:
    """Train and evaluate; return the record's measured fields, its curve and its predictions."""
    cell, prepared, settings = ready.cell, ready.prepared, ready.cell.settings
    accelerator, task = ready.accelerator, settings.task
    origin = origin_of(cell, prepared, accelerator)  # reads the code: not a part of set-up
    started = time.perf_counter()
    rates, minutes = settings.method.learning_rates, settings.runtime.cell_minutes
    bf16_on_cpu.adapt(prepared.model, accelerator)
    data, model = with_features(settings, ready.data, prepared, accelerator)
    trainer = Trainer(
        model,
        [
            {"name": name, "params": parameters, "lr": rates[name]}
            for name, parameters in prepared.groups.items()
        ],
        make_problem(settings, data),
        in_steps(settings.trainer, len(data.train)),
        seed=settings.seed,
        accelerator=accelerator,
        checkpoints=checkpoint.Checkpoints(
            cell.place("checkpoints"),
            settings.runtime.checkpoint_every_steps,
            origin,
        ),
        on_point=run.log,
        deadline=math.inf if minutes is None else time.monotonic() + 60 * minutes,
    )
    if settings.method.kind != "python":  # whose buffers may change
        send_buffers_once(trainer.model)
    adapt_steps(prepared.model, settings.method, trainer.optimizer)
    setup_sec = ready.prepare_sec + time.perf_counter() - started
    progress = trainer.run()
    last = progress.curve[-1]
    if settings.save == "adapter" and not progress.diverged:
        checkpoint.save_parameters(
            cell.adapter_path,
            prepared.model,
            sketches_of(prepared.model, settings.method),
            writes=accelerator.is_main_process,
        )
    measuring = time.perf_counter()
    found: dict[str, Any] = {}
    predictions, error = None, None
    if progress.diverged:
        error = {
            "type": "Diverged",
            "message": f"train loss {last['train_loss']}, held-out loss {last.get('eval_loss')}",
            "where": f"step {last['step']:g}",
        }
    else:
        found, predictions = final_metrics(trainer, settings, data)
    eval_sec = progress.eval_sec + time.perf_counter() - measuring
    body = {
        "status": "diverged" if progress.diverged else "ok",
        "error": error,
        "metrics": found,
        "primary_metric": task.primary_metric,
        "higher_is_better": metrics.HIGHER_IS_BETTER[task.primary_metric],
        "params": prepared.params,
        "time": {"setup_sec": setup_sec, "train_sec": progress.train_sec, "eval_sec": eval_sec},
        "steps": int(last["step"]),
        "tokens_or_images": progress.tokens,
        "memory": {
            "peak_rss_bytes": memory.peak_rss_bytes(),
            "peak_device_bytes": memory.peak_device_bytes(accelerator.device),
        },
        "data_counts": asdict(ready.data.counts) | {"prompt_digest": ready.data.prompt_digest},
        "machines": progress.machines,
    }
    return body, progress.curve, predictions


def origin_of(cell: Cell, prepared: Prepared, accelerator: Accelerator) -> checkpoint.Origin:
    """Return the origin of a cell's checkpoints: the cell, the code, the packages and the basis.

    Code and packages belong to it so that those in the record hold for all of its steps. The basis
    belongs to it because trained values fit one basis only, and another machine may compute
    another one.
    """
    model, method = prepared.model, cell.settings.method
    names = {"cell": cell.config_hash, "method": method.name, "device": accelerator.device.type}
    names |= {f"code of {part}": digest for part, digest in code_digests().items()}
    names |= {f"version of {name}": number for name, number in results.package_versions().items()}
    if method.kind != "frod":
        del names["code of layer"]
    if bf16_on_cpu.trains_so(accelerator):
        names["arithmetic"] = "bf16 on a CPU"
    (names,) = broadcast_object_list([names])  # processes of one run resume from one step
    return checkpoint.Origin(
        names,
        functools.cache(functools.partial(sketches_of, model, method)),
        functools.partial(check_sketches, model, method),
    )


def final_metrics(
    trainer: Trainer, settings: Settings, data: TaskData
) -> tuple[dict[str, dict[str, Any]], pa.Table]:
    """Return the record's metrics and predictions.

    The test rows are read nowhere else, unless the protocol measures the curve on them.
    """
    on_test = settings.protocol.metrics_split == "test"
    rows, exact = settings.trainer.test_rows, settings.trainer.exact_rows
    validation = subsample(data.validation, rows, exact=exact)
    found: dict[str, dict[str, Any]] = {}
    tables = []
    for name, split in (data.tests if on_test else {"test": validation}).items():
        logits, labels = predict(
            trainer.model, split, data.collate, trainer.config, trainer.accelerator
        )
        predictions = predictions_of(logits)
        suffix = "" if name == "test" else f"_{name}"
        measured = metrics.compute(settings.task.metrics, predictions, labels.numpy())
        found |= {metric + suffix: asdict(value) for metric, value in measured.items()}
        columns = {
            "split": [name if on_test else "validation"] * len(labels),
            "row_id": list(split.ids),
            "prediction": predictions,
            "label": labels.numpy(),
        }
        tables.append(pa.table(columns))
    return found, pa.concat_tables(tables)


def build_model(settings: Settings, num_labels: int, blocks: int | None = None) -> Model:
    """Build the family's backbone with a new head, or as a language model that answers itself; of
    its first `blocks` blocks alone, if given.
    """
    backbone = settings.backbone
    common: dict[str, Any] = {
        "revision": backbone.revision,
        "pretrained": settings.pretrained,
        "seed": settings.seed,
        "blocks": blocks,
    }
    if settings.head == "rank":
        return build_multiple_choice(settings.backbone_path, **common)
    return build_classifier(
        settings.backbone_path, pooling=backbone.pooling, num_labels=num_labels, **common
    )


def restore_trained(cell: Cell) -> Model:
    """Rebuild the trained model of a cell that was run with `save=adapter`: from the composed cell,
    never from a record's configuration, which could name any Python file as its method. Raises
    CheckpointError or InputError if frozen parts (FRoD's V and U) cannot be reproduced, or the
    method's own function has changed.
    """
    settings = cell.settings
    model = build_model(settings, load_data(settings).num_labels)
    prepared = prepare(model, settings.method, settings.backbone, settings.seed)
    made = store.load(cell.record_path) if cell.record_path.exists() else None
    if made is not None and (damage := store.damage_of(made, "adapter", cell.adapter_path)):
        logger.warning("%s: %s", cell.label, damage)
    kept = checkpoint.restore_parameters(cell.adapter_path, prepared.model)
    check_sketches(prepared.model, settings.method, kept)
    return prepared.model


def make_problem(settings: Settings, data: TaskData) -> Problem:
    """Describe the task to the training loop, without its name."""
    task, protocol, trainer = settings.task, settings.protocol, settings.trainer
    held_out = data.validation if protocol.curve_split == "validation" else data.tests["test"]
    picks_best = protocol.selection == "best"  # by the curve, which then covers the whole split
    if not picks_best:
        held_out = subsample(held_out, trainer.curve_rows, exact=trainer.exact_rows)
    sign = 1 if metrics.HIGHER_IS_BETTER[task.primary_metric] else -1

    def score(logits: Tensor, labels: Tensor) -> Point:
        found = metrics.compute(task.metrics, predictions_of(logits), labels.numpy())
        return {name: float(metric.value) for name, metric in found.items()}

    def is_better(new: Point, old: Point) -> bool:
        return sign * new[task.primary_metric] > sign * old[task.primary_metric]

    return Problem(
        train=data.train,
        held_out=held_out,
        collate=data.collate,
        loss=functional.cross_entropy if data.num_labels > 1 else squared_error,
        score=score,
        is_better=is_better if picks_best else None,
    )


def subsample(split: Split, rows: int | None, *, exact: bool) -> Split:
    """Return at most `rows` rows, spread evenly over the split.

    If the split has no more rows, all are returned. Otherwise, `exact` returns exactly `rows` rows.
    Without it, the rows are one whole stride apart, the smallest that gives at most `rows`.
    """
    if rows is None or rows >= len(split):
        return split
    if not exact:
        return split[:: -(-len(split) // rows)]
    chosen = (number * len(split) // rows for number in range(rows))
    return replace(split, ids=tuple(split.ids[number] for number in chosen))


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean squared error of logits (B x 1) against labels (B)."""
    return functional.mse_loss(logits.squeeze(-1), labels)


def predictions_of(logits: Tensor) -> np.ndarray:
    """Return class numbers (n), or the values themselves for regression (one logit)."""
    chosen = logits.argmax(dim=-1) if logits.shape[-1] > 1 else logits.squeeze(-1)
    return chosen.numpy()
