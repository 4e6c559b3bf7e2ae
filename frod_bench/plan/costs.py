"""What each cell of a suite costs: parameters, memory, FLOPs, hours and disk space."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig

from frod_bench.common.errors import InputError
from frod_bench.common.names import with_head
from frod_bench.config.settings import BackboneConfig, Settings, TrainerConfig
from frod_bench.models.classifier import tower_of
from frod_bench.models.loading import checkpoint_parameters, config_of, published_type
from frod_bench.plan.cells import Accelerator
from frod_bench.plan.fit import DEVICES, Change, Fitted, Planned, changes, fit
from frod_bench.plan.measure import measure_step, tokens_of, with_classes
from frod_bench.plan.shapes import options_of, prepare_shapes, probe_numbers
from frod_bench.plan.trace import Load, Step
from frod_bench.training.loop import in_steps

DATA_NOTE = (
    "Data sets: the package does not know their sizes. All texts take about 0.1 GB and an image "
    "data set at most a few GB, except SUN397 (37 GB in its original archive); `datasets` writes a "
    "second copy of what it reads. `python -m frod_bench.mirror` reports the bytes before it "
    "writes any."
)


@dataclass(frozen=True)
class Disk:
    """Bytes of one cell: trained values beside the record, and checkpoints, at most."""

    kept_with_save_adapter: int
    checkpoints_while_it_runs: int


@dataclass(frozen=True)
class Download:
    """A backbone's checkpoint."""

    backbone: str
    hub_id: str
    parameters: int
    type: str | None  # of the published parameters; None if the files exist already
    size: int  # of its safetensors files, in bytes
    is_there: bool  # whether it is under `model_root`, so that nothing is downloaded

    def __str__(self) -> str:
        where = "under model_root" if self.is_there else f"to download, in {self.type}"
        return f"{self.backbone} {self.size / 1e9:.3g} GB ({where})"


@dataclass(frozen=True)
class Counts:
    """Parameters of one cell."""

    trained: int  # without the head
    head: int
    frozen_extra: int  # what the method freezes besides the backbone (FRoD's U, V, lambda_0)
    stored: int  # numbers that the trained values take on disk, without the head
    backbone: int  # as it is loaded

    @property
    def percent(self) -> float:
        """Trained parameters without the head, in percent of the backbone."""
        return 100 * self.trained / self.backbone


@dataclass(frozen=True)
class CellCost:
    """What a cell costs on an accelerator."""

    settings: Settings
    variant: str  # as `PlannedCell.variant`
    row_tokens: int  # tokens, or patches, of the rows that are counted
    counts: Counts
    step: Step
    steps: int  # 0 if nothing is trained
    micro_batches: int  # per step, as configured; 0 if nothing is trained
    hours: float  # with the change that makes it fit, on all its devices at once
    fitted: Fitted
    disk: Disk

    @property
    def label(self) -> str:
        """The method, and the variant if there are several."""
        return f"{self.settings.method.name} {self.variant}".strip()

    @property
    def task_label(self) -> str:
        """The task, marked if options are ranked."""
        return with_head(self.settings.task.name, self.settings.head)

    @property
    def family_label(self) -> str:
        """The family, marked if options are ranked."""
        return with_head(self.settings.task.family, self.settings.head)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the JSON document."""
        counts, step, change = self.counts, self.step, self.fitted.change
        return {
            "task": self.task_label,
            "family": self.family_label,
            "method": self.settings.method.name,
            "variant": self.variant,
            "backbone": self.settings.backbone.name,
            "num_labels": self.settings.task.num_labels,
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
            "flops_a_step": flops_of(step, self.micro_batches),
            "flops": self.steps * flops_of(step, self.micro_batches),
            "hours": self.hours,
            "fits": change == Change(),
            "change": None if change is None else change.as_dict(),
            "peak_bytes_with_change": self.fitted.peak_bytes,
            "disk_bytes": asdict(self.disk),
        }


class Planner:
    """Estimates cells, of which those that differ only in their head share one measurement."""

    def __init__(self, accelerator: Accelerator, say: Callable[[str], None]) -> None:
        self.accelerator, self.say = accelerator, say  # before each measurement
        self._steps: dict[tuple[str, str, Load], Step] = {}
        self._counts: dict[tuple[str, str, str], Counts] = {}

    def cost(self, settings: Settings, variant: str = "") -> CellCost:
        """Return what the cell of `settings` costs.

        Raises InputError if the backbone's configuration is missing or the method does not fit it.
        """
        trainer = settings.trainer
        counts, load = self._counted(settings), self._load(settings)
        step, fitted = self._fitted(settings, load)
        steps, parts = budget_of(settings).max_steps, trainer.accumulation_steps
        if is_zero_shot(settings):
            steps = parts = 0
        change = fitted.change or Change()
        training = steps * flops_of(fitted.step, change.accumulation_steps or parts)
        # Devices that share a model share the rows, too: these are the FLOPs of one of them.
        evaluation = rows_evaluated(settings) * step.forward_flops / load.rows / change.devices
        flops = training + evaluation
        tokens = tokens_of(tower_of(config_for(settings)), settings.backbone, load.options)
        hours = self.accelerator.hours(flops, trainer.mixed_precision)
        disk = disk_of(settings, counts.trained + counts.head, counts.stored - counts.trained)
        return CellCost(settings, variant, tokens, counts, step, steps, parts, hours, fitted, disk)

    def _load(self, settings: Settings) -> Load:
        trainer, idle = settings.trainer, is_zero_shot(settings)
        options = None
        if settings.head == "rank":
            longest = tokens_of(config_for(settings), settings.backbone)
            options = options_of(settings.task, longest)
        rows = trainer.eval_batch_rows if idle else trainer.batch_rows
        accumulates = trainer.accumulation_steps > 1 and not idle
        checkpointing = settings.runtime.gradient_checkpointing and not idle
        on_accelerator = not self.accelerator.on_cpu
        return Load(
            rows, trainer.mixed_precision, accumulates, on_accelerator, options, checkpointing
        )

    def _fitted(self, settings: Settings, load: Load) -> tuple[Step, Fitted]:
        """Return the step as it is configured, and the smallest change that makes it fit."""
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
        key = (str(settings.backbone), str(settings.method), settings.head)
        if key not in self._counts:
            one_class = replace(settings.task, num_labels=1)
            self._counts[key] = counts_of(replace(settings, task=one_class))
        counts = self._counts[key]
        return replace(counts, head=counts.head * settings.task.num_labels)

    def _measured(self, settings: Settings, load: Load) -> Step:
        """Return the cell's step under `load`; the body is measured once for all heads."""
        backbone, config = settings.backbone, config_for(settings)
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
    return config_of(settings.backbone.hub_id, settings.model_root)


def flops_of(step: Step, micro_batches: int) -> int:
    """Return the FLOPs of all micro-batches of a step; merged weights are formed once."""
    return step.forming_flops + micro_batches * (step.flops - step.forming_flops)


def blocks_of(settings: Settings) -> tuple[int, int]:
    """Return the number of blocks of the backbone, and the bytes of token tables outside them."""
    config = config_for(settings)
    tower = tower_of(config)
    tables = 0 if settings.backbone.image_size else 1  # the embeddings
    if settings.head == "rank" and not config.tie_word_embeddings:
        tables = 2  # and the output layer
    outside = 4 * tables * tower.hidden_size * getattr(tower, "vocab_size", 0)
    return tower.num_hidden_layers, outside


def counts_of(settings: Settings) -> Counts:
    """Count the cell's parameters on the meta device; they equal the installed model's."""
    num_labels = None if settings.head == "rank" else settings.task.num_labels
    prepared = prepare_shapes(config_for(settings), settings.backbone, settings.method, num_labels)
    params = {name: int(value) for name, value in prepared.params.items()}
    trained = params["trainable"] - params["trainable_head"]
    return Counts(
        trained=trained,
        head=params["trainable_head"],
        frozen_extra=params["extra_frozen"],
        stored=trained + probe_numbers(prepared.model),
        backbone=params["backbone_total"],
    )


def disk_of(settings: Settings, trained: int, probes: int) -> Disk:
    """Return what a cell takes with so many trained parameters, the head's included.

    Values are float32, and `probes` float64. A checkpoint has the parameters with their two moments
    and the probes. Two are kept, and the older one is removed before the next is written. If the
    best step is selected, its parameters are kept in addition: of each checkpoint, and the latest.
    """
    written = (budget_of(settings).max_steps - 1) // settings.runtime.checkpoint_every_steps
    kept, selects = min(2, written), settings.protocol.selection == "best"
    checkpoints = kept * (12 * trained + 8 * probes)
    return Disk(4 * trained + 8 * probes, checkpoints + (kept + 1) * selects * 4 * trained)


def budget_of(settings: Settings) -> TrainerConfig:
    """Return the trainer's budget in steps, with epochs of the public data set's rows.

    Raises InputError if there are epochs and the task does not state its rows.
    """
    trainer, task = settings.trainer, settings.task
    if trainer.epochs is None:
        return trainer
    if "train" not in task.rows:
        raise InputError(
            f"trainer.epochs={trainer.epochs:g}: a plan needs the number of rows of task "
            f"{task.name}. Give it: +task.rows.train=10000"
        )
    kept = task.rows["train"] * (1 - settings.protocol.validation_percent / 100)
    return in_steps(trainer, min(int(kept), trainer.train_rows or int(kept)))


def rows_evaluated(settings: Settings) -> int:
    """Return how many rows a cell evaluates, on its curve and at the end; 0 if it is not known,
    as of synthetic data.
    """
    trainer, task, protocol = settings.trainer, settings.task, settings.protocol
    if settings.profile.stand_in or not {"train", "test"} <= set(task.rows):
        return 0
    test = min(task.rows["test"], trainer.test_rows or task.rows["test"])
    validation = int(task.rows["train"] * protocol.validation_percent / 100)
    curve = test if protocol.curve_split == "test" else validation
    if protocol.selection != "best":  # the best is picked on the whole split
        curve = min(curve, trainer.curve_rows or curve)
    measured = min(validation, trainer.test_rows or validation)
    final = test if protocol.metrics_split == "test" else measured
    budget = budget_of(settings)
    evaluations = 1 + -(-budget.max_steps // budget.eval_every_steps)
    if is_zero_shot(settings):
        evaluations = 1  # before a first step that never comes
    return evaluations * curve + final


def download_of(backbone: BackboneConfig, model_root: str | None) -> Download:
    """Return a backbone's checkpoint: the files under `model_root`, otherwise as published.

    Raises InputError if its configuration is missing.
    """
    config = config_of(backbone.hub_id, model_root)
    parameters, kind = checkpoint_parameters(config), published_type(backbone.hub_id, config)
    files = list(Path(model_root, backbone.hub_id).glob("*.safetensors")) if model_root else []
    size = sum(file.stat().st_size for file in files) or parameters * kind.itemsize
    name = None if files else str(kind).removeprefix("torch.")
    return Download(backbone.name, backbone.hub_id, parameters, name, size, bool(files))
