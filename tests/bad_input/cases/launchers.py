"""Engines that do not exist, keys that another engine reads, and values that fit none."""

from tests.bad_input.case import Bad, cell

RAY, SUBMITIT = "launcher=ray", "launcher=submitit"
RUN = "run -m task=rte method=frozen results_root={here}/results"

NAMES = (
    cell("launcher.name=dask", "launcher.name=dask: is unknown", "Allowed: local, ray, submitit"),
    Bad(f"{RUN} launcher=dask", "launcher=dask", "Allowed: local, ray, submitit"),
    Bad(f"{RUN} launcher=submitt", "launcher=submitt", "Did you mean 'submitit'?"),
    Bad(f"{RUN} launcher=null", "launcher=null: names no launcher", "Allowed: "),
    Bad(f"{RUN} ~launcher", "~launcher: cannot be left out", "Set it, launcher=VALUE"),
    Bad(f"{RUN} launcher=[ray,local]", "launcher=[ray,local]: is a list", "launcher=ray,local"),
    Bad(f"{RUN} launcher=ray,local", "launcher=ray,local: a grid has one launcher", "Name one"),
    Bad(
        "reproduce suite=smoke launcher=local,ray results_root={here}/results",
        "launcher=local,ray: a grid has one launcher",
        "Name one",
    ),
    *(
        Bad(
            f"run task=rte method=frozen {engine} results_root={{here}}/results",
            f"{engine}: starts the runs of a grid",
            "Add -m",
        )
        for engine in (RAY, SUBMITIT)
    ),
)
UNREAD = (
    cell("launcher.detach=true", "launcher.detach=True: is not read by launcher=local", SUBMITIT),
    cell(f"{RAY} launcher.executor=local", "launcher.executor=local: is not read by", SUBMITIT),
    cell(f"{SUBMITIT} launcher.address=auto", "launcher.address=auto: is not read by", RAY),
    cell("launcher.gpus=1", "launcher.gpus=1.0: is not read", f"{RAY} and {SUBMITIT}"),
    cell("+launcher.sbatch.partition=gpu", "is not read by launcher=local", SUBMITIT),
    cell(f"{RAY} +launcher.nope=1", "launcher.nope", "there is no such key"),
)
VALUES = (
    cell(f"{SUBMITIT} +launcher.sbatch.array=1-9", "array=1-9: the engine sets it", "Leave it out"),
    cell(f"{SUBMITIT} +launcher.sbatch.wrap=ls", "wrap=ls: the engine sets it", "Leave it out"),
    cell(f"{SUBMITIT} +launcher.sbatch.arra=1-9", "arra=1-9: the engine sets it", "Leave it out"),
    cell(f"{RAY} launcher.address=h:99999999", "launcher.address=h:99999999", "HOST:PORT"),
    cell(f"{RAY} launcher.address=h:0", "launcher.address=h:0", "HOST:PORT"),
    cell(f"{RAY} launcher.address=h:{'9' * 5000}", "launcher.address=h:999", "HOST:PORT"),
    cell(f"{RAY} 'launcher.address=\"a b:1\"'", "launcher.address=a b:1", "HOST:PORT"),
    cell(
        f"{RAY} runtime.device=cuda:1", "runtime.device=cuda:1: launcher=ray", "Set runtime.device"
    ),
    cell(
        f"{RAY} runtime.device=cpu launcher.gpus=0.5",
        "launcher.gpus=0.5",
        "Leave launcher.gpus out",
    ),
    cell(f"{RAY} launcher.gpus=2", "launcher.gpus=2.0: is out of range", "in [0, 1]"),
    cell(f"{RAY} launcher.gpus=nan", "launcher.gpus=nan: is out of range", "in [0, 1]"),
    cell(f"{SUBMITIT} launcher.gpus=0.5", "launcher.gpus=0.5: a job of Slurm", "Set 0 or 1"),
    cell(
        f"{RAY} launcher.address=ray://head:10001", "launcher.address=ray://", "auto or HOST:PORT"
    ),
    cell(f"{RAY} launcher.address=head", "launcher.address=head", "auto or HOST:PORT"),
    cell(f"{RAY} launcher.address=''", "launcher.address=", "auto or HOST:PORT"),
    cell(f"{SUBMITIT} launcher.executor=pbs", "launcher.executor=pbs: is unknown", "Allowed: "),
    cell(f"{SUBMITIT} launcher.job_minutes=0", "launcher.job_minutes=0", "in [1, 525600]"),
    cell(
        f"{SUBMITIT} launcher.job_minutes=3", "launcher.notice_sec=120: is more", "shorter notice"
    ),
    cell(f"{SUBMITIT} launcher.cell_minutes=-1", "launcher.cell_minutes=-1.0", "in (0, 525600)"),
    cell(f"{SUBMITIT} launcher.memory_gb=inf", "launcher.memory_gb=inf", "in (0, 100000)"),
    cell(f"{SUBMITIT} launcher.detach=maybe", "launcher.detach: ", "Give it true or false"),
    cell(f"{SUBMITIT} +launcher.sbatch.P=gpu", "launcher.sbatch.P=gpu: the name", "e.g. partition"),
    cell(f"{SUBMITIT} +launcher.sbatch.nodes=[1,2]", "launcher.sbatch.nodes=[1, 2]", "in one line"),
    cell(
        f"{SUBMITIT} '+launcher.sbatch.comment=\"a\nb\"'",
        "launcher.sbatch.comment=a\\nb",
        "in one line",
    ),
)

CASES = (*NAMES, *UNREAD, *VALUES)
