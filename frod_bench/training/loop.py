"""The training loop: a model, its parameter groups and a stream of batches -> a curve. Step t of
seed g always sees the same rows and random numbers, so on a CPU a resumed run is bit for bit the
run that was never interrupted. Several processes each take an equal share of every batch.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader

from frod_bench.common import stopping
from frod_bench.common.processes import device_name
from frod_bench.config.settings import TrainerConfig
from frod_bench.training import bf16_on_cpu, length_groups
from frod_bench.training.checkpoint import Checkpoints, TrainingState

Batch = dict[str, Tensor]
Point = dict[str, float]
Collate = Callable[[Sequence[Any]], Batch]


@dataclass(frozen=True)
class Problem:
    """What the model learns."""

    train: Sequence[Any]
    held_out: Sequence[Any]  # the curve is measured on these rows
    collate: Collate
    loss: Callable[[Tensor, Tensor], Tensor]  # logits (B x C), labels (B) -> scalar
    score: Callable[[Tensor, Tensor], Point]  # logits and labels of all held-out rows -> metrics
    is_better: Callable[[Point, Point], bool] | None = None  # if given, the best step's model wins


@dataclass
class Progress:
    """What a run has done so far; part of its checkpoints."""

    curve: list[Point] = field(default_factory=list)
    train_sec: float = 0.0
    eval_sec: float = 0.0
    rows: int = 0  # rows trained on
    tokens: int = 0  # tokens or images trained on, without padding
    diverged: bool = False
    best: Point | None = None
    machines: list[str] = field(default_factory=list)  # processors or GPUs that it ran on, by name


def rows_of_step(step: int, count: int, rows_per_step: int, seed: int) -> list[int]:
    """Return the row numbers of step `step` (from 0) in a stream of epochs; the order of epoch e
    depends on (seed, e) alone.
    """
    numbers = []
    for position in range(step * rows_per_step, (step + 1) * rows_per_step):
        epoch, offset = divmod(position, count)
        numbers.append(_permutation(count, seed, epoch)[offset])
    return numbers


@functools.lru_cache(maxsize=8)
def _permutation(count: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    permutation: list[int] = torch.randperm(count, generator=generator).tolist()
    return permutation


class StepBatches:
    """Batch sampler that starts after step `first`: `accumulation_steps` micro-batches per step."""

    def __init__(self, count: int, config: TrainerConfig, seed: int, first: int) -> None:
        self.count, self.config, self.seed, self.first = count, config, seed, first
        self.batch_size, self.drop_last = config.batch_rows, False  # accelerate reads them

    def __iter__(self) -> Iterator[list[int]]:
        size = self.config.batch_rows
        for step in range(self.first, self.config.max_steps):
            rows = rows_of_step(step, self.count, size * self.config.accumulation_steps, self.seed)
            for start in range(0, len(rows), size):
                yield rows[start : start + size]

    def __len__(self) -> int:
        return (self.config.max_steps - self.first) * self.config.accumulation_steps


def in_steps(config: TrainerConfig, rows: int) -> TrainerConfig:
    """Turn the epochs of a configuration into steps on `rows` rows, at most its `max_steps` if it
    has any, with an evaluation at the end of each epoch unless it has `eval_every_steps`.
    """
    if config.epochs is None:
        return config
    rows_per_step = config.batch_rows * config.accumulation_steps
    steps = max(1, math.ceil(config.epochs * rows / rows_per_step))
    return replace(
        config,
        max_steps=min(steps, config.max_steps or steps),
        eval_every_steps=config.eval_every_steps or max(1, math.ceil(rows / rows_per_step)),
    )


def lr_multiplier(step: int, config: TrainerConfig) -> float:
    """Return the factor on every learning rate at step `step` (from 1): warm-up, then schedule."""
    warmup = math.ceil(config.max_steps * config.warmup_percent / 100)
    if step <= warmup:
        return step / warmup
    done = (step - 1 - warmup) / max(1, config.max_steps - warmup)
    match config.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return 1 - done
        case _:
            return 1.0


class Trainer:
    """Trains a model in place, from the newest usable checkpoint if there is one.

    `groups` are torch's parameter groups, each with `params`, `lr` and a `name`. Without groups the
    run has no steps (zero-shot). `on_point` is called with every point of the curve. After
    `deadline`, a time of `time.monotonic`, no step begins, except the first one.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[dict[str, Any]],
        problem: Problem,
        config: TrainerConfig,
        *,
        seed: int,
        accelerator: Accelerator,
        checkpoints: Checkpoints,
        on_point: Callable[[Point], None] = lambda _point: None,
        deadline: float = math.inf,
    ) -> None:
        self.problem, self.config, self.seed = problem, config, seed
        self.deadline = deadline
        self.accelerator, self.checkpoints, self.on_point = accelerator, checkpoints, on_point
        self.learning_rates = {group["name"]: group["lr"] for group in groups}
        self.last_step = config.max_steps if groups else 0
        optimizer = torch.optim.AdamW(
            [dict(group) for group in groups] or [{"params": []}],
            weight_decay=config.weight_decay,
            **bf16_on_cpu.optimizer_arguments(groups, accelerator),
        )
        self.unwrapped = model
        if groups:
            self.model, self.optimizer = accelerator.prepare(model, optimizer)
        else:
            self.model, self.optimizer = accelerator.prepare_model(model, None, True), optimizer
        self.state = TrainingState(model, self.optimizer, accelerator.scaler)
        restored = checkpoints.restore(self.state, Progress)
        self.first_step, progress = restored or (0, {})
        self.progress = Progress(**progress)
        own = device_name(accelerator.device)
        for machine in gather_object([own]):  # of all processes
            if machine and machine not in self.progress.machines:
                self.progress.machines.append(machine)
        loader: DataLoader[Any] = DataLoader(
            problem.train,  # type: ignore[arg-type]  # a sequence is a map-style data set
            batch_sampler=StepBatches(len(problem.train), config, seed, self.first_step),
            collate_fn=problem.collate,
        )
        self.loader = accelerator.prepare_data_loader(loader)

    def run(self) -> Progress:
        """Train to the last step, or until a loss is NaN or infinite (`diverged`). With
        `problem.is_better` the model ends with the parameters of the best evaluation. Raises
        EndedEarly, with a checkpoint of the last step, if the process is asked to stop or the
        deadline has passed.
        """
        progress, last = self.progress, self.last_step
        for point in progress.curve:
            self.on_point(point)
        if not progress.curve:
            self.add_point({"step": 0, "epoch": 0.0, "seconds": 0.0}, evaluate=True)
        batches = iter(self.loader)
        with stopping.deferred():
            for step in range(self.first_step + 1, last + 1):
                point = self.train_step(step, batches)
                is_due = step % self.config.eval_every_steps == 0 or step == last
                self.add_point(point, evaluate=is_due and math.isfinite(point["train_loss"]))
                losses = (point["train_loss"], point.get("eval_loss", 0.0))
                progress.diverged = not all(map(math.isfinite, losses))
                if progress.diverged:
                    break
                end = self.reason_to_end(step)
                if end or (step % self.checkpoints.every_steps == 0 and step < last):
                    writes = self.accelerator.is_main_process
                    self.checkpoints.save(step, self.state, vars(progress), writes=writes)
                if end:
                    raise end
        if progress.best is not None:
            self.accelerator.wait_for_everyone()  # the main process may still write the file
            self.checkpoints.restore_best(progress.best, self.unwrapped)
            self.accelerator.wait_for_everyone()  # it removes the file after saving the record
        return progress

    def reason_to_end(self, step: int) -> stopping.EndedEarly | None:
        """Why the run has to end after `step`, if it does; all processes agree."""
        is_stopped = stopping.requested()
        is_late = step < self.last_step and time.monotonic() > self.deadline
        if self.accelerator.num_processes > 1:
            flags = torch.tensor([float(is_stopped), float(is_late)])
            total = self.accelerator.reduce(flags.to(self.accelerator.device), "sum")
            is_stopped, is_late = (total > 0).tolist()
        if is_stopped:
            return stopping.Stopped("a signal to another of its processes")
        return stopping.TimeIsUp(f"its checkpoint is of step {step}") if is_late else None

    def train_step(self, step: int, batches: Iterator[Batch]) -> Point:
        """Take one optimizer step (numbered from 1) on `accumulation_steps` micro-batches."""
        started = time.perf_counter()
        progress, accelerator = self.progress, self.accelerator
        parts, processes = self.config.accumulation_steps, accelerator.num_processes
        self.model.train()
        multiplier = lr_multiplier(step, self.config)
        rates = {name: rate * multiplier for name, rate in self.learning_rates.items()}
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["name"]]
        total = 0.0
        for part in range(parts):
            batch = next(batches)
            # Dropout depends on this seed alone. Set after `next`: a loader draws when it starts.
            micro_batch = (self.seed * 1_000_003 + step) * parts + part
            torch.manual_seed(micro_batch * processes + accelerator.process_index)
            labels = batch.pop("labels")
            mask = batch.get("attention_mask")
            tokens = torch.tensor(len(labels)) if mask is None else mask.sum()
            progress.rows += len(labels) * processes
            progress.tokens += int(accelerator.reduce(tokens.to(accelerator.device), "sum"))
            is_last = part == parts - 1
            with nullcontext() if is_last else accelerator.no_sync(self.model):
                with accelerator.autocast():
                    outputs = length_groups.forward(self.model, batch, self.config.length_groups)
                    loss = self.problem.loss(outputs, labels) / parts
                accelerator.backward(loss)
            total += accelerator.reduce(loss.detach(), "mean").item()
        if self.config.clip_norm is not None:
            accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.train_sec += time.perf_counter() - started
        return {
            "step": step,
            "epoch": progress.rows / len(self.problem.train),
            "seconds": progress.train_sec,
            "train_loss": total,
            **{f"lr_{name}": rate for name, rate in rates.items()},
        }

    def add_point(self, point: Point, *, evaluate: bool) -> None:
        """Append a point to the curve, with loss and metrics on the held-out rows if it is due."""
        if evaluate:
            point |= self.evaluate()
            better, best = self.problem.is_better, self.progress.best
            is_finite = math.isfinite(point["eval_loss"])
            if is_finite and better is not None and (best is None or better(point, best)):
                self.progress.best = dict(point)
                writes = self.accelerator.is_main_process
                self.checkpoints.save_best(point, self.unwrapped, writes=writes)
        self.progress.curve.append(point)
        self.on_point(point)

    def evaluate(self) -> Point:
        """Return loss and metrics on the held-out rows."""
        started = time.perf_counter()
        logits, labels = predict(
            self.model, self.problem.held_out, self.problem.collate, self.config, self.accelerator
        )
        point = {"eval_loss": self.problem.loss(logits, labels).item()}
        if math.isfinite(point["eval_loss"]):
            point |= self.problem.score(logits, labels)
        self.progress.eval_sec += time.perf_counter() - started
        return point


@torch.no_grad()
def predict(
    model: nn.Module,
    rows: Sequence[Any],
    collate: Collate,
    config: TrainerConfig,
    accelerator: Accelerator,
) -> tuple[Tensor, Tensor]:
    """Return the logits (n x C, float32) and labels (n) of `rows` in their order, on the CPU; each
    process computes its share, and all receive all results.
    """
    model.eval()
    logits, labels = [], []
    for start in range(0, len(rows), config.eval_batch_rows):
        stop = min(start + config.eval_batch_rows, len(rows))
        share = -(-(stop - start) // accelerator.num_processes)
        first = start + accelerator.process_index * share
        # Shares are equal: they are filled up with the last row, which is cut off again below.
        chunk = [rows[min(i, stop - 1)] for i in range(first, first + share)]
        batch = {name: t.to(accelerator.device) for name, t in collate(chunk).items()}
        labels.append(accelerator.gather(batch.pop("labels"))[: stop - start].cpu())
        with accelerator.autocast():
            outputs = length_groups.forward(model, batch, config.length_groups).float()
        logits.append(accelerator.gather(outputs)[: stop - start].cpu())
    return torch.cat(logits), torch.cat(labels)
