"""The accelerators of `accelerators.yaml`: how fast they multiply and how much memory they have."""

from dataclasses import dataclass

import yaml

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import PACKAGE_DIR

TABLE = PACKAGE_DIR / "plan" / "accelerators.yaml"


@dataclass(frozen=True)
class Accelerator:
    """A device that a cell may run on.

    Attributes:
        memory_gib: of one device.
        usable: share of the memory that tensors may take.
        flops_per_sec: dense peak by precision, `half` and `single`.
        utilisation: share of the peak that fine-tuning is assumed to reach.
        on_cpu: whether it is a CPU.
    """

    name: str
    title: str
    memory_gib: float
    usable: float
    flops_per_sec: dict[str, float]
    utilisation: float
    on_cpu: bool

    @property
    def usable_bytes(self) -> int:
        """Memory that tensors may take."""
        return int(self.memory_gib * self.usable * 2**30)

    def hours(self, flops: float, mixed_precision: str) -> float:
        """Return how long `flops` take on one device."""
        peak = self.flops_per_sec["single" if mixed_precision == "no" else "half"]
        return flops / (peak * self.utilisation) / 3600


def accelerator_of(name: str) -> Accelerator:
    """Return the accelerator of that name. Raises InputError if there is none."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    if name not in table:
        raise InputError(f"accelerator={name}: is unknown.{did_you_mean(name, table)}")
    return Accelerator(name=name, **table[name])
