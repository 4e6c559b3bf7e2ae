"""The loop: one model, its parameter groups and a stream of batches -> a curve.

It knows no task and no method by name. Step t of seed g sees the same rows and the same random
numbers whenever it is run, so a run that goes on from a checkpoint is, on a CPU, bit for bit the
run that was not interrupted.

Several processes (accelerate's) train one model: each takes an equal share of every micro-batch
and of what is predicted, so that but for rounding, and for what dropout draws, the curve is that of
one.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import Parameter
from torch.utils.data import DataLoader

from frod_bench.config.settings import TrainerConfig
from frod_bench.training import checkpoint

Batch = dict[str, Tensor]
Point = dict[str, float]
Collate = Callable[[Sequence[Any]], Batch]


@dataclass(frozen=True)
class Problem:
    """What is to be learned, without its name."""

    train: Sequence[Any]
    held_out: Sequence[Any]  # what the curve is measured on
    collate: Collate
    loss: Callable[[Tensor, Tensor], Tensor]  # logits (B x C), labels (B) -> scalar
    score: Callable[[Tensor, Tensor], Point]  # logits, labels of a whole split -> its metrics
    is_better: Callable[[Point, Point], bool] | None = None  # given: keep the best step's model


@dataclass
class Progress:
    """What a run has done so far; kept in checkpoints."""

    curve: list[Point] = field(default_factory=list)
    train_sec: float = 0.0
    eval_sec: float = 0.0
    rows: int = 0  # rows trained on
    tokens: int = 0  # tokens or images trained on, padding left out
    diverged: bool = False
    best: Point | None = None


def rows_of_step(step: int, count: int, rows_a_step: int, seed: int) -> list[int]:
    """Row numbers of step `step` (from 0) in a stream of reshuffled epochs.

    Stateless: epoch e is a permutation drawn by a generator that (seed, e) alone seeds.
    """
    start = step * rows_a_step
    numbers = []
    for position in range(start, start + rows_a_step):
        epoch, offset = divmod(position, count)
        numbers.append(_permutation(count, seed, epoch)[offset])
    return numbers


@functools.lru_cache(maxsize=8)
def _permutation(count: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    permutation: list[int] = torch.randperm(count, generator=generator).tolist()
    return permutation


class StepBatches:
    """Batch sampler from step `first` on: `accumulation_steps` micro-batches a step."""

    def __init__(self, count: int, config: TrainerConfig, seed: int, first: int) -> None:
        self.count, self.config, self.seed, self.first = count, config, seed, first
        self.batch_size, self.drop_last = config.batch_rows, False  # accelerate shares them out

    def __iter__(self) -> Iterator[list[int]]:
        size = self.config.batch_rows
        for step in range(self.first, self.config.max_steps):
            rows = rows_of_step(step, self.count, size * self.config.accumulation_steps, self.seed)
            for start in range(0, len(rows), size):
                yield rows[start : start + size]

    def __len__(self) -> int:
        return (self.config.max_steps - self.first) * self.config.accumulation_steps


def rate_factor(step: int, config: TrainerConfig) -> float:
    """Factor on every learning rate at step `step` (from 1): linear warm-up, then the schedule."""
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
    """Trains `model` in place; goes on from the newest checkpoint in `checkpoints`, if any."""

    def __init__(
        self,
        model: nn.Module,
        groups: dict[str, list[Parameter]],
        learning_rates: Mapping[str, float],
        problem: Problem,
        config: TrainerConfig,
        *,
        seed: int,
        accelerator: Accelerator,
        checkpoints: Path,
        checkpoint_every_steps: int,
        on_point: Callable[[Point], None] = lambda _point: None,
    ) -> None:
        self.problem, self.config, self.seed = problem, config, seed
        self.accelerator, self.on_point = accelerator, on_point
        self.checkpoints, self.checkpoint_every_steps = checkpoints, checkpoint_every_steps
        self.rates = dict(learning_rates)
        # Nothing to train is a run too, of no steps: a frozen language model that ranks options.
        self.last_step = config.max_steps if groups else 0
        optimizer = torch.optim.AdamW(
            [{"params": group, "lr": self.rates[name]} for name, group in groups.items()]
            or [{"params": []}],
            weight_decay=config.weight_decay,
        )
        self.bare = model  # what checkpoints know: without the wrapper of DDP
        if groups:
            self.model, self.optimizer = accelerator.prepare(model, optimizer)
        else:
            self.model, self.optimizer = accelerator.prepare_model(model, None, True), optimizer
        restored = checkpoint.restore(
            checkpoints,
            model,
            self.optimizer,
            accelerator.scaler,
            progress_fields=vars(Progress()),
        )
        self.first_step, kept = restored or (0, {})
        self.progress = Progress(**kept)
        batches = StepBatches(len(problem.train), config, seed, self.first_step)
        loader: DataLoader[Any] = DataLoader(
            problem.train,  # type: ignore[arg-type]  # a sequence is a map-style data set
            batch_sampler=batches,
            collate_fn=problem.collate,
        )
        self.loader = accelerator.prepare_data_loader(loader)

    def run(self) -> Progress:
        """Train to the last step, or to a loss that is NaN or infinite (`diverged`).

        With `problem.is_better` the model of the best evaluation is put back at the end.
        """
        progress, last = self.progress, self.last_step
        for point in progress.curve:
            self.on_point(point)
        if not progress.curve:
            self.add_point({"step": 0, "epoch": 0.0, "seconds": 0.0}, evaluate=True)
        batches = iter(self.loader)
        for step in range(self.first_step + 1, last + 1):
            point = self.train_step(step, batches)
            due = step % self.config.eval_every_steps == 0 or step == last
            self.add_point(point, evaluate=due and math.isfinite(point["train_loss"]))
            losses = (point["train_loss"], point.get("eval_loss", 0.0))
            progress.diverged = not all(map(math.isfinite, losses))
            if progress.diverged:
                break
            if step % self.checkpoint_every_steps == 0 and step < last:
                self.save_checkpoint(step)
        if progress.best is not None:
            self.accelerator.wait_for_everyone()  # the one that writes may still be at it
            checkpoint.restore_parameters(self.checkpoints / checkpoint.BEST, self.bare)
            self.accelerator.wait_for_everyone()  # and may remove it once the record is there
        return progress

    def save_checkpoint(self, step: int) -> None:
        """Keep all that a run that goes on after `step` needs."""
        checkpoint.save(
            self.checkpoints,
            step,
            self.bare,
            self.optimizer,
            self.accelerator.scaler,
            progress=vars(self.progress),
            writes=self.accelerator.is_main_process,
        )

    def train_step(self, step: int, batches: Iterator[Batch]) -> Point:
        """One optimizer step (numbered from 1) on `accumulation_steps` micro-batches."""
        started = time.perf_counter()
        progress, accelerator = self.progress, self.accelerator
        parts, processes = self.config.accumulation_steps, accelerator.num_processes
        self.model.train()
        factor = rate_factor(step, self.config)
        for group, rate in zip(self.optimizer.param_groups, self.rates.values(), strict=True):
            group["lr"] = rate * factor
        total = 0.0
        for part in range(parts):
            batch = next(batches)
            # Dropout depends on nothing but this. (After `next`: a loader's start draws too.)
            drawn = (self.seed * 1_000_003 + step) * parts + part
            torch.manual_seed(drawn * processes + accelerator.process_index)
            labels = batch.pop("labels")
            mask = batch.get("attention_mask")
            tokens = torch.tensor(len(labels)) if mask is None else mask.sum()
            progress.rows += len(labels) * processes
            progress.tokens += int(accelerator.reduce(tokens.to(accelerator.device), "sum"))
            syncing = nullcontext() if part == parts - 1 else accelerator.no_sync(self.model)
            with syncing:
                with accelerator.autocast():
                    loss = self.problem.loss(self.model(**batch), labels) / parts
                accelerator.backward(loss)
            total += accelerator.reduce(loss.detach(), "mean").item()
        accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress.train_sec += time.perf_counter() - started
        rates = {f"lr_{name}": rate * factor for name, rate in self.rates.items()}
        epoch = progress.rows / len(self.problem.train)
        return {
            "step": step,
            "epoch": epoch,
            "seconds": progress.train_sec,
            "train_loss": total,
            **rates,
        }

    def add_point(self, point: Point, *, evaluate: bool) -> None:
        """Put a point on the curve; with what the model now gives on the curve's split."""
        if evaluate:
            point |= self.evaluate()
            self.keep_if_best(point)
        self.progress.curve.append(point)
        self.on_point(point)

    def evaluate(self) -> Point:
        """Loss and metrics on the curve's split."""
        started = time.perf_counter()
        logits, labels = predict(
            self.model, self.problem.held_out, self.problem.collate, self.config, self.accelerator
        )
        point = {"eval_loss": self.problem.loss(logits, labels).item()}
        if math.isfinite(point["eval_loss"]):
            point |= self.problem.score(logits, labels)
        self.progress.eval_sec += time.perf_counter() - started
        return point

    def keep_if_best(self, point: Point) -> None:
        """Keep the model beside the checkpoints where the protocol picks the best step."""
        better, best = self.problem.is_better, self.progress.best
        finite = math.isfinite(point["eval_loss"])
        if finite and better is not None and (best is None or better(point, best)):
            self.progress.best = dict(point)
            file, writes = self.checkpoints / checkpoint.BEST, self.accelerator.is_main_process
            checkpoint.save_parameters(file, self.bare, writes=writes)


@torch.no_grad()
def predict(
    model: nn.Module,
    rows: Sequence[Any],
    collate: Collate,
    config: TrainerConfig,
    accelerator: Accelerator,
) -> tuple[Tensor, Tensor]:
    """Logits (n x C, float32) and labels (n) of `rows` in their order, on the CPU.

    Each process answers its share of every batch, and all of them get all answers.
    """
    model.eval()
    logits, labels = [], []
    for start in range(0, len(rows), config.eval_batch_rows):
        stop = min(start + config.eval_batch_rows, len(rows))
        share = -(-(stop - start) // accelerator.num_processes)
        first = start + accelerator.process_index * share
        # Shares are equal: the last row stands in where there is none, and is cut off again.
        chunk = [rows[min(i, stop - 1)] for i in range(first, first + share)]
        batch = {name: t.to(accelerator.device) for name, t in collate(chunk).items()}
        labels.append(accelerator.gather(batch.pop("labels"))[: stop - start].cpu())
        with accelerator.autocast():
            answers = model(**batch).float()
        logits.append(accelerator.gather(answers)[: stop - start].cpu())
    return torch.cat(logits), torch.cat(labels)
