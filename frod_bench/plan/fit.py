"""Whether a step fits an accelerator, and the smallest change that makes it fit.

What is changed is estimated from steps that were measured: activations grow linearly with the rows
of a micro-batch. Checkpointing keeps a block's input alone and computes one block again at a time;
FSDP spreads weights, factors, gradients and moments evenly, with two blocks gathered at a time, and
the rows over the devices. All changes keep the rows of an optimizer step, and so the result.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from frod_bench.plan.trace import Step

DEVICES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Change:
    """What is done differently.

    Attributes:
        micro_batches: that the rows of one are split into (accumulation).
        checkpointing: activations are computed again in the backward pass.
        devices: that share one copy of the model (FSDP).
    """

    micro_batches: int = 1
    checkpointing: bool = False
    devices: int = 1

    def __str__(self) -> str:
        parts = [f"FSDP over {self.devices}"] if self.devices > 1 else []
        parts += ["checkpointing"] if self.checkpointing else []
        parts += [f"accumulation x{self.micro_batches}"] if self.micro_batches > 1 else []
        return " + ".join(parts) or "none"


@dataclass(frozen=True)
class Fitted:
    """The smallest change, and what it comes to; `change` is None where none of ours suffices."""

    change: Change | None
    peak_bytes: int
    flops: int  # of one micro-batch's worth of rows


@dataclass(frozen=True)
class Measured:
    """Steps to estimate from.

    Attributes:
        rows: of a micro-batch, and of `whole`.
        whole: the step as it is configured.
        single: the same with one row a micro-batch.
        blocks: of the backbone.
        input_bytes: of one row's input to a block.
    """

    rows: int
    whole: Step
    single: Step
    blocks: int
    input_bytes: int


def fit(whole: Step, measure: Callable[[], Measured], usable_bytes: int) -> Fitted:
    """As it is, if that fits; else by the first of `changes` that does.

    Args:
        measure: measures what estimates need; called where the step does not fit.
    """
    if whole.peak_bytes <= usable_bytes:
        return Fitted(Change(), whole.peak_bytes, whole.flops)
    measured = measure()
    smallest = whole.peak_bytes
    for change in changes(measured.rows):
        peak = peak_with(measured, change)
        if peak <= usable_bytes:
            again = measured.whole.forward_flops if change.checkpointing else 0
            return Fitted(change, peak, measured.whole.flops + again)
        smallest = min(smallest, peak)
    return Fitted(None, smallest, whole.flops)


def changes(rows: int) -> Iterator[Change]:
    """From the smallest: accumulation, checkpointing, both; then the same over more devices."""
    for devices in (1, *DEVICES):
        parts = [n for n in (2**e for e in range(12)) if n * devices <= rows] or [1]
        for checkpointing in (False, True):
            for micro_batches in parts:
                yield Change(micro_batches, checkpointing, devices)


def peak_with(measured: Measured, change: Change) -> int:
    """Most bytes that are alive at once on one device, estimated."""
    whole, devices = measured.whole, change.devices
    rows = max(1, measured.rows // (change.micro_batches * devices))
    weights = whole.weight_bytes + whole.factor_bytes
    standing = weights + whole.optimizer_bytes + whole.gradient_bytes
    gathered = 2 * weights / measured.blocks if devices > 1 else 0
    fixed, a_row = activations(measured)
    by_rows = a_row * rows
    if change.checkpointing:
        by_rows = by_rows / measured.blocks + measured.input_bytes * rows * measured.blocks
    in_passes = (standing + fixed) / devices + gathered + by_rows
    in_optimizer = (standing + whole.activation_bytes[-1]) / devices
    return int(max(in_passes, in_optimizer))


def activations(measured: Measured) -> tuple[float, float]:
    """Bytes of forward and backward whatever the rows are (casts, merged weights), and a row."""
    high, low = (max(step.activation_bytes[:-1]) for step in (measured.whole, measured.single))
    a_row = (high - low) / max(1, measured.rows - 1)
    return max(0.0, low - a_row), a_row
