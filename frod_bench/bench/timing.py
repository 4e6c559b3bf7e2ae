"""Seconds of what may run on an accelerator."""

import time
from collections.abc import Callable

import torch


def seconds(action: Callable[[], object], device: torch.device) -> float:
    """Seconds until `action`, and what it started on the device, is done."""
    synchronize(device)
    started = time.perf_counter()
    action()
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Wait for an accelerator; a CPU has nothing to wait for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
