"""The engine of a Ray cluster: the pool of workers, each in an actor with its share of CPUs and
GPUs. An actor that dies costs its cell, and a new one takes its place.

Ray places actors and says when one is lost, and nothing else: the backlog, locks, signals, limits
and records are those of any sweep.
"""

import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from frod_bench.cells.cell import Cell
from frod_bench.common.errors import InputError
from frod_bench.sweep import allotment
from frod_bench.sweep.display import Finished, SweepDisplay
from frod_bench.sweep.pool import run_cells
from frod_bench.sweep.ray_host import Ended, Host, Setting
from frod_bench.sweep.workers import Environment, Work

OBJECT_STORE_BYTES = 80 * 2**20  # of a cluster of our own: cells and outcomes are small
THREADS = 4  # of an actor: it waits for its worker, and receives requests meanwhile
ORPHANED_SEC = 1.0  # until the worker of a lost actor has ended, and its lock is free


def on_one_gpu(gpus: float) -> int:
    """How many workers with this share fit on a GPU: 5 for 0.2, which floats do not represent
    exactly.
    """
    return int(1 / gpus * (1 + 1e-9))


@dataclass(frozen=True)
class Share:
    """What each worker gets."""

    cpus: int
    gpus: float

    def fits(self, machine: Mapping[str, float]) -> int:
        """How many workers fit into the resources of a machine, as Ray names them."""
        by_cpu = int(machine.get("CPU", 0.0) // self.cpus)
        if not self.gpus:
            return by_cpu
        return min(by_cpu, int(machine.get("GPU", 0.0)) * on_one_gpu(self.gpus))


@dataclass(frozen=True)
class RayEngine:
    """Runs cells on the cluster that `ray` is connected to."""

    ray: Any
    share: Share
    workers: int  # how many cells run at a time
    address: str | None = None  # of a cluster that others may use

    def run(self, cells: Sequence[Cell], work: Work, display: SweepDisplay) -> list[Finished]:
        """As `pool.run_cells`."""
        setting = Setting.here()
        if self.address is not None:
            display.say(
                f"Ray at {self.address}: up to {self.workers} workers, each with {self.share.cpus} "
                f"CPUs and {self.share.gpus:g} GPUs, as it has room for them"
            )

        def start(work: Work, _: Environment) -> RayWorker:
            return RayWorker(self.ray, self.share, setting, work)

        return run_cells(cells, work, [{}] * self.workers, display, start)


@contextmanager
def connected(launcher: Any, runtime: Any) -> Iterator[RayEngine]:
    """The engine of `launcher=ray`, on a cluster that is started for it or on a running one. Raises
    InputError if Ray is not installed, there is no cluster, or no machine of it has enough.
    """
    ray = _import_ray(alone=launcher.address is None)
    before = signal.getsignal(signal.SIGTERM)
    try:
        if launcher.address is None:
            share, workers = _start(ray, launcher.gpus, runtime)
        else:
            share, workers = _join(ray, launcher, runtime)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray's own would end this process at once
        yield RayEngine(ray, share, workers, launcher.address)
    finally:
        ray.shutdown()


def _import_ray(*, alone: bool) -> Any:
    """Ray. If its processes are on this machine `alone`, they listen on 127.0.0.1 only, and workers
    have the priority that they have without Ray.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to Ray's authors
    if alone:  # Ray takes the address of the network card otherwise; it reads this when imported
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"launcher=ray: Ray is not installed ({error}). Install it: "
            "pip install 'frod-bench[ray]'"
        ) from error
    return ray


def _start(ray: Any, gpus: float | None, runtime: Any) -> tuple[Share, int]:
    """Start a cluster on this machine, by default for as many workers as without Ray."""
    found = len(allotment.gpus()) if runtime.device in ("auto", "cuda") else 0
    if gpus and not found:
        raise InputError(
            f"launcher.gpus={gpus:g}: there is no GPU on this machine. Leave it out, or name a "
            "cluster that has some, launcher.address=HOST:PORT."
        )
    workers = len(allotment.workers(runtime.jobs, runtime.device, runtime.threads))
    if gpus is None:
        gpus = 1 / math.ceil(workers / found) if found else 0.0
    elif gpus and not runtime.jobs:
        workers = found * on_one_gpu(gpus)
    share = Share(runtime.threads, gpus)
    try:
        ray.init(
            address="local",
            num_cpus=share.cpus * workers,
            num_gpus=found if gpus else 0,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(
            f"launcher=ray: no cluster can be started on this machine ({_reason(error)}). Fix "
            "the cause, use a running cluster (launcher.address=auto), or leave launcher=ray out."
        ) from error
    return share, workers


def _join(ray: Any, launcher: Any, runtime: Any) -> tuple[Share, int]:
    """Connect to a running cluster, by default for as many workers as fit."""
    try:
        ray.init(address=launcher.address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise InputError(
            f"launcher.address={launcher.address}: no Ray cluster can be reached there "
            f"({_reason(error)}). Start one, ray start --head, or leave launcher.address out; if "
            "it asks for a token, set RAY_AUTH_MODE=token."
        ) from error
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = launcher.gpus
    if gpus is None:
        has_gpus = any(machine.get("GPU") for machine in machines)
        gpus = float(runtime.device == "cuda" or (runtime.device == "auto" and has_gpus))
    share = Share(runtime.threads, gpus)
    fitting = sum(map(share.fits, machines))
    if not fitting:
        raise InputError(
            f"launcher.address={launcher.address}: no machine of the cluster has {share.cpus} CPUs "
            f"(runtime.threads) and {share.gpus:g} GPUs (launcher.gpus) for a worker. Ask for less."
        )
    return share, runtime.jobs or fitting


class RayWorker:
    """A worker in an actor. A thread passes on what it sends, through a pipe of this process: the
    pool waits for all its workers at once.
    """

    def __init__(self, ray: Any, share: Share, setting: Setting, work: Work) -> None:
        resources = {"num_cpus": share.cpus, "num_gpus": share.gpus}
        actor = ray.remote(Host).options(**resources, max_concurrency=THREADS, max_restarts=0)
        with _as_os_error(ray):
            self._ray, self._actor = ray, actor.remote(setting, work)
        self._ended = Ended(None, "it has not ended")
        self._is_released = threading.Event()  # nobody waits for it any more
        self._pipe, theirs = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._relay, args=(theirs,), daemon=True)
        self._thread.start()

    def _relay(self, pipe: Connection) -> None:
        try:
            while not isinstance(message := self._ray.get(self._actor.receive.remote()), Ended):
                pipe.send(message)
            self._ended = message
        except self._ray.exceptions.RayError as error:
            self._ended = Ended(None, _reason(error))
            self._is_released.wait(ORPHANED_SEC)
        except OSError:  # the pool has closed its end
            return
        finally:
            pipe.close()

    def fileno(self) -> int:
        """As `Worker.fileno`."""
        return self._pipe.fileno()

    def send(self, cell: Cell) -> None:
        """As `Worker.send`; if the actor is lost, the pipe says so. After an error the actor is no
        more: it may have the cell.
        """
        try:
            with _as_os_error(self._ray):
                self._actor.send.remote(cell)
        except OSError:
            self.kill()
            raise

    def receive(self) -> Any:
        """As `Worker.receive`."""
        return self._pipe.recv()

    def stop(self) -> None:
        """As `Worker.stop`."""
        with suppress(self._ray.exceptions.RayError):
            self._actor.stop.remote()

    def kill(self) -> None:
        """As `Worker.kill`; also of an actor that waits for a machine."""
        self._is_released.set()
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)

    def ended(self, timeout_sec: float | None) -> tuple[int | None, str]:
        """As `Worker.ended`."""
        self._thread.join(timeout_sec)
        return self._ended

    def close(self) -> None:
        """As `Worker.close`."""
        self._pipe.close()
        self.kill()


@contextmanager
def _as_os_error(ray: Any) -> Iterator[None]:
    """Raise OSError, as the start of a process does, if the cluster is gone."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise OSError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """One line of Ray's many: what its creation raised, or else the first one."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0].strip().rstrip(".")
