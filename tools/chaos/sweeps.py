"""A sweep in processes of its own, which are found by a variable of their environment: workers of
any engine inherit it, wherever they are started.
"""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
TAG = "CHAOS_SWEEP"
OF_WORKERS = (b"multiprocessing.spawn", b"ray::Host")  # in their command lines
TOLD = re.compile(r"^(\d+) of \d+ runs failed\.|^No worker can start: ", re.MULTILINE)
DONE, FAILED = 0, 1  # exit statuses: all cells are done; some failed, as those of killed workers


class ChaosError(Exception):
    """A sweep that hangs, or ends as none should."""


class Folder:
    """A results folder with a cache of its own, and what the harness notes about it."""

    def __init__(self, path: Path) -> None:
        self.path, self.results, self.cache = path, path / "results", path / "cache"
        self.control = path / "control"
        self.journal_file, self.order_file = self.control / "journal", self.control / "order.json"
        self.control.mkdir(parents=True)

    def journal(self) -> list[dict[str, Any]]:
        """What the processes have noted, in order; the last line may be of a killed process."""
        if not self.journal_file.exists():
            return []
        entries = []
        for line in self.journal_file.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                entries.append(json.loads(line))
        return entries


class Sweep:
    """One command that runs a grid and writes its report, started again until it is done."""

    def __init__(self, folder: Folder, words: Sequence[str], name: str) -> None:
        self.folder, self.words, self.name = folder, words, name
        self.tag = uuid.uuid4().hex
        self.log = folder.path / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.is_beheaded = False  # its launcher was killed since it was started
        self.worker_kills: Counter[int] = Counter()  # that left its launcher alive, by launcher
        self.noted = 0  # entries of the journal when it was started
        self.printed = 0  # bytes of the log at that time

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def is_done(self) -> bool:
        """Whether it has ended with all cells done.

        It may also end because its launcher was killed, or report lost runs, at most as many as
        workers of it were killed. Raises ChaosError if it has ended in any other way.
        """
        status = None if self.process is None else self.process.poll()
        if self.process is None or status is None:
            return False
        is_excused = (
            self.is_beheaded
            if status == -signal.SIGKILL
            else status == FAILED and 0 < self.told() <= self.worker_kills[self.process.pid]
        )
        if status != DONE and not is_excused:
            raise ChaosError(f"{self.name} ended with status {status}:\n{self.tail()}")
        return status == DONE

    def start(self) -> None:
        """Run the same command, as a user would again."""
        path = [str(INSIDE), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            TAG: self.tag,
            "CHAOS_CONTROL": str(self.folder.control),
            "PYTHONPATH": os.pathsep.join(path),
            "FROD_BENCH_CACHE": str(self.folder.cache),
            "HF_HOME": str(self.folder.path / "home"),
            "HF_HUB_OFFLINE": "1",
        }
        command = [sys.executable, "-m", "frod_bench.reproduce", *self.words]
        self.noted = len(self.folder.journal())
        self.printed = self.log.stat().st_size if self.log.exists() else 0
        self.is_beheaded = False
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"results_root={self.folder.results}"],
                cwd=self.folder.path, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def launcher(self) -> int | None:
        """The process that was started, while it runs."""
        return self.process.pid if self.process is not None and self.is_running else None

    def pids(self) -> list[int]:
        """Its processes, the launcher first."""
        found = _tagged(f"{TAG}={self.tag}".encode())
        return sorted(found, key=lambda pid: pid != self.launcher)

    def workers(self) -> list[int]:
        """Its processes that run cells."""
        return [pid for pid in self.pids() if any(part in _command(pid) for part in OF_WORKERS)]

    def kill(self, pids: Sequence[int] | None = None) -> set[int]:
        """Kill some of its processes, or all, and those that they start meanwhile; returns whom."""
        killed: set[int] = set()
        while targets := [pid for pid in (self.pids() if pids is None else pids) if _lives(pid)]:
            for pid in targets:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            if self.process is not None:
                self.process.poll()  # else it stays as a zombie
        if self.process is not None and self.process.pid in killed:
            self.is_beheaded = True
        return killed

    def told(self) -> int:
        """How many runs it lost, as it says itself; 1 if no worker could start."""
        found = TOLD.search(self.said())
        return 0 if found is None else int(found[1] or 1)

    def said(self) -> str:
        """What it printed since it was started."""
        return self.log.read_bytes()[self.printed :].decode(errors="replace")

    def tail(self) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


def _tagged(tag: bytes) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):  # it has ended, or is another user's
                if tag in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _lives(pid: int) -> bool:
    """Whether a process exists and is not a zombie, which has nothing left to kill."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
