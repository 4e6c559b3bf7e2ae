"""Workers on a Ray cluster: what the pool promises holds there, too. One small cluster on this
machine serves all tests.
"""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from frod_bench.cells.results import BUSY, Outcome
from frod_bench.common import stopping
from frod_bench.common.errors import InputError
from frod_bench.config.settings import LauncherConfig, RuntimeConfig
from frod_bench.sweep import allotment, engines, pool, ray_engine
from frod_bench.sweep.pool import WorkersFailedError
from frod_bench.sweep.ray_engine import RayEngine, Share
from frod_bench.sweep.workers import Work
from tests.conftest import SHORT, RunHere

FOLDER = "FROD_BENCH_FOLDER_OF_THE_TEST"  # of a kind that is passed on


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    if importlib.util.find_spec("ray") is None:  # and not imported yet, which the engine does
        pytest.skip("Ray is not installed")
    before = signal.getsignal(signal.SIGTERM)
    runtime = RuntimeConfig(jobs=2, device="cpu")
    with engines.opened(LauncherConfig("ray"), runtime, [Mock()]) as opened:
        assert signal.getsignal(signal.SIGTERM) is before
        assert isinstance(opened, RayEngine)
        yield opened


def test_a_cluster_of_our_own_is_reached_from_this_machine_alone(engine: RayEngine) -> None:
    (node,) = engine.ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the workers know by a variable."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def folder() -> Path:
    return Path(os.environ[FOLDER])


def cells_of(labels: Sequence[str]) -> list[Any]:
    return [SimpleNamespace(label=label) for label in labels]


def wait_for(pattern: str, count: int = 1) -> None:
    """Wait until there are so many files of a pattern."""
    while len(list(folder().glob(pattern))) < count:
        time.sleep(0.02)


def lost(cell: Any) -> Outcome:
    return Outcome("lost", cell.label)


def unlike(_cell: Any) -> Outcome:
    raise AssertionError("no cell may be lost")


def where(cell: Any) -> Outcome:
    (folder() / f"{os.getpid()}.begun").touch()
    wait_for("*.begun", 2)
    return Outcome("ok", f"{os.getpid()} {os.nice(0)} {Path.cwd()}")


def test_cells_run_in_workers_of_their_own_in_the_same_folder(
    engine: RayEngine, shared: Path
) -> None:
    """A third worker waits for a place in the cluster, and holds nobody up."""
    three = RayEngine(engine.ray, engine.share, workers=3)
    done = three.run(cells_of("abcd"), Work(where, unlike), Mock())
    found = [one.summary.split() for one in done]
    assert {one.status for one in done} == {"ok"}
    assert len({process for process, _, _ in found} - {str(os.getpid())}) == 2
    assert {tuple(rest) for _, *rest in found} == {(str(os.nice(0)), str(Path.cwd()))}


def die_or_find_busy(cell: Any) -> Outcome:
    """`worker` dies itself, `actor` takes its actor with it, and `busy` is so at first."""
    if cell.label == "worker":
        os._exit(3)
    if cell.label == "actor":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    tried = folder() / f"{cell.label}.tried"
    if cell.label == "busy" and not tried.exists():
        tried.touch()
        return Outcome(BUSY, "")
    return Outcome("ok", "")


def test_what_dies_costs_its_cell_and_a_busy_cell_comes_last(
    engine: RayEngine, shared: Path
) -> None:
    one_worker = RayEngine(engine.ray, engine.share, workers=1)
    cells = cells_of(["busy", "worker", "actor", "last"])
    done = one_worker.run(cells, Work(die_or_find_busy, lost), Mock())
    assert [(one.cell.label, one.status) for one in done] == [
        ("worker", "lost"),
        ("actor", "lost"),
        ("last", "ok"),
        ("busy", "ok"),
    ]


def work_until_stopped(cell: Any) -> Outcome:
    """A step that ends some time after the request, and then its checkpoint."""
    with stopping.deferred():
        (folder() / f"{cell.label}.begun").touch()
        while not stopping.requested():
            time.sleep(0.02)
        time.sleep(0.3)
        (folder() / f"{cell.label}.checkpoint").touch()
    return Outcome("failed", "it was not stopped")


class Watching:
    """A display that calls `when_two_run` when two cells do."""

    def __init__(self, when_two_run: Callable[[], object]) -> None:
        self.when_two_run = when_two_run
        self.finished = self.say = lambda *_: None

    def running(self, cells: Sequence[Any], _elsewhere: Sequence[Any] = ()) -> None:
        if len(cells) == 2:
            self.when_two_run()


def test_a_request_to_stop_reaches_the_workers_which_leave_checkpoints(
    engine: RayEngine, shared: Path
) -> None:
    def when_both_run() -> None:
        wait_for("*.begun", 2)
        signal.raise_signal(signal.SIGTERM)

    display: Any = Watching(when_both_run)
    with pytest.raises(stopping.Stopped), stopping.listening():
        engine.run(cells_of("abc"), Work(work_until_stopped, unlike), display)
    assert sorted(path.name for path in shared.glob("*.checkpoint")) == [
        "a.checkpoint",
        "b.checkpoint",
    ]


def fail_to_import() -> None:
    raise ImportError("libcudart.so.13: cannot open shared object file")


def test_a_sweep_ends_if_no_worker_can_start(
    engine: RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "MOST_STARTS", 2)
    with pytest.raises(WorkersFailedError, match="ImportError: libcudart") as caught:
        engine.run(cells_of("ab"), Work(unlike, unlike, fail_to_import), Mock())
    assert caught.value.done == []


def test_a_machine_without_the_folder_says_so(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    setting = ray_engine.Setting(gone, {})
    monkeypatch.setattr(ray_engine.Setting, "here", lambda: setting)
    monkeypatch.setattr(pool, "MOST_STARTS", 1)
    with pytest.raises(WorkersFailedError, match=f"{gone}: does not exist on"):
        engine.run(cells_of("a"), Work(unlike, unlike), Mock())


@pytest.mark.parametrize(
    ("share", "machine", "workers"),
    [
        (Share(1, 0.0), {"CPU": 8.0, "GPU": 2.0}, 8),
        (Share(3, 0.0), {"CPU": 8.0}, 2),
        (Share(2, 1.0), {"CPU": 64.0, "GPU": 4.0}, 4),
        (Share(2, 0.25), {"CPU": 64.0, "GPU": 2.0}, 8),
        (Share(2, 0.4), {"CPU": 64.0, "GPU": 2.0}, 4),
        (Share(2, 0.2), {"CPU": 64.0, "GPU": 2.0}, 10),
        (Share(2, 0.1), {"CPU": 64.0, "GPU": 2.0}, 20),
        (Share(2, 1.0), {"CPU": 2.0}, 0),
        (Share(2, 0.0), {}, 0),
    ],
)
def test_how_many_workers_fit_into_a_machine(share: Share, machine: Any, workers: int) -> None:
    assert share.fits(machine) == workers


@pytest.mark.parametrize(
    ("gpus", "runtime", "found", "expected", "resources"),
    [
        (None, RuntimeConfig(device="cpu", jobs=3, threads=2), "01", (Share(2, 0.0), 3), (6, 0)),
        (None, RuntimeConfig(device="cuda"), "01", (Share(1, 1.0), 2), (2, 2)),
        (None, RuntimeConfig(device="auto", jobs=3), "01", (Share(1, 0.5), 3), (3, 2)),
        (0.25, RuntimeConfig(device="cuda"), "01", (Share(1, 0.25), 8), (8, 2)),
        (0.2, RuntimeConfig(device="cuda"), "01", (Share(1, 0.2), 10), (10, 2)),
        (None, RuntimeConfig(device="auto", jobs=2), "", (Share(1, 0.0), 2), (2, 0)),
    ],
)
def test_a_cluster_of_our_own_has_what_this_machine_allows(
    gpus: float | None,
    runtime: RuntimeConfig,
    found: str,
    expected: tuple[Share, int],
    resources: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allotment, "gpus", lambda: list(found))
    ray = Mock()
    assert ray_engine._start(ray, gpus, runtime) == expected
    asked = ray.init.call_args.kwargs
    assert (asked["num_cpus"], asked["num_gpus"]) == resources


def running_cluster(*machines: dict[str, float]) -> Any:
    ray = Mock()
    ray.exceptions.RayError = RuntimeError
    ray.nodes.return_value = [{"Alive": True, "Resources": one} for one in machines]
    ray.nodes.return_value.append({"Alive": False, "Resources": {"CPU": 1000.0}})
    return ray


@pytest.mark.parametrize(
    ("runtime", "gpus", "expected"),
    [
        (RuntimeConfig(device="cpu", threads=4), None, (Share(4, 0.0), 4)),
        (RuntimeConfig(), None, (Share(1, 1.0), 2)),
        (RuntimeConfig(jobs=9), 0.5, (Share(1, 0.5), 9)),
        (RuntimeConfig(), 0, (Share(1, 0.0), 17)),
    ],
)
def test_a_running_cluster_gets_as_many_workers_as_fit(
    runtime: RuntimeConfig, gpus: float | None, expected: tuple[Share, int]
) -> None:
    ray = running_cluster({"CPU": 15.0, "GPU": 2.0}, {"CPU": 2.0})
    launcher = LauncherConfig("ray", address="auto", gpus=gpus)
    if runtime.threads == 4:
        expected = (expected[0], 3)  # of the first machine; the second is too small
    assert ray_engine._join(ray, launcher, runtime) == expected


def test_a_cluster_that_is_too_small_or_away_is_bad_input() -> None:
    launcher = LauncherConfig("ray", address="10.0.0.1:6379")
    small = running_cluster({"CPU": 2.0})
    with pytest.raises(InputError, match="no machine of the cluster has 8 CPUs"):
        ray_engine._join(small, launcher, RuntimeConfig(threads=8))
    small.init.side_effect = ConnectionError("Could not find any running Ray instance.\nmore")
    with pytest.raises(InputError, match=r"can be reached there \(Could not find any running Ray"):
        ray_engine._join(small, launcher, RuntimeConfig())


def test_a_cluster_that_cannot_be_started_is_bad_input() -> None:
    ray = running_cluster()
    ray.init.side_effect = PermissionError(13, "Permission denied", "/home/me/.ray/auth_token")
    with pytest.raises(InputError, match=r"no cluster can be started .*Permission denied"):
        ray_engine._start(ray, None, RuntimeConfig(device="cpu", jobs=1))


def test_there_must_be_a_gpu_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allotment, "gpus", tuple)
    with pytest.raises(InputError, match="there is no GPU on this machine"):
        ray_engine._start(Mock(), 0.5, RuntimeConfig())


def test_without_ray_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: RunHere
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["frod_bench", "run", "-m", *SHORT, "task=rte", "method=frozen", "launcher=ray"]
    told = here(*words, f"results_root={tmp_path}/results")
    assert told.returncode == 2
    assert "pip install 'frod-bench[ray]'" in told.stderr
    assert not list(tmp_path.iterdir())
