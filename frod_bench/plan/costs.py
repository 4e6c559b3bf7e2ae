"""What each cell of a suite costs: parameters, memory, FLOPs and hours."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from transformers import PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.config.settings import Settings
from frod_bench.models.classifier import tower_of
from frod_bench.models.loading import config_of
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
        stored: numbers that the trained values take on disk, without the head.
        backbone: parameters of the backbone as it is loaded.
    """

    trained: int
    head: int
    frozen_extra: int
    stored: int
    backbone: int

    @property
    def percent(self) -> float:
        """Trained parameters without the head, in percent of the backbone."""
        return 100 * self.trained / self.backbone


@dataclass(frozen=True)
class CellCost:
    """What a task and method cost on an accelerator.

    Attributes:
        head: classify or rank.
        variant: overrides that distinguish it from other cells of its task and method.
        row_tokens: tokens, or patches, of the rows that are counted.
        steps: 0 if nothing is trained.
        micro_batches: per step, as configured.
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
        """FLOPs of all steps."""
        return self.steps * self.step_flops

    @property
    def devices(self) -> int:
        """Number of devices with the change that makes it fit."""
        return 1 if self.fitted.change is None else self.fitted.change.devices

    @property
    def label(self) -> str:
        """The method, and the variant if there are several."""
        return f"{self.method} {self.variant}".strip()

    @property
    def task_label(self) -> str:
        """The task, marked if options are ranked."""
        return with_head(self.task, self.head)

    @property
    def family_label(self) -> str:
        """The family, marked if options are ranked."""
        return with_head(self.family, self.head)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the JSON document."""
        counts, step, change = self.counts, self.step, self.fitted.change
        return {
            "task": self.task_label,
            "family": self.family_label,
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
                "percent_of_backbone": counts.percent,
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
            "disk_bytes": asdict(self.disk),
        }


class Planner:
    """Estimates cells; those that differ only in their head share one measurement."""

    def __init__(self, accelerator: Accelerator, say: Callable[[str], None]) -> None:
        """
        Args:
            say: reports each measurement before it starts.
        """
        self.accelerator, self.say = accelerator, say
        self._steps: dict[tuple[str, str, Load], Step] = {}
        self._counts: dict[tuple[str, str, str], Counts] = {}

    def cost(self, settings: Settings, variant: str = "") -> CellCost:
        """Return what the cell of `settings` costs.

        Raises InputError if the backbone's configuration is missing or the method does not fit it.
        """
        task, trainer = settings.task, settings.trainer
        backbone = settings.backbones[task.family]
        counts, load = self._counted(settings), self._load(settings)
        step, fitted = self._fitted(settings, load)
        steps, parts = trainer.max_steps, trainer.accumulation_steps
        if is_zero_shot(settings):
            steps = parts = 0
        change = fitted.change or Change()
        flops = steps * flops_of(fitted.step, change.accumulation_steps or parts)
        return CellCost(
            task=task.name,
            family=task.family,
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
            disk=disk_of(settings, counts.trained + counts.head, counts.stored - counts.trained),
        )

    def _load(self, settings: Settings) -> Load:
        trainer, backbone = settings.trainer, settings.backbones[settings.task.family]
        options = None
        if settings.head == "rank":
            options = options_of(settings.task, tokens_of(config_for(settings), backbone))
        idle = is_zero_shot(settings)
        return Load(
            rows=trainer.eval_batch_rows if idle else trainer.batch_rows,
            mixed_precision=trainer.mixed_precision,
            accumulates=trainer.accumulation_steps > 1 and not idle,
            on_accelerator=not self.accelerator.on_cpu,
            options=options,
            checkpointing=settings.runtime.gradient_checkpointing and not idle,
        )

    def _fitted(self, settings: Settings, load: Load) -> tuple[Step, Fitted]:
        trainer, idle = settings.trainer, is_zero_shot(settings)
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
            except InputError:  # the backbone does not support checkpointing
                return None

        candidates = changes(trainer.batch_rows, parts)
        if idle:
            candidates = [Change(devices=number) for number in DEVICES]
        planned = Planned(parts, *blocks_of(settings))
        return whole, fit(whole, planned, measure, candidates, self.accelerator.usable_bytes)

    def _counted(self, settings: Settings) -> Counts:
        """Return the cell's counts; the body is counted once for all heads."""
        backbone, classes = settings.backbones[settings.task.family], settings.task.num_labels
        key = (str(backbone), str(settings.method), settings.head)
        if key not in self._counts:
            one = replace(settings, task=replace(settings.task, num_labels=1))
            self._counts[key] = counts_of(one)
        counts = self._counts[key]
        return replace(counts, head=counts.head * classes)

    def _measured(self, settings: Settings, load: Load) -> Step:
        """Return the cell's step under `load`; the body is measured once for all heads."""
        backbone, config = settings.backbones[settings.task.family], config_for(settings)
        key = (str(backbone), str(settings.method), load)
        if key not in self._steps:
            what = f"{load.options.count} options per row, " if load.options else ""
            how = ", with checkpointing" if load.checkpointing else ""
            name = f"{settings.method.name} on {backbone.name}"
            self.say(f"measuring {name}, {what}{load.rows} rows{how}")
            self._steps[key] = measure_step(config, backbone, settings.method, load)
        width = tower_of(config).hidden_size
        return with_classes(self._steps[key], settings.task.num_labels, width, load)


def is_zero_shot(settings: Settings) -> bool:
    """Whether the language model ranks options and none of it is trained."""
    return settings.head == "rank" and settings.method.kind == "frozen"


def config_for(settings: Settings) -> PretrainedConfig:
    """Return the full configuration of the cell's backbone."""
    return config_of(settings.backbones[settings.task.family].hub_id, settings.model_root)


def flops_of(step: Step, micro_batches: int) -> int:
    """Return the FLOPs of all micro-batches of a step; merged weights are formed once."""
    return step.forming_flops + micro_batches * (step.flops - step.forming_flops)


def blocks_of(settings: Settings) -> tuple[int, int]:
    """Return the number of blocks of the backbone, and the bytes of token tables outside them.

    The tables are the embeddings, and the output layer if options are ranked and it is not tied.
    """
    backbone, config = settings.backbones[settings.task.family], config_for(settings)
    tower = tower_of(config)
    tables = 0 if backbone.image_size else 1
    if settings.head == "rank" and not config.tie_word_embeddings:
        tables = 2
    outside = 4 * tables * tower.hidden_size * getattr(tower, "vocab_size", 0)
    return tower.num_hidden_layers, outside


def counts_of(settings: Settings) -> Counts:
    """Count the cell's parameters on the meta device; they equal the installed model's."""
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
