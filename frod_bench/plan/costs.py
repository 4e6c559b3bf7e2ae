"""What each cell of a suite costs: parameters, memory, FLOPs and hours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from transformers import PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.config.settings import Settings
from frod_bench.models.classifier import tower_of
from frod_bench.models.published import config_of
from frod_bench.plan.accelerators import Accelerator
from frod_bench.plan.disk import Disk, disk_of
from frod_bench.plan.fit import DEVICES, Change, Fitted, Planned, changes, fit
from frod_bench.plan.measure import Load, measure_step, tokens_of, with_classes
from frod_bench.plan.ranking import options_of
from frod_bench.plan.shapes import prepare_shapes, probe_numbers
from frod_bench.plan.trace import Step


@dataclass(frozen=True)
class Counts:
    """Parameters of one cell.

    Attributes:
        trained: without the head.
        head: of the linear head.
        frozen_extra: numbers that the method freezes besides the backbone (FRoD's U, V, lambda_0).
        stored: numbers that the trained values take on the disk, without the head.
        backbone: parameters of the backbone as it is loaded.
    """

    trained: int
    head: int
    frozen_extra: int
    stored: int
    backbone: int


@dataclass(frozen=True)
class CellCost:
    """What one (task, method) costs on an accelerator; tasks and families that rank are called so.

    Attributes:
        variant: what tells it from others of its task and method, as overrides.
        row_tokens: tokens, or patches, of the rows that are counted.
        steps: 0 where nothing is trained.
        micro_batches: of a step, as configured.
        step_flops: of all micro-batches of a step.
        hours: with the change that makes it fit, on all its devices at once.
    """

    task: str
    family: str
    head: str
    method: str
    variant: str
    backbone: str
    num_labels: int
    row_tokens: int
    counts: Counts
    step: Step
    steps: int
    micro_batches: int
    step_flops: int
    hours: float
    fitted: Fitted
    disk: Disk

    @property
    def flops(self) -> int:
        """Of all steps."""
        return self.steps * self.step_flops

    @property
    def devices(self) -> int:
        """That it runs on, with the change that makes it fit."""
        return 1 if self.fitted.change is None else self.fitted.change.devices

    @property
    def label(self) -> str:
        """The method, and the variant where there are several."""
        return f"{self.method} {self.variant}".strip()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counts, step = self.counts, self.step
        change = self.fitted.change
        return {
            "task": self.task,
            "family": self.family,
            "method": self.method,
            "variant": self.variant,
            "backbone": self.backbone,
            "num_labels": self.num_labels,
            "row_tokens": self.row_tokens,
            "parameters": {
                "trainable": counts.trained,
                "trainable_with_head": counts.trained + counts.head,
                "frozen_extra": counts.frozen_extra,
                "stored": counts.stored,
                "stored_with_head": counts.stored + counts.head,
                "backbone": counts.backbone,
                "percent_of_backbone": 100 * counts.trained / counts.backbone,
            },
            "memory_bytes": {
                "weights": step.weight_bytes,
                "factors": step.factor_bytes,
                "gradients": step.gradient_bytes,
                "optimizer": step.optimizer_bytes,
                "activations": max(step.activation_bytes),
                "peak": step.peak_bytes,
            },
            "steps": self.steps,
            "micro_batches": self.micro_batches,
            "flops_a_step": self.step_flops,
            "flops": self.flops,
            "hours": self.hours,
            "fits": change == Change(),
            "change": None if change is None else change.as_dict(),
            "peak_bytes_with_change": self.fitted.peak_bytes,
            "disk_bytes": self.disk.as_dict(),
        }


class Planner:
    """Costs cells; those that are alike but for their head share one measurement."""

    def __init__(self, accelerator: Accelerator, say: Callable[[str], None]) -> None:
        self.accelerator, self.say = accelerator, say
        self._steps: dict[tuple[str, str, Load], Step] = {}
        self._counts: dict[tuple[str, str, str], Counts] = {}

    def cost(self, settings: Settings, variant: str = "") -> CellCost:
        """What the cell of `settings` costs.

        Raises InputError where the backbone's configuration is not there or the method does not
        fit it.
        """
        task, trainer = settings.task, settings.trainer
        backbone = settings.backbones[task.family]
        counts, load = self._counted(settings), self._load(settings)
        step, fitted = self._fitted(settings, load)
        steps, parts = trainer.max_steps, trainer.accumulation_steps
        if trains_nothing(settings):
            steps = parts = 0
        change = fitted.change or Change()
        flops = steps * flops_of(fitted.step, change.accumulation_steps or parts)
        trained = counts.trained + counts.head
        return CellCost(
            task=with_head(task.name, settings.head),
            family=with_head(task.family, settings.head),
            head=settings.head,
            method=settings.method.name,
            variant=variant,
            backbone=backbone.name,
            num_labels=task.num_labels,
            row_tokens=tokens_of(tower_of(config_for(settings)), backbone, load.options),
            counts=counts,
            step=step,
            steps=steps,
            micro_batches=parts,
            step_flops=flops_of(step, parts),
            hours=self.accelerator.hours(flops, trainer.mixed_precision),
            fitted=fitted,
            disk=disk_of(settings, trained, counts.stored - counts.trained),
        )

    def _load(self, settings: Settings) -> Load:
        trainer, backbone = settings.trainer, settings.backbones[settings.task.family]
        options = None
        if settings.head == "rank":
            options = options_of(settings.task, tokens_of(config_for(settings), backbone))
        idle = trains_nothing(settings)
        return Load(
            rows=trainer.eval_batch_rows if idle else trainer.batch_rows,
            mixed_precision=trainer.mixed_precision,
            accumulates=trainer.accumulation_steps > 1 and not idle,
            on_accelerator=not self.accelerator.on_cpu,
            options=options,
            checkpointing=settings.runtime.gradient_checkpointing and not idle,
        )

    def _fitted(self, settings: Settings, load: Load) -> tuple[Step, Fitted]:
        trainer, idle = settings.trainer, trains_nothing(settings)
        parts = 1 if idle else trainer.accumulation_steps
        whole = self._measured(settings, load)

        def measure(change: Change) -> Step | None:
            one = replace(
                load,
                rows=-(-(change.batch_rows or load.rows) // change.devices),
                checkpointing=load.checkpointing or change.checkpointing,
                accumulates=(change.accumulation_steps or parts) > 1,
            )
            try:
                return self._measured(settings, one)
            except InputError:  # of a backbone that computes nothing again
                return None

        candidates = changes(trainer.batch_rows, parts)
        if idle:
            candidates = [Change(devices=number) for number in DEVICES]
        planned = Planned(parts, *blocks_of(settings))
        return whole, fit(whole, planned, measure, candidates, self.accelerator.usable_bytes)

    def _counted(self, settings: Settings) -> Counts:
        """The cell's counts; the body is counted once for all heads."""
        backbone, classes = settings.backbones[settings.task.family], settings.task.num_labels
        key = (str(backbone), str(settings.method), settings.head)
        if key not in self._counts:
            one = replace(settings, task=replace(settings.task, num_labels=1))
            self._counts[key] = counts_of(one)
        counts = self._counts[key]
        return replace(counts, head=counts.head * classes)

    def _measured(self, settings: Settings, load: Load) -> Step:
        """The cell's step under `load`; the body is measured once for all heads."""
        backbone, config = settings.backbones[settings.task.family], config_for(settings)
        key = (str(backbone), str(settings.method), load)
        if key not in self._steps:
            what = f"{load.options.count} options a row, " if load.options else ""
            how = ", with checkpointing" if load.checkpointing else ""
            name = f"{settings.method.name} on {backbone.name}"
            self.say(f"measuring {name}, {what}{load.rows} rows{how}")
            self._steps[key] = measure_step(config, backbone, settings.method, load)
        width = tower_of(config).hidden_size
        return with_classes(self._steps[key], settings.task.num_labels, width, load)


def trains_nothing(settings: Settings) -> bool:
    """Whether it is zero-shot: the language model ranks, and none of it is trained."""
    return settings.head == "rank" and settings.method.kind == "frozen"


def config_for(settings: Settings) -> PretrainedConfig:
    """The configuration of the cell's backbone, whole."""
    return config_of(settings.backbones[settings.task.family].hub_id, settings.model_root)


def flops_of(step: Step, micro_batches: int) -> int:
    """Of all micro-batches of a step, where `step` is of one; merged weights are formed once."""
    return step.forming_flops + micro_batches * (step.flops - step.forming_flops)


def blocks_of(settings: Settings) -> tuple[int, int]:
    """How many blocks the cell's backbone has, and the bytes of the tables of tokens outside them:
    embeddings, and a language model's head that ranks and is not tied to them.
    """
    backbone, config = settings.backbones[settings.task.family], config_for(settings)
    tower = tower_of(config)
    tables = 0 if backbone.image_size else 1
    if settings.head == "rank" and not config.tie_word_embeddings:
        tables = 2
    outside = 4 * tables * tower.hidden_size * getattr(tower, "vocab_size", 0)
    return tower.num_hidden_layers, outside


def counts_of(settings: Settings) -> Counts:
    """The cell's parameters, counted on the meta device; equal to the installed model's."""
    backbone = settings.backbones[settings.task.family]
    num_labels = None if settings.head == "rank" else settings.task.num_labels
    prepared = prepare_shapes(config_for(settings), backbone, settings.method, num_labels)
    params = {name: int(value) for name, value in prepared.params.items()}
    trained = params["trainable"] - params["trainable_head"]
    return Counts(
        trained=trained,
        head=params["trainable_head"],
        frozen_extra=params["extra_frozen"],
        stored=trained + probe_numbers(prepared.model),
        backbone=params["backbone_total"],
    )
