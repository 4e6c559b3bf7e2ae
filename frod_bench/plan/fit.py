"""Whether a step fits an accelerator, and the smallest change that makes it fit.

With FSDP a device runs a step on its share of the rows, and parameters, moments and gradients are
divided. Every device holds in full: buffers, and so FRoD's U and V; what the step makes (merged
weights, autocast's casts); what is outside the blocks, and two blocks at a time; and gradients
while there are micro-batches to come. No change alters the rows of a step, nor the result.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from frod_bench.plan.trace import Step

DEVICES = (2, 4, 8, 16, 32, 64)
LAUNCH = "accelerate launch --config_file conf/accelerate/fsdp.yaml --num_processes {}"


@dataclass(frozen=True)
class Change:
    """How the step is run instead; None: as configured."""

    batch_rows: int | None = None  # of a micro-batch, on all devices together
    accumulation_steps: int | None = None  # micro-batches per step
    checkpointing: bool = False  # whether activations are computed again in the backward pass
    devices: int = 1  # number that share one copy of the model (FSDP)

    def __str__(self) -> str:
        parts = [f"FSDP over {self.devices}"] if self.devices > 1 else []
        parts += ["checkpointing"] if self.checkpointing else []
        parts += [f"batches of {self.batch_rows}"] if self.batch_rows else []
        return " + ".join(parts) or "none"

    @property
    def launch(self) -> str | None:
        """Command that starts the processes; None if one is enough."""
        return LAUNCH.format(self.devices) if self.devices > 1 else None

    @property
    def overrides(self) -> list[str]:
        """Overrides of `frod_bench.run` that make the change."""
        found = ["runtime.gradient_checkpointing=true"] if self.checkpointing else []
        if self.batch_rows:
            found.append(f"trainer.batch_rows={self.batch_rows}")
            found.append(f"trainer.accumulation_steps={self.accumulation_steps}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of the JSON document."""
        names = ("overrides", "launch", "devices")
        return {"text": str(self)} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Fitted:
    """The smallest change that is enough."""

    change: Change | None  # None if no change is enough
    step: Step  # of one device with the change; as configured if there is none
    peak_bytes: int  # of one device; if no change is enough, the least that any of them needs


@dataclass(frozen=True)
class Planned:
    """What `fit` knows of a cell besides its steps; `outside_bytes`: of weights outside blocks."""

    accumulation_steps: int
    blocks: int
    outside_bytes: int


def fit(
    whole: Step,
    planned: Planned,
    measure: Callable[[Change], Step | None],
    candidates: Iterable[Change],
    usable_bytes: int,
) -> Fitted:
    """Return no change if the `whole` step fits; otherwise the first candidate that makes it fit.

    `measure` returns the step that one device runs with a change, or None if the backbone cannot
    run it so. It is called only if the device can hold what exists during the passes.
    """
    if whole.peak_bytes <= usable_bytes:
        return Fitted(Change(), whole, whole.peak_bytes)
    least = whole.peak_bytes
    for change in candidates:
        needed = standing_bytes(whole, planned, change)
        if needed <= usable_bytes:
            step = measure(change)
            if step is None:
                continue
            needed = peak_with(step, planned, change)
            if needed <= usable_bytes:
                return Fitted(change, step, needed)
        least = min(least, needed)
    return Fitted(None, whole, least)


def changes(batch_rows: int, accumulation_steps: int) -> Iterable[Change]:
    """Yield changes, the smallest first: fewer rows at a time, checkpointing, both; more devices.

    Sizes go from the configured one down, and then up: several devices may share a larger
    micro-batch, and with fewer micro-batches less lasts from one to the next.
    """
    rows_per_step = batch_rows * accumulation_steps
    for devices in (1, *DEVICES):
        sizes = [n for n in range(devices, rows_per_step + 1, devices) if rows_per_step % n == 0]
        sizes.sort(key=lambda n: (n > batch_rows, n if n > batch_rows else -n))
        for checkpointing in (False, True):
            for size in sizes:
                if size == batch_rows:
                    yield Change(None, None, checkpointing, devices)
                else:
                    yield Change(size, rows_per_step // size, checkpointing, devices)


def peak_with(step: Step, planned: Planned, change: Change) -> int:
    """Return the peak bytes of one device, which runs `step`."""
    in_passes = standing_bytes(step, planned, change) + max(step.activation_bytes[:-1])
    last_made = step.activation_bytes[-1] - step.lasting_bytes
    divided = step.weight_bytes + step.optimizer_bytes + step.gradient_bytes + last_made
    in_optimizer = divided // change.devices + step.factor_bytes + step.lasting_bytes
    return max(in_passes, in_optimizer)


def standing_bytes(step: Step, planned: Planned, change: Change) -> int:
    """Return what one device holds throughout the passes, without what these make."""
    devices, weights, gradients = change.devices, step.weight_bytes, step.gradient_bytes
    standing = (weights + step.optimizer_bytes) // devices + step.factor_bytes
    if devices == 1:
        return standing + gradients
    standing += planned.outside_bytes + 2 * weights // planned.blocks
    if (change.accumulation_steps or planned.accumulation_steps) > 1:
        return standing + gradients
    return standing + gradients // devices + 2 * gradients // planned.blocks
