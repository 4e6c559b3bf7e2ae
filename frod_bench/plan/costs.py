"""What each cell of a suite costs: parameters, memory, FLOPs and hours."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from frod_bench.models import tower_of
from frod_bench.plan.accelerators import Accelerator
from frod_bench.plan.backbones import config_of
from frod_bench.plan.fit import Fitted, Measured, fit
from frod_bench.plan.measure import Load, measure_step, tokens_of, with_classes
from frod_bench.plan.shapes import prepare_shapes, probe_numbers
from frod_bench.plan.trace import Step
from frod_bench.settings import Settings, TrainerConfig


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
    """What one (task, method) costs on an accelerator."""

    task: str
    family: str
    method: str
    backbone: str
    num_labels: int
    counts: Counts
    step: Step
    steps: int
    micro_batches: int  # of a step, as configured
    flops: int  # of all steps
    hours: float  # with the change that makes it fit, on all its devices at once
    fitted: Fitted

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counts, step = self.counts, self.step
        change = self.fitted.change
        return {
            "task": self.task,
            "family": self.family,
            "method": self.method,
            "backbone": self.backbone,
            "num_labels": self.num_labels,
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
            "flops_a_step": self.flops // self.steps,
            "flops": self.flops,
            "hours": self.hours,
            "fits": change is not None and str(change) == "none",
            "change": None if change is None else asdict(change) | {"text": str(change)},
            "peak_bytes_with_change": self.fitted.peak_bytes,
        }


class Planner:
    """Costs cells; those that are alike but for their head share one measurement."""

    def __init__(self, accelerator: Accelerator, say: Callable[[str], None]) -> None:
        self.accelerator, self.say = accelerator, say
        self._steps: dict[tuple[str, str, Load], Step] = {}
        self._counts: dict[tuple[str, str], Counts] = {}

    def cost(self, settings: Settings) -> CellCost:
        """What the cell of `settings` costs.

        Raises InputError where the backbone's configuration is not there or the method does not
        fit it.
        """
        task, trainer = settings.task, settings.trainer
        step, fitted = self._fitted(settings)
        flops = flops_of(step, step.flops, trainer)
        return CellCost(
            task=task.name,
            family=task.family,
            method=settings.method.name,
            backbone=settings.backbones[task.family].name,
            num_labels=task.num_labels,
            counts=self._counted(settings),
            step=step,
            steps=trainer.max_steps,
            micro_batches=trainer.accumulation_steps,
            flops=flops,
            hours=self.accelerator.hours(
                flops_of(step, fitted.flops, trainer), trainer.mixed_precision
            )
            / (fitted.change.devices if fitted.change else 1),
            fitted=fitted,
        )

    def _fitted(self, settings: Settings) -> tuple[Step, Fitted]:
        trainer = settings.trainer
        load = Load(
            rows=trainer.batch_rows,
            mixed_precision=trainer.mixed_precision,
            accumulates=trainer.accumulation_steps > 1,
            on_accelerator=not self.accelerator.on_cpu,
        )
        whole = self._measured(settings, load)

        def basis() -> Measured:
            single = self._measured(settings, replace(load, rows=1, accumulates=True))
            return Measured(load.rows, whole, single, *block_of(settings))

        return whole, fit(whole, basis, self.accelerator.usable_bytes)

    def _counted(self, settings: Settings) -> Counts:
        """The cell's counts; the body is counted once for all heads."""
        backbone, classes = settings.backbones[settings.task.family], settings.task.num_labels
        key = (str(backbone), str(settings.method))
        if key not in self._counts:
            one = replace(settings, task=replace(settings.task, num_labels=1))
            self._counts[key] = counts_of(one)
        counts = self._counts[key]
        return replace(counts, head=counts.head * classes)

    def _measured(self, settings: Settings, load: Load) -> Step:
        """The cell's step under `load`; the body is measured once for all heads."""
        backbone = settings.backbones[settings.task.family]
        config = config_of(backbone.hub_id, settings.model_root)
        key = (str(backbone), str(settings.method), load)
        if key not in self._steps:
            self.say(f"measuring {settings.method.name} on {backbone.name}, {load.rows} rows")
            self._steps[key] = measure_step(config, backbone, settings.method, load)
        width = tower_of(config).hidden_size
        return with_classes(self._steps[key], settings.task.num_labels, width, load)


def flops_of(step: Step, flops: int, trainer: TrainerConfig) -> int:
    """Of all steps, where one micro-batch takes `flops`."""
    again = trainer.accumulation_steps - 1
    return trainer.max_steps * (flops + again * (flops - step.forming_flops))


def block_of(settings: Settings) -> tuple[int, int]:
    """How many blocks the cell's backbone has, and the bytes of one row's input to a block."""
    backbone = settings.backbones[settings.task.family]
    tower = tower_of(config_of(backbone.hub_id, settings.model_root))
    return tower.num_hidden_layers, 4 * tokens_of(tower, backbone) * tower.hidden_size


def counts_of(settings: Settings) -> Counts:
    """The cell's parameters, counted on the meta device; equal to the installed model's."""
    backbone = settings.backbones[settings.task.family]
    config = config_of(backbone.hub_id, settings.model_root)
    prepared = prepare_shapes(config, backbone, settings.method, settings.task.num_labels)
    params = {name: int(value) for name, value in prepared.params.items()}
    trained = params["trainable"] - params["trainable_head"]
    return Counts(
        trained=trained,
        head=params["trainable_head"],
        frozen_extra=params["extra_frozen"],
        stored=trained + probe_numbers(prepared.model),
        backbone=params["backbone_total"],
    )
