"""Where a run trains: the processes that train it together, by torchrun's variables, the role of
this one, and the processor.
"""

import functools
import os
import platform
from pathlib import Path

# Variables that mpirun, and srun with a PMI, set for the processes that they start. If torchrun's
# variables are missing, accelerate takes such processes for ones that train together.
OF_MPI = ("PMI_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_")


def count() -> int:
    """The number of processes, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def forget_mpi() -> None:
    """Make this process train alone, unless torchrun started it. The eight processes of `srun -n 8`
    share the cells of a grid; they do not train each cell together.
    """
    for name in [name for name in os.environ if name.startswith(OF_MPI)] if count() == 1 else ():
        del os.environ[name]


def is_first() -> bool:
    """Whether this is the first of all processes, the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def is_first_here() -> bool:
    """Whether this is the first process on its machine, the one that prints."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


@functools.cache
def processor() -> str:
    """What this machine calls its processor, e.g. "AMD EPYC 9B14"; its architecture if nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    found = next(filter(None, names), platform.processor() or platform.machine())
    return "".join(filter(str.isprintable, found)) or "unknown"


def device_name(device: object) -> str:
    """The model of what computes: of the processor, or of an accelerator that torch can name
    (`cuda:0`, `xpu`); empty if it cannot (`mps`).
    """
    kind = str(device).partition(":")[0]
    if kind == "cpu":
        return processor()
    import torch  # late: whoever only counts processes does not need it

    named = getattr(getattr(torch, kind, None), "get_device_name", None)
    return str(named(torch.device(str(device)))) if named else ""
