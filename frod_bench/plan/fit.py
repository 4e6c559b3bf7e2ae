"""Whether a step fits an accelerator, and the smallest change that makes it fit.

A change is estimated from steps that were measured, with checkpointing where it has that: what they
make grows linearly with the rows of a micro-batch. FSDP divides the rows, the parameters, their
moments and their gradients. Each device has whole:

- buffers, and so FRoD's U and V; the merged weights that its layers keep; the casts that autocast
  makes and the backward pass needs;
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
    """The smallest change, and what it comes to; `change` is None where none of ours suffices."""

    change: Change | None
    peak_bytes: int  # of one device


@dataclass(frozen=True)
class Measured:
    """Two steps that differ in their rows alone, to estimate others from.

    Attributes:
        most: the step with as many rows a micro-batch as configured.
        rows: of it.
        other: the step with `other_rows`.
    """

    most: Step
    rows: int
    other: Step
    other_rows: int


@dataclass(frozen=True)
class Planned:
    """What is known of a cell besides its steps.

    Attributes:
        batch_rows: of a micro-batch.
        accumulation_steps: micro-batches of a step.
        blocks: of the backbone.
        outside_bytes: of the backbone's weights that lie outside its blocks.
    """

    batch_rows: int
    accumulation_steps: int
    blocks: int
    outside_bytes: int


def fit(
    whole: Step,
    planned: Planned,
    measure: Callable[[bool], Measured | None],
    candidates: Iterable[Change],
    usable_bytes: int,
) -> Fitted:
    """As it is, if that fits; else by the first of `candidates` that does.

    Args:
        whole: the step as it is configured.
        measure: measures with checkpointing or without; None where the backbone has no such thing.
            Called where the step does not fit.
    """
    if whole.peak_bytes <= usable_bytes:
        return Fitted(Change(), whole.peak_bytes)
    smallest = whole.peak_bytes
    for change in candidates:
        measured = measure(change.checkpointing)
        if measured is None:
            continue
        peak = peak_with(measured, planned, change)
        if peak <= usable_bytes:
            return Fitted(change, peak)
        smallest = min(smallest, peak)
    return Fitted(None, smallest)


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
    """Rows of a micro-batch that split a step, and that devices share, equally; the likest first.

    Larger ones than configured are for several devices: each has a share, and with fewer
    micro-batches gradients are divided sooner.
    """
    sizes = [n for n in range(devices, rows_a_step + 1, devices) if rows_a_step % n == 0]
    larger = [n for n in sizes if n > batch_rows] if devices > 1 else []
    return [n for n in reversed(sizes) if n <= batch_rows] + larger


def peak_with(measured: Measured, planned: Planned, change: Change) -> int:
    """Most bytes that are alive at once on one device, estimated."""
    step, devices = measured.most, change.devices
    rows = -(-(change.batch_rows or planned.batch_rows) // devices)
    accumulates = (change.accumulation_steps or planned.accumulation_steps) > 1
    kept, a_row = activations(measured)
    divided = step.weight_bytes + step.optimizer_bytes
    gradients = step.gradient_bytes / (1 if accumulates else devices)
    gathered = 0.0
    if devices > 1:
        in_blocks = step.weight_bytes + (0 if accumulates else step.gradient_bytes)
        gathered = planned.outside_bytes + 2 * in_blocks / planned.blocks
    in_passes = divided / devices + gradients + kept + gathered + a_row * rows
    made_by_optimizer = step.activation_bytes[-1] - step.merged_bytes
    in_optimizer = (divided + step.gradient_bytes + made_by_optimizer) / devices
    return int(step.factor_bytes + max(in_passes, in_optimizer + step.merged_bytes))


def activations(measured: Measured) -> tuple[float, float]:
    """Bytes of forward and backward whatever the rows are (casts, merged weights), and a row."""
    most, other = (max(step.activation_bytes[:-1]) for step in (measured.most, measured.other))
    a_row = max(0.0, (most - other) / (measured.rows - measured.other_rows))
    return max(0.0, most - a_row * measured.rows), a_row
