"""What a job of a scheduler does: it runs its cells one after another, and if it is preempted or
its time is up, it leaves a checkpoint and is queued again.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frod_bench.cells.results import BUSY
from frod_bench.common import stopping
from frod_bench.sweep import job_list
from frod_bench.sweep.backlog import Backlog
from frod_bench.sweep.batches import Batch
from frod_bench.sweep.workers import Environment, Work


@dataclass(frozen=True)
class Job:
    """The function of a job, which submitit calls."""

    batch: Batch
    work: Work
    folder: Path  # of its notes
    token: str
    environment: Environment
    hold_sec: float  # that it waits to be killed for, if it was asked to stop

    def __call__(self) -> None:
        """Run the cells.

        submitit handles two signals. On one of them it queues the job again, and would end a run
        within a step; it ignores SIGTERM. Here both signals end a run after the current step, with
        a checkpoint. Then submitit does what it would have done.
        """
        os.environ.update(self.environment)
        notice = _notice()
        queue_again: Any = signal.getsignal(notice)
        noticed: list[int] = []

        def stop(number: int, _frame: object) -> None:
            noticed.append(number)
            signal.raise_signal(signal.SIGUSR1)

        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with stopping.listening():
            signal.signal(notice, stop)
            try:
                self.run()
            except stopping.Stopped:
                signal.signal(notice, signal.SIG_IGN)
                if noticed:
                    queue_again(notice, None)  # ends this process
                time.sleep(self.hold_sec)  # so that Slurm sees a preempted job, not one that ended
                sys.exit(stopping.STATUS)

    def run(self) -> None:
        """Run each cell; one that another process runs comes last."""
        self.work.prepare()
        backlog = Backlog(self.batch)
        while backlog:
            task = backlog.next()
            if task is None:
                time.sleep(backlog.due_in_sec() or 0.0)
                continue
            job_list.note(self.folder, self.token, task.cell, job_list.BEGUN)
            try:
                outcome = self.work.run(task.cell)
            except stopping.Stopped:
                job_list.note(self.folder, self.token, task.cell, job_list.STOPPED)
                raise
            job_list.note(self.folder, self.token, task.cell, outcome.status, outcome)
            if outcome.status == BUSY:
                backlog.put_back_busy(task)

    def checkpoint(self) -> Any:
        """What is queued again: the same cells, of which those with records are skipped."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _notice() -> int:
    """The signal that submitit has Slurm send before a job ends."""
    from submitit import JobEnvironment

    return int(getattr(signal, f"SIG{JobEnvironment.USR_SIG}"))
