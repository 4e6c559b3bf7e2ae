"""Seconds of attaching and of a training step, as ratios to full fine-tuning in one run.

    python -m frod_bench.bench [rounds=15]

One thread, the embedded backbones, a batch of their own size of random inputs; methods take turns
step by step, so that a machine whose speed drifts slows them all alike. Absolute seconds are this
machine's; the ratios are what to compare. Writes `results/bench/embedded.json`.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from frod_bench.cell import build_model, typed
from frod_bench.complaints import exit_statuses
from frod_bench.errors import InputError
from frod_bench.grid import compose_cells
from frod_bench.methods import Prepared, prepare
from frod_bench.settings import Settings

METHODS = ("full", "lora", "dora", "frod")
TEXT_TOKENS = 32  # tokens a row
OUT = Path("results/bench/embedded.json")


@dataclass
class Contender:
    """One method on one backbone, and its times."""

    prepared: Prepared
    optimizer: torch.optim.Optimizer
    attach_sec: float
    step_sec: list[float] = field(default_factory=list)
    forward_sec: list[float] = field(default_factory=list)

    def step(self, inputs: dict[str, Tensor], labels: Tensor) -> None:
        """One training step, timed."""
        self.prepared.model.train()
        started = time.perf_counter()
        loss = torch.nn.functional.cross_entropy(self.prepared.model(**inputs), labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step_sec.append(time.perf_counter() - started)

    @torch.no_grad()
    def forward(self, inputs: dict[str, Tensor]) -> None:
        """One evaluation of the batch, timed."""
        self.prepared.model.eval()
        self.prepared.model(**inputs)  # a merged weight is formed once, and not timed
        started = time.perf_counter()
        self.prepared.model(**inputs)
        self.forward_sec.append(time.perf_counter() - started)


def make_contender(settings: Settings) -> Contender:
    """Prepare the method; attaching is timed."""
    model = build_model(settings, settings.task.num_labels)
    backbone = settings.backbones[settings.task.family]
    started = time.perf_counter()
    prepared = prepare(model, settings.method, backbone, settings.seed)
    attach_sec = time.perf_counter() - started
    groups = [{"params": group, "lr": 1e-4} for group in prepared.groups.values()]
    return Contender(prepared, torch.optim.AdamW(groups), attach_sec)


def make_batch(settings: Settings, model_config: object) -> tuple[dict[str, Tensor], Tensor]:
    """Random inputs of the family, and labels."""
    rows = settings.trainer.batch_rows
    labels = torch.zeros(rows, dtype=torch.int64)
    if settings.task.family == "vision":
        size = settings.backbones["vision"].image_size
        return {"pixel_values": torch.randn(rows, 3, size, size)}, labels
    vocabulary: int = model_config.vocab_size  # type: ignore[attr-defined]
    ids = torch.randint(5, vocabulary, (rows, TEXT_TOKENS))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels


def race(task: str, rounds: int) -> list[dict[str, float | str]]:
    """All methods on the task's backbone, taking turns; one row a method."""
    grid = [f"task={task}", f"method={','.join(METHODS)}", "tracker=none"]
    contenders = {}
    for cell in compose_cells(grid)[1]:
        settings = typed(cell.config)
        contenders[cell.method] = make_contender(settings)
    inputs, labels = make_batch(settings, contenders["full"].prepared.model.backbone.config)
    for warm_up in (True, *[False] * rounds):
        for contender in contenders.values():
            contender.step(inputs, labels)
            contender.forward(inputs)
            if warm_up:
                contender.step_sec.clear()
                contender.forward_sec.clear()
    reference = contenders["full"]
    return [
        {
            "family": settings.task.family,
            "method": name,
            "attach_sec": contender.attach_sec,
            "step_sec": statistics.median(contender.step_sec),
            "forward_sec": statistics.median(contender.forward_sec),
            "step_ratio": ratio(contender.step_sec, reference.step_sec),
            "forward_ratio": ratio(contender.forward_sec, reference.forward_sec),
        }
        for name, contender in contenders.items()
    ]


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the ratios of paired times."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    """Race on one task a family, print the table, write it down."""
    rounds = 15
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name != "rounds" or not value.isdigit() or int(value) < 1:
            raise InputError(f"{word}: allowed is rounds=N with N at least 1.")
        rounds = int(value)
    torch.set_num_threads(1)
    rows = [row for task in ("rte", "boolq", "eurosat") for row in race(task, rounds)]
    table = Table(title=f"medians of {rounds} rounds, one thread; ratios to full fine-tuning")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()))
    Console().print(table)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rounds": rounds, "threads": 1, "rows": rows}, indent=2) + "\n")
    print(OUT)


if __name__ == "__main__":
    with exit_statuses():
        main()
