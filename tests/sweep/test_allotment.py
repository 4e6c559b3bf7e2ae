"""What a sweep may use of the machine: cores, Slurm's allotment, and one worker per GPU."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import joblib
import pytest
from joblib.externals.loky.backend import context

from frod_bench.config.settings import LauncherConfig, RuntimeConfig
from frod_bench.sweep import allotment, engines
from frod_bench.sweep.allotment import VISIBLE, workers

COUNT_CORES = joblib.cpu_count


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 8 cores, without control groups, GPUs and Slurm."""
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setattr(allotment, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(allotment, "GROUPS", tmp_path / "groups")
    monkeypatch.setattr(allotment, "DRIVERS", ())
    for name in (VISIBLE, allotment.TASK, *allotment.SLURM):
        monkeypatch.delenv(name, raising=False)


def have_gpus(monkeypatch: pytest.MonkeyPatch, count: int, listed: str | None = None) -> None:
    monkeypatch.setattr(allotment, "DRIVERS", ("null",))
    monkeypatch.setattr(allotment, "count_gpus", lambda: count)
    if listed is not None:
        monkeypatch.setenv(VISIBLE, listed)


@pytest.mark.parametrize(
    ("jobs", "device", "count"), [(0, "auto", 8), (0, "cpu", 8), (3, "auto", 3), (0, "cuda:1", 1)]
)
def test_without_a_gpu_there_is_a_worker_per_core(jobs: int, device: str, count: int) -> None:
    assert workers(jobs, device) == [{}] * count


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"SLURM_CPUS_PER_TASK": "4", "SLURM_CPUS_ON_NODE": "6"}, 4),
        ({"SLURM_CPUS_ON_NODE": "6"}, 6),
        ({"SLURM_CPUS_ON_NODE": "64"}, 8),  # what Slurm says does not make cores
        ({"SLURM_CPUS_PER_TASK": ""}, 8),
        ({"SLURM_CPUS_PER_TASK": "0"}, 8),
    ],
)
def test_slurms_allotment_is_respected(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], count: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert len(workers(0, "cpu")) == count


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "300000 100000\n"}, 3),  # version 2
        ({"cpu.max": "150000 100000\n"}, 2),  # one and a half
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 4),  # version 1
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "1600000 100000\n"}, 8),  # a quota does not make cores
        ({}, 8),
    ],
)
def test_a_containers_quota_is_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], count: int
) -> None:
    """joblib reads the quota itself, from a folder of this test's in place of /sys/fs/cgroup."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def placed(path: str) -> Path:
        return Path(path.replace("/sys/fs/cgroup", str(tmp_path)))

    machine = SimpleNamespace(
        path=SimpleNamespace(exists=lambda path: placed(path).exists()),
        cpu_count=lambda: 8,
        sched_getaffinity=lambda _: range(8),
        environ={},
    )
    monkeypatch.setattr(context, "os", machine)
    monkeypatch.setattr(context, "open", lambda path: placed(path).open(), raising=False)
    monkeypatch.setattr("joblib.cpu_count", COUNT_CORES)
    assert allotment.cores() == count
    assert workers(0, "cpu") == [{}] * count
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert allotment.cores() == 2


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/user.slice/run.service", {"user.slice/run.service/cpu.max": "300000 100000"}, 3),
        ("0::/user.slice/run.service", {"user.slice/cpu.max": "150000 100000"}, 2),  # around it
        (
            "0::/a/b",  # the tightest
            {"a/cpu.max": "200000 100000", "a/b/cpu.max": "400000 100000", "cpu.max": "max 100000"},
            2,
        ),
        ("0::/a", {"b/cpu.max": "100000 100000"}, 8),  # another's
        ("0::/a", {"a/cpu.max": "1600000 100000"}, 8),  # a quota does not make cores
        ("0::/a", {"a/cpu.max": "max 100000"}, 8),
        ("0::/a", {"a/cpu.max": "0 100000"}, 8),
        ("0::/a", {"a/cpu.max": "broken"}, 8),
        (
            "5:devices:/a\n4:cpu,cpuacct:/a:b\n0::/",  # version 1, and a colon in a name
            {"cpu/a:b/cpu.cfs_quota_us": "250000\n", "cpu/a:b/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 8),
        ("4:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "100000"}, 8),
        (
            "nonsense\n0::\n0::/\u2028\udcff",
            {"\u2028\udcff/cpu.max": "200000 100000"},
            2,
        ),  # any bytes
    ],
)
def test_quotas_of_this_process_s_groups_are_respected(
    own: str, files: dict[str, str], count: int
) -> None:
    allotment.OWN_GROUPS.write_bytes(os.fsencode(own + "\n"))
    for name, text in files.items():
        file = allotment.GROUPS / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert workers(0, "cpu") == [{}] * count


def test_affinity_is_respected_without_torch() -> None:
    code = (
        "import os, sys\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from frod_bench.sweep.allotment import workers\n"
        "assert workers(0, 'auto') == [{}], workers(0, 'auto')\n"
        "assert 'torch' not in sys.modules\n"
    )
    environment = {**os.environ, VISIBLE: ""}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)


@pytest.mark.parametrize(
    ("count", "listed", "names"),
    [
        (2, None, ["0", "1"]),
        (2, "3,1", ["3", "1"]),
        (1, " 5 ", ["5"]),
        (1, "GPU-8932f937,-1,2", ["GPU-8932f937"]),
        (1, "MIG-a,MIG-b", ["MIG-a", "MIG-b"]),  # torch sees one of them
        (0, "MIG-a", []),  # a torch without CUDA
        (0, "", []),
    ],
)
def test_each_gpu_has_a_worker_that_sees_no_other(
    monkeypatch: pytest.MonkeyPatch, count: int, listed: str | None, names: list[str]
) -> None:
    have_gpus(monkeypatch, count, listed)
    assert list(allotment.gpus()) == names
    for device in ("auto", "cuda"):
        found = workers(0, device)
        expected = [{VISIBLE: name} for name in names]
        assert found == (expected or [{}] * (8 if device == "auto" else 1))
    assert workers(0, "cpu") == [{}] * 8
    assert workers(0, "cuda:1") == [{}]


@pytest.mark.parametrize(("threads", "count"), [(1, 8), (2, 4), (3, 2), (8, 1), (64, 1)])
def test_each_thread_of_a_worker_has_a_core(threads: int, count: int) -> None:
    assert workers(0, "cpu", threads) == [{}] * count
    assert workers(5, "cpu", threads) == [{}] * 5


def test_a_grid_starts_them() -> None:
    launcher, runtime = LauncherConfig("local"), RuntimeConfig(threads=4)
    with engines.opened(launcher, runtime, [Mock()]) as engine:
        assert engine.workers == 2


def test_tasks_of_srun_begin_with_different_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    have_gpus(monkeypatch, 4)
    found = {}
    for task in range(5):
        monkeypatch.setenv(allotment.TASK, str(task))
        found[task] = [[one[VISIBLE] for one in workers(jobs, "auto")] for jobs in (1, 2, 0)]
    assert [one[0] for one in found.values()] == [["0"], ["1"], ["2"], ["3"], ["0"]]
    assert [one[1] for one in found.values()][:3] == [["0", "1"], ["2", "3"], ["0", "1"]]
    assert found[1][2] == ["0", "1", "2", "3"]


def test_more_workers_than_gpus_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    have_gpus(monkeypatch, 2)
    assert [worker[VISIBLE] for worker in workers(5, "auto")] == ["0", "1", "0", "1", "0"]
    assert [worker[VISIBLE] for worker in workers(1, "auto")] == ["0"]


def test_gpus_are_counted_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allotment.count_gpus.cache_clear()
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(
        "class cuda:\n    device_count = staticmethod(lambda: 3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert allotment.count_gpus() == 3
    allotment.count_gpus.cache_clear()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('no libcudart')\n")
    assert allotment.count_gpus() == 0
    allotment.count_gpus.cache_clear()
