"""Which processes train together: those of torchrun, and not those that srun or mpirun started."""

import os
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState

from frod_bench.common import processes
from frod_bench.config.settings import MethodConfig, RuntimeConfig, Settings, TrainerConfig
from frod_bench.training.distributed import make_accelerator

# As `srun -n 8 --mpi=pmi2` of Slurm 24.11 sets them, and Open MPI's mpirun.
STARTED_BY = {
    "srun": {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "PMI_RANK": "3", "PMI_SIZE": "8"},
    "mpirun": {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "8"},
}


@pytest.mark.parametrize("launcher", STARTED_BY)
def test_eight_tasks_of_a_job_are_a_queue_of_runs_and_not_one_run(
    launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without that, accelerate would wait for the seven others."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in STARTED_BY[launcher].items():
        monkeypatch.setenv(name, value)
    assert processes.count() == 1
    assert processes.is_first()
    assert processes.is_first_here()

    settings = Settings(
        runtime=RuntimeConfig(device="cpu"),
        trainer=TrainerConfig(batch_rows=4),
        method=MethodConfig(kind="frozen"),
    )
    accelerator = make_accelerator(settings)
    assert accelerator.num_processes == 1
    assert os.environ.get("SLURM_NTASKS") == STARTED_BY[launcher].get("SLURM_NTASKS")


def test_torchruns_processes_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in STARTED_BY["mpirun"].items() | {("WORLD_SIZE", "8"), ("RANK", "3")}:
        monkeypatch.setenv(name, value)
    processes.forget_mpi()
    assert "OMPI_COMM_WORLD_SIZE" in os.environ
    assert processes.count() == 8


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC 9B14\nmodel name\t: AMD EPYC 9B14\n",
            "AMD EPYC 9B14",
        ),
        ("model name\t:  Odd\x1b name \n", "Odd name"),
        ("processor\t: 0\nBogoMIPS\t: 50\n", "aarch64"),  # as on ARM
    ],
)
def test_the_processor_has_a_name_that_a_record_can_hold(
    cpuinfo: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: cpuinfo)
    monkeypatch.setattr("platform.processor", lambda: "aarch64")
    assert processes.processor.__wrapped__() == name


@pytest.fixture(autouse=True)
def fresh() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    PartialState._reset_state()


def test_what_computes_is_named_by_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    models = {torch.device("cuda:0"): "H100", torch.device("cuda:1"): "A100"}
    monkeypatch.setattr(torch.cuda, "get_device_name", models.__getitem__)
    assert processes.device_name("cuda:1") == "A100"
    assert processes.device_name(torch.device("cuda", 0)) == "H100"
    for device in ("cpu", torch.device("cpu")):
        assert processes.device_name(device) == processes.processor()
    assert not processes.device_name(torch.device("mps"))  # which torch cannot name
