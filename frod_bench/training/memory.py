"""Peak memory of one cell in a process that runs many."""

import resource
from pathlib import Path

import torch

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # see proc(5): resets the peak resident set size


def reset_peaks(device: torch.device) -> None:
    """Start measuring from now on."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:  # not Linux, or not allowed: the peak is then the process's
        return


def peak_rss_bytes() -> int:
    """Peak resident memory since `reset_peaks`, or of the process where that cannot be reset."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Peak memory of an accelerator since `reset_peaks`; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
