"""What this process may use of the machine: how many workers a sweep starts, the GPU of each."""

import functools
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from frod_bench.sweep.workers import Environment

VISIBLE = "CUDA_VISIBLE_DEVICES"
# Slurm's allotment in CPUs: of a task, if the job asks for one, else of the job on this machine.
SLURM = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
TASK = "SLURM_LOCALID"  # the number of a task on its machine
# Device files of GPU drivers: NVIDIA's, that of Linux in Windows, and AMD's. If none of them
# exists, torch is not asked for GPUs.
DRIVERS = ("nvidiactl", "dxg", "kfd")
# The control groups of Linux: their files, and those that this process is in.
GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
COUNT_GPUS = "import torch; print(torch.cuda.device_count())"


def workers(jobs: int, device: str, threads: int = 1) -> list[Environment]:
    """The environment of each worker, for `runtime.jobs`, `device` and `threads`.

    By default there is one worker per GPU, which sees no other GPU; without GPUs, there are as many
    workers as have a core for each of their threads. If there are more workers than GPUs, they
    share the GPUs. If `jobs` is named and `srun` starts several tasks on a machine, each task
    begins with the GPUs after those of the task before.
    """
    names = gpus() if device in ("auto", "cuda") else []
    if not names:
        on_gpu = device.startswith("cuda")  # a named one, or none that torch sees
        return [{} for _ in range(jobs or (1 if on_gpu else max(1, cores() // threads)))]
    count, task = jobs or len(names), os.environ.get(TASK, "")
    first = count * int(task) if task.isdecimal() else 0
    return [{VISIBLE: names[n % len(names)]} for n in range(first, first + count)]


def cores() -> int:
    """The cores that this process may use: by its affinity, by the quotas of its control group and
    of those around it (a container's or a service's, version 1 or 2), and by Slurm's allotment.
    """
    import joblib  # a tenth of a second, for sweeps alone

    found = min([int(joblib.cpu_count()), *quotas()])  # joblib asks the outermost group alone
    allotted = next((os.environ[name] for name in SLURM if name in os.environ), "")
    return min(found, int(allotted)) if allotted.isdecimal() and int(allotted) else found


def quotas() -> Iterator[int]:
    """The quotas in cores, rounded up, of the control groups that this process is in."""
    try:
        lines = os.fsdecode(OWN_GROUPS.read_bytes()).split("\n")
    except OSError:  # not Linux
        return
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if not path:
            continue
        if not controllers:  # version 2
            root, files = GROUPS, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            root, files = GROUPS / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                yield from _quota([folder / name for name in files])


def _quota(files: list[Path]) -> list[int]:
    """What a group's files say, if they are there and do set a quota (neither "max" nor -1)."""
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
    except (OSError, ValueError):
        return []
    is_set = quota.isdecimal() and period.isdecimal() and min(int(quota), int(period)) > 0
    return [math.ceil(int(quota) / int(period))] if is_set else []


def gpus() -> Sequence[str]:
    """The GPUs that a worker can use, as CUDA_VISIBLE_DEVICES names them."""
    if not any(Path("/dev", name).exists() for name in DRIVERS):
        return ()
    count = count_gpus()
    listed = os.environ.get(VISIBLE)
    names = [str(n) for n in range(count)] if listed is None else _names(listed)
    # CUDA shows a process one part of a divided GPU at most, however many are listed.
    is_divided = count > 0 and all(name.startswith("MIG-") for name in names)
    return names if is_divided else names[:count]


@functools.cache
def count_gpus() -> int:
    """How many GPUs torch sees, asked in a process of its own: importing torch takes seconds and a
    context on the GPU, and the launcher needs neither.
    """
    done = subprocess.run(
        [sys.executable, "-c", COUNT_GPUS], capture_output=True, text=True, check=False
    )
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdecimal() else 0


def _names(listed: str) -> list[str]:
    """The items of a list of devices, up to the first that is none, as CUDA reads it."""
    names: list[str] = []
    for name in map(str.strip, listed.split(",")):
        if not (name.isdecimal() or name.startswith(("GPU-", "MIG-"))):
            break
        names.append(name)
    return names
