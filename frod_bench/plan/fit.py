"""Whether a step fits an accelerator, and the smallest change that makes it fit.

A change is measured: as the step that one device runs with it. With FSDP that is a step of its
share of the rows, from which is taken what FSDP divides: parameters, moments, gradients. Whole are

- buffers, and so FRoD's U and V, and all that the step makes: merged weights, and the casts that
  autocast makes and the backward pass needs;
- what lies outside the blocks, and two blocks at a time;
- gradients, as long as there are micro-batches to come: they are handed out with the last one.

All changes keep the rows of an optimizer step, and so the result.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from frod_bench.plan.trace import Step

DEVICES = (2, 4, 8, 16, 32, 64)
LAUNCH = "accelerate launch --config_file conf/accelerate/fsdp.yaml --num_processes {}"


@dataclass(frozen=True)
class Change:
    """What is done differently.

    Attributes:
        batch_rows: of a micro-batch, on all devices together; None: as configured.
        accumulation_steps: micro-batches of a step; None: as configured.
        checkpointing: activations are computed again in the backward pass.
        devices: that share one copy of the model (FSDP).
    """

    batch_rows: int | None = None
    accumulation_steps: int | None = None
    checkpointing: bool = False
    devices: int = 1

    def __str__(self) -> str:
        parts = [f"FSDP over {self.devices}"] if self.devices > 1 else []
        parts += ["checkpointing"] if self.checkpointing else []
        parts += [f"batches of {self.batch_rows}"] if self.batch_rows else []
        return " + ".join(parts) or "none"

    @property
    def launch(self) -> str | None:
        """What starts the processes; None where one suffices."""
        return LAUNCH.format(self.devices) if self.devices > 1 else None

    @property
    def overrides(self) -> list[str]:
        """What `frod_bench.run` is given besides."""
        found = ["runtime.gradient_checkpointing=true"] if self.checkpointing else []
        if self.batch_rows:
            found.append(f"trainer.batch_rows={self.batch_rows}")
            found.append(f"trainer.accumulation_steps={self.accumulation_steps}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "text": str(self),
            "overrides": self.overrides,
            "launch": self.launch,
            "devices": self.devices,
        }


@dataclass(frozen=True)
class Fitted:
    """The smallest change, and what it comes to.

    Attributes:
        change: None where none of ours suffices.
        step: of one device with the change; as configured, where there is none.
        peak_bytes: of one device; where no change suffices, it has that much to hold at least.
    """

    change: Change | None
    step: Step
    peak_bytes: int


@dataclass(frozen=True)
class Planned:
    """What is known of a cell besides its steps.

    Attributes:
        accumulation_steps: micro-batches of a step.
        blocks: of the backbone.
        outside_bytes: of the backbone's weights that lie outside its blocks.
    """

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
    """As it is, if that fits; else by the first of `candidates` that does.

    Args:
        whole: the step as it is configured.
        measure: the step that one device runs with a change; None where the backbone cannot run it
            so. Called where `whole` does not fit, and the device can hold what stands.
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
    """From the smallest: fewer rows at a time, checkpointing, both; then so over more devices."""
    rows_a_step = batch_rows * accumulation_steps
    for devices in (1, *DEVICES):
        sizes = sizes_of(batch_rows, rows_a_step, devices)
        for checkpointing in (False, True):
            for size in sizes:
                if size == batch_rows:
                    yield Change(None, None, checkpointing, devices)
                else:
                    yield Change(size, rows_a_step // size, checkpointing, devices)


def sizes_of(batch_rows: int, rows_a_step: int, devices: int) -> list[int]:
    """Rows of a micro-batch that split a step, and that devices share, equally.

    From as many as configured to fewer; then more, because several devices may share them, and with
    fewer micro-batches less lasts from one to the next.
    """
    sizes = [n for n in range(devices, rows_a_step + 1, devices) if rows_a_step % n == 0]
    fewer = [n for n in reversed(sizes) if n <= batch_rows]
    return fewer + [n for n in sizes if n > batch_rows]


def peak_with(step: Step, planned: Planned, change: Change) -> int:
    """Most bytes that are alive at once on one device, which runs `step`."""
    made = max(step.activation_bytes[:-1])
    in_passes = standing_bytes(step, planned, change) + made
    last_made = step.activation_bytes[-1] - step.lasting_bytes
    divided = step.weight_bytes + step.optimizer_bytes + step.gradient_bytes + last_made
    in_optimizer = divided // change.devices + step.factor_bytes + step.lasting_bytes
    return max(in_passes, in_optimizer)


def standing_bytes(step: Step, planned: Planned, change: Change) -> int:
    """What one device holds during the passes, whatever these make."""
    devices, weights, gradients = change.devices, step.weight_bytes, step.gradient_bytes
    standing = (weights + step.optimizer_bytes) // devices + step.factor_bytes
    if devices == 1:
        return standing + gradients
    standing += planned.outside_bytes + 2 * weights // planned.blocks
    if (change.accumulation_steps or planned.accumulation_steps) > 1:
        return standing + gradients
    return standing + gradients // devices + 2 * gradients // planned.blocks
