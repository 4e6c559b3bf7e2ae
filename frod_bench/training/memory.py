"""Peak memory of one cell in a process that runs many."""

import ctypes
import gc
import re
import resource
from contextlib import suppress
from pathlib import Path

import torch


def reset_peaks(device: torch.device) -> None:
    """Start measuring from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):  # not Linux, or not allowed: the peak is that of the whole process then
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size


def give_back_freed_memory() -> None:
    """Return to the system what the C library keeps of the memory that earlier cells have freed,
    which would count as the next cell's. Other C libraries than glibc lack the call.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def peak_rss_bytes() -> int:
    """Return the peak resident memory since `reset_peaks`, or of the process if that failed."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return 1024 * (int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the peak memory of an accelerator since `reset_peaks`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
