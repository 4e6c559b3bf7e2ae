"""Peak memory of one cell in a process that runs many."""

import resource
from pathlib import Path

import torch


def reset_peaks(device: torch.device) -> None:
    """Start measuring from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size
    except OSError:  # not Linux, or not allowed: the peak is that of the whole process then
        return


def peak_rss_bytes() -> int:
    """Return the peak resident memory since `reset_peaks`, or of the process if that failed."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the peak memory of an accelerator since `reset_peaks`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
