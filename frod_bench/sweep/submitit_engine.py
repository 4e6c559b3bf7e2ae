"""The engine of Slurm: arrays of jobs, each with a batch of cells, submitted by submitit. With
`executor=local` processes of this machine stand for the jobs.

The command then waits for the jobs, or leaves (`detach`): the jobs run without it. If the same
command is started again, it finds the jobs that still wait or run, and submits the cells that are
in none of them.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.common import leases, locks, stopping
from frod_bench.common.errors import Detached, InputError
from frod_bench.sweep import allotment, job_list
from frod_bench.sweep.batches import Array, Estimate, Needs, arrays_of, one_array
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.job import Job
from frod_bench.sweep.job_list import Listed
from frod_bench.sweep.watch import MISSES, Watch
from frod_bench.sweep.workers import Work

AT_ONCE = 256  # jobs of an array that run at a time, unless runtime.jobs says otherwise
MOST_TIMEOUTS = 100  # after which submitit does not queue a job again
AGAIN_SEC = 5.0  # until Slurm is asked again about a job that it does not know
ON_GPU, ON_CPU = "a100-80gb", "cpu-2"


@dataclass(frozen=True)
class SubmititEngine:
    """Runs cells in jobs."""

    submitit: Any
    launcher: Any
    runtime: Any
    estimate: Estimate | None

    @property
    def workers(self) -> int | None:
        """As `Engine.workers`; Slurm decides how many jobs run."""
        return self._processes if self.launcher.executor == "local" else None

    def run(self, cells: Sequence[Cell], work: Work, display: SweepDisplay) -> list[Finished]:
        """Submit those cells that no job has yet, and wait for all. Raises Detached if the command
        leaves instead.
        """
        folder = folder_of(cells)
        jobs: list[Listed] = []
        try:
            with locks.locked(folder / job_list.LOCK, "the list of jobs"):
                jobs += _of_earlier(folder, cells, display.say)
                queued = {name for job in jobs for name in job.cells}
                if new := [cell for cell in cells if job_list.name_of(cell) not in queued]:
                    for job in self._submit(folder, new, work, display.say):
                        jobs.append(job)  # one by one: an interrupt leaves those before it
            if self.launcher.detach:
                raise Detached(
                    f"{len(cells)} runs wait or run. The same command says what remains."
                )
            watch = Watch(folder, cells, jobs, display)
            done = watch.run()
            watch.forget_jobs()
        except (stopping.Stopped, KeyboardInterrupt):
            if jobs:
                display.say(f"The jobs go on without this command: {_named(jobs)}.")
            raise
        return done

    def _submit(
        self, folder: Path, cells: Sequence[Cell], work: Work, say: Callable[[str], object]
    ) -> Iterator[Listed]:
        for array in self._arrays(folder, cells):
            executor = self._executor(folder, array)
            jobs = [
                Job(batch, work, folder, uuid.uuid4().hex, environment, self._hold_sec)
                for batch, environment in zip(
                    array.batches, self._environments(len(array.batches)), strict=True
                )
            ]
            try:
                submitted = executor.submit_array(jobs)
            except (OSError, RuntimeError) as error:  # sbatch refuses the options
                raise InputError(
                    f"launcher.executor={self.launcher.executor}: the jobs of {array.name} were "
                    f"not taken ({_last_line(error)}). What was submitted before them goes on. "
                    "Change launcher.sbatch, launcher.gpus or launcher.job_minutes, and start the "
                    "command again."
                ) from error
            finally:
                job_list.remove_unsubmitted(folder)
            found = [
                Listed(
                    token=job.token,
                    id=str(one.job_id),
                    executor=self.launcher.executor,
                    process=self._process(one.job_id),
                    cells=tuple(map(job_list.name_of, job.batch)),
                )
                for job, one in zip(jobs, submitted, strict=True)
            ]
            for listed in found:
                job_list.add(folder, listed)
            say(
                f"submitted {sum(map(len, array.batches))} runs ({array.name}) in "
                f"{len(found)} jobs of {array.minutes} minutes and {array.memory_gb} GB: "
                f"{_named(found)}; logs in {folder}"
            )
            yield from found

    def _arrays(self, folder: Path, cells: Sequence[Cell]) -> Sequence[Array]:
        """Cells in which a job ended come last: they may be why, and the next job ends, too."""
        needs, minutes = self._needs(cells), self.launcher.job_minutes
        died = job_list.deaths(folder)
        last = {cell for cell in cells if job_list.name_of(cell) in died}
        if self.launcher.executor == "local":  # which starts all at once
            return [one_array(cells, needs, minutes, self._processes, last)]
        return list(arrays_of(cells, needs, minutes, last))

    def _needs(self, cells: Sequence[Cell]) -> Mapping[Cell, Needs]:
        """By the settings, and where they leave it open by an estimate, which takes a while."""
        minutes, memory_gb = self.launcher.cell_minutes, self.launcher.memory_gb
        if minutes is not None and memory_gb is not None:
            return dict.fromkeys(cells, Needs(minutes, memory_gb))
        if self.estimate is None:
            raise InputError(
                "launcher=submitit: this command does not estimate what runs need. Set "
                "launcher.cell_minutes and launcher.memory_gb."
            )
        accelerator = self.launcher.accelerator or (ON_GPU if self._gpus else ON_CPU)
        try:
            found = self.estimate(cells, accelerator)
        except (InputError, RuntimeError) as error:  # torch's, of a tensor without values
            raise InputError(
                f"launcher=submitit: what runs need cannot be estimated ({error}) Say it yourself: "
                "launcher.cell_minutes=MINUTES launcher.memory_gb=GB."
            ) from error
        return {
            cell: Needs(minutes or one.minutes, memory_gb or one.memory_gb)
            for cell, one in found.items()
        }

    @property
    def _processes(self) -> int:
        """How many stand for jobs on this machine."""
        runtime = self.runtime
        return len(allotment.workers(runtime.jobs, runtime.device, runtime.threads))

    @property
    def _gpus(self) -> int:
        if self.launcher.gpus is None:
            return int(self.runtime.device == "cuda")
        return int(self.launcher.gpus)

    @property
    def _hold_sec(self) -> float:
        return 0.0 if self.launcher.executor == "local" else float(self.launcher.notice_sec)

    def _environments(self, count: int) -> Sequence[Mapping[str, str]]:
        """Of each job: Slurm chooses its devices, and on this machine we do."""
        if self.launcher.executor == "slurm":
            return [{}] * count
        return allotment.workers(count, self.runtime.device)

    def _executor(self, folder: Path, array: Array) -> Any:
        launcher = self.launcher
        if launcher.executor == "local":
            executor = self.submitit.LocalExecutor(folder, max_num_timeout=MOST_TIMEOUTS)
            executor.update_parameters(
                timeout_min=array.minutes,
                signal_delay_s=launcher.notice_sec,
                stderr_to_stdout=True,
            )
            return executor
        executor = self.submitit.SlurmExecutor(folder, max_num_timeout=MOST_TIMEOUTS)
        cpus = self.runtime.threads
        executor.update_parameters(
            job_name=f"frod_bench_{array.name}",
            time=array.minutes,
            mem=f"{array.memory_gb}G",
            nodes=1,
            ntasks_per_node=1,
            cpus_per_task=cpus,
            **({"gpus_per_node": self._gpus} if self._gpus else {}),
            array_parallelism=self.runtime.jobs or AT_ONCE,
            signal_delay_s=launcher.notice_sec,
            stderr_to_stdout=True,
            srun_args=[f"--cpus-per-task={cpus}"],  # which srun does not take from the job
            additional_parameters=_options(launcher.sbatch),
        )
        return executor

    def _process(self, job_id: str) -> Mapping[str, Any] | None:
        return leases.about_process(int(job_id)) if self.launcher.executor == "local" else None


def opened(launcher: Any, runtime: Any, estimate: Estimate | None) -> SubmititEngine:
    """The engine of `launcher=submitit`. Raises InputError if submitit is not installed, or there
    is no Slurm here.
    """
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            f"launcher=submitit: submitit is not installed ({error}). Install it: "
            "pip install 'frod-bench[slurm]'"
        ) from error
    if launcher.executor == "slurm" and submitit.SlurmExecutor.affinity() < 0:
        raise InputError(
            "launcher=submitit: there is no Slurm on this machine (no srun in PATH). Start the "
            "command on a machine of the cluster, or try it with launcher.executor=local."
        )
    return SubmititEngine(submitit, launcher, runtime, estimate)


def queued_line(cells: Sequence[Cell]) -> str | None:
    """How many of `cells` wait or run in jobs; None if none do."""
    folder = folder_of(cells)
    jobs = job_list.listed(folder)
    states = job_list.states(jobs)
    alive = [job for job in jobs if states[job.token] not in job_list.OVER]
    queued = {name for job in alive for name in _open_cells(folder, job)}
    count = sum(job_list.name_of(cell) in queued for cell in cells)
    if not count:
        return None
    return f"{count} of them wait or run in jobs: {_named(alive, states)}."


def folder_of(cells: Sequence[Cell]) -> Path:
    """Where the jobs of a grid are listed, with their logs."""
    return cells[0].results_dir.parent / job_list.FOLDER


def _of_earlier(folder: Path, cells: Sequence[Cell], say: Callable[[str], object]) -> list[Listed]:
    """The jobs of earlier commands that wait or run and have some of `cells`.

    Each is returned with the cells whose end it has not noted: a noted end is that of a try before
    this command. Jobs that have ended are forgotten, with a message if they left cells open.
    """
    jobs, asked = job_list.listed(folder), {job_list.name_of(cell): cell for cell in cells}
    states = _states_now(folder, jobs)
    alive = []
    for job in jobs:
        open_cells = tuple(name for name in _open_cells(folder, job) if name in asked)
        if states[job.token] not in job_list.OVER:
            alive += [replace(job, cells=open_cells)] if open_cells else []
            continue
        if (begun := job_list.read_notes(folder, job.token).begun) in open_cells:
            job_list.note_death(folder, asked[begun], states[job.token])
        if open_cells:
            say(
                f"job {job.id} has ended ({states[job.token]}) and left {len(open_cells)} runs "
                f"without a record, which are submitted again; its log is "
                f"{folder}/{job.id}_0_log.out"
            )
        job_list.forget(folder, job)
    if alive:
        say(f"{len(alive)} jobs of an earlier command wait or run: {_named(alive, states)}")
    return alive


def _states_now(folder: Path, jobs: Sequence[Listed]) -> dict[str, str]:
    """The state of each job. Slurm is asked again about those that it does not know and that have
    not noted the end of their last cell: a controller that starts again may not know them yet.
    """
    states = job_list.states(jobs)
    for _ in range(MISSES["slurm"] - 1):
        missed = [
            job
            for job in jobs
            if job.executor == "slurm"
            and states[job.token] == job_list.UNKNOWN
            and _open_cells(folder, job)
        ]
        if not missed:
            break
        time.sleep(AGAIN_SEC)
        states |= job_list.states(missed)
    return states


def _open_cells(folder: Path, job: Listed) -> list[str]:
    """The cells of a job whose end it has not noted."""
    ended = job_list.read_notes(folder, job.token).ended
    return [name for name in job.cells if name not in ended]


def _named(jobs: Sequence[Listed], states: Mapping[str, str] | None = None) -> str:
    """The numbers of jobs, those of an array together, with how many are in each state."""
    arrays: dict[str, list[str]] = {}
    for job in jobs:
        number, _, index = job.id.partition("_")
        arrays.setdefault(number, []).append(index)
    names = [
        f"{number}_[{','.join(indices)}]" if indices[0] else number
        for number, indices in arrays.items()
    ]
    text = ", ".join(names)
    if states is None:
        return text
    found = [states[job.token] for job in jobs]
    counts = [f"{found.count(state)} {state}" for state in dict.fromkeys(found)]
    return f"{text} ({', '.join(counts)})"


def _options(sbatch: Mapping[str, Any]) -> dict[str, Any]:
    """Options by submitit's names, so that they replace its own; those that are false left out."""
    options = {"requeue": True} | {name.replace("-", "_"): one for name, one in sbatch.items()}
    return {name: value for name, value in options.items() if value is not False}


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\.$", "", lines[-1]) if lines else type(error).__name__
