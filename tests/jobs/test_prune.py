"""`frod-bench prune`: what it lists, what it deletes, and what it leaves to running processes."""

import fcntl
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frod_bench import __main__ as front
from frod_bench.cells import leftovers
from frod_bench.cells.leftovers import STALE_SEC
from frod_bench.common import locks
from frod_bench.common.paths import embedded_mirror_dir
from frod_bench.embedded import mirror
from frod_bench.records import store
from frod_bench.sweep import job_list
from tests.report.factory import make_record, write_record

STEP = "step-00000050-0123abcd.safetensors"
BEST = "best-00000040-4567cdef.safetensors"


def file(path: Path, size_bytes: int = 0, seconds_ago: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size_bytes)
    touched_sec = path.stat().st_mtime - seconds_ago
    os.utime(path, (touched_sec, touched_sec))
    return path


def partial(path: Path) -> Path:
    """The name of a temporary file of a writer, as `atomic.temporary` makes them."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")


class Results:
    """A results folder with a finished run, and runs that are not finished."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.record = write_record(root, make_record())
        self.records = self.record.parent
        self.checkpoints = root / "embedded" / "checkpoints" / Path(*self.records.parts[-2:])
        self.adapters = root / "embedded" / "adapters" / Path(*self.records.parts[-2:])
        self.finished = self.record.stem

    def files(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def prune(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["frod-bench", "prune", *words])
    front.main()


def leftovers_of(results: Results) -> list[Path]:
    """Make one of each kind, in order of path."""
    made = [
        file(results.checkpoints / results.finished / STEP, 2_000_000, seconds_ago=60).parent,
        file(results.checkpoints / "2-0123456789abcdef" / BEST).parent,
        file(results.checkpoints / "3-0123456789abcdef.lock"),
        file(results.checkpoints / "4-0123456789abcdef.lock.lease", seconds_ago=STALE_SEC),
        file(results.checkpoints / "1-0123456789abcdef" / ".tmpAb3dEf", 1_000),
        file(partial(results.checkpoints / "1-0123456789abcdef" / STEP), 500_000),
        file(results.adapters / ".tmpZz0_9a", seconds_ago=STALE_SEC + 60),
        file(partial(results.record)),
        file(partial(store.curve_path(results.record))),
        file(results.records / f"{results.record.name}.invalid-1"),
        file(results.records / f"{results.record.name}.invalid-2" / "in a folder").parent,
        file(results.records / f"{store.curve_path(results.record).name}.invalid-1" / "in").parent,
        file(results.records / f"{results.record.name}.failed-2"),
        file(results.records / f"{results.record.name}.diverged-1"),
        file(results.records / f"{results.record.name}.diverged-1.curve.jsonl"),
        file(partial(results.root / "embedded/tables/main.csv"), seconds_ago=STALE_SEC + 60),
    ]
    return sorted(made)


def needed_in(results: Results) -> set[Path]:
    """Make what somebody may need, and return all files that are to stay."""
    file(results.checkpoints / "1-0123456789abcdef" / STEP)  # of a run that can be resumed
    file(partial(results.root / "embedded/tables/claims.csv"))  # its writer may be at work
    file(results.root / "embedded/tables/main.csv")
    file(results.adapters / ".tmpAb3dEf")  # safetensors may be writing an adapter of any cell
    file(results.root / "embedded/tables/.tmpAb3dEf", seconds_ago=STALE_SEC + 60)  # not the suite's
    return results.files()


def test_leftovers_are_listed_and_stay(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed_in(results)
    made = leftovers_of(results)
    before = results.files()
    prune(monkeypatch, f"results_root={results.root}")
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == list(map(str, made))
    assert total == (
        f"{len(made)} leftovers, 2.5 MB, in {results.root} and the cache. delete=true deletes them."
    )
    assert results.files() == before


def test_delete_removes_what_is_listed_and_nothing_else(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = needed_in(results)
    made = leftovers_of(results)
    prune(monkeypatch, f"results_root={results.root}", "delete=true")
    *lines, total = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines] == list(map(str, made))
    assert total == f"{len(made)} leftovers, 2.5 MB, deleted from {results.root} and the cache."
    assert results.files() == needed
    assert sorted(path.name for path in results.checkpoints.iterdir()) == ["1-0123456789abcdef"]
    prune(monkeypatch, f"results_root={results.root}")
    assert capsys.readouterr().out == f"0 leftovers, 0.0 MB, in {results.root} and the cache.\n"


def test_all_is_listed_before_anything_is_deleted_and_one_that_stays_stops_no_other(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed_in(results)
    made = leftovers_of(results)
    delete = leftovers._delete

    def refused(path: Path) -> None:
        if path == made[0]:
            listed.append(capsys.readouterr().out)
            raise PermissionError(13, "Permission denied", str(path))
        delete(path)

    listed: list[str] = []
    monkeypatch.setattr(leftovers, "_delete", refused)
    with pytest.raises(SystemExit) as ended:
        prune(monkeypatch, f"results_root={results.root}", "delete=true")
    assert "Permission denied" in str(ended.value.code)  # status 1
    assert [line.split()[-1] for line in listed[0].splitlines()] == list(map(str, made))
    first, total = capsys.readouterr().out.splitlines()
    assert first == f"{made[0]} stays: it cannot be deleted."
    assert total.startswith(f"{len(made) - 1} leftovers, ")
    assert [path for path in made if path.exists()] == made[:1]


def test_the_cache_has_temporary_files_and_half_a_data_set(
    results: Results, cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def killed() -> None:
        raise KeyboardInterrupt

    kept = file(cache / "frod_basis/0123.safetensors", 500_000, seconds_ago=2 * STALE_SEC)
    at_work = file(partial(kept), 500_000)
    left = file(partial(kept), 500_000, seconds_ago=STALE_SEC + 60)
    unnamed = file(kept.with_name(".tmpAb3dEf"), 500_000, seconds_ago=STALE_SEC + 60)
    with monkeypatch.context() as patch:  # the scratch folder stays, as after SIGKILL
        patch.setattr(mirror, "_write_repository", lambda folder, *_: file(folder / "rows", 50_000))
        patch.setattr(mirror, "mirror_version", lambda _: killed())
        patch.setattr(mirror.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            mirror.write_mirror(cache / "embedded_mirror")
    (half,) = (path for path in cache.iterdir() if path.name.startswith(".embedded_mirror."))
    sizes = {path: path.stat().st_size for path in half.rglob("*") if path.is_file()}
    os.utime(half, (0, 0))
    prune(monkeypatch, f"results_root={results.root}", "delete=true")
    told = capsys.readouterr().out
    assert f"{sum(sizes.values()) / 1e6:.1f} MB  temporary   {half}" in told
    assert f"0.5 MB  temporary   {left}" in told
    assert f"0.5 MB  temporary   {unnamed}" in told
    assert {path for path in cache.rglob("*") if path.is_file()} == {kept, at_work}
    assert not half.exists()


def test_locks_of_no_cell_are_found_and_a_held_one_stays(
    results: Results, cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """What a process leaves that is killed while it writes data sets, or the list of its jobs."""
    of_mirror, of_jobs = cache / leftovers.MIRROR_LOCK, results.root / leftovers.JOBS_LOCK
    locks_left = [
        file(of_jobs),
        file(of_mirror),
        file(of_mirror.with_name(f"{of_mirror.name}.lease"), seconds_ago=STALE_SEC),
        file(of_mirror.with_name(f"{of_mirror.name}.lease.over-0123"), seconds_ago=STALE_SEC),
    ]
    others = [
        file(results.root / "jobs.lock-tests/jobs.locksmith/records"),
        file(results.root / "embedded/jobs.lock"),
        file(cache / "other/.embedded_mirror.lock"),
        file(cache / "jobs/jobs.lock"),
        file(cache / f"{of_mirror.name}smith"),
    ]
    with of_mirror.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        prune(monkeypatch, f"results_root={results.root}", "delete=true")
    assert [path.exists() for path in locks_left] == [False, True, True, True]
    assert capsys.readouterr().out.startswith(f"      0.0 MB  lock        {of_jobs}\n1 leftovers")
    prune(monkeypatch, f"results_root={results.root}", "delete=true")
    assert not any(path.exists() for path in locks_left)
    assert all(path.exists() for path in others)


def test_a_lock_that_cannot_be_asked_is_nobodys_to_remove(
    results: Results, cache: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Another user's, in a cache that users share; or a folder in its place."""

    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    of_mirror = file(cache / leftovers.MIRROR_LOCK)
    inside = file(results.root / leftovers.JOBS_LOCK / "jobs.lock")
    monkeypatch.setattr(locks, "is_held", refused)
    prune(monkeypatch, f"results_root={results.root}", "delete=true")
    assert capsys.readouterr().out.startswith("0 leftovers")
    assert of_mirror.exists()
    assert inside.exists()


def test_locks_of_no_cell_are_those_that_others_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    @contextmanager
    def locked(path: Path, label: str) -> Iterator[bool]:
        made.append(path.relative_to(tmp_path))
        yield True

    monkeypatch.setenv("FROD_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(mirror.locks, "locked", locked)
    monkeypatch.setattr(mirror, "write_mirror", lambda *_: None)
    mirror.ensure_mirror(embedded_mirror_dir())
    assert made == [leftovers.MIRROR_LOCK]
    assert Path(job_list.FOLDER, job_list.LOCK) == leftovers.JOBS_LOCK


@pytest.mark.parametrize("delete", ["false", "true"])
def test_what_a_process_works_on_stays(
    results: Results, delete: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = leftovers_of(results)
    lock = results.checkpoints / f"{results.finished}.lock"
    with locks.locked(lock, "a run"):
        before = results.files()
        prune(monkeypatch, f"results_root={results.root}", f"delete={delete}")
        assert results.finished not in capsys.readouterr().out
        if delete == "true":
            left = {path for path in before if results.finished in str(path)}
            assert left <= results.files()
            assert len(results.files()) < len(before)
    assert len(made) > 6


def test_what_a_process_has_taken_since_it_was_listed_stays(results: Results) -> None:
    file(results.checkpoints / results.finished / STEP, seconds_ago=60)
    [one] = leftovers.find(results.root)
    with (results.checkpoints / f"{results.finished}.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert not leftovers.remove(one)
    assert one.path.exists()
    results.record.unlink()  # it is to be run again, from this checkpoint
    assert not leftovers.remove(one)
    assert one.path.exists()


def test_a_finished_cell_that_runs_again_keeps_its_checkpoint(results: Results) -> None:
    checkpoint = file(results.checkpoints / results.finished / STEP, seconds_ago=-60)
    assert leftovers.find(results.root) == []
    os.utime(checkpoint, (0, 0))
    assert [one.path for one in leftovers.find(results.root)] == [checkpoint.parent]


def test_a_record_that_cannot_be_read_keeps_its_checkpoint(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(results.checkpoints / results.finished / STEP)
    results.record.unlink()
    results.record.mkdir()
    assert leftovers.find(results.root) == []


def test_a_part_of_the_path_above_the_results_is_not_taken_for_a_cell(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints" / "me" / "mine" / "results"
    root.mkdir(parents=True)
    assert leftovers.find(root) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["results_root=/nowhere"], "results_root=/nowhere: is not a folder"),
        (["delete=yes"], "delete=yes"),
        (["results_root=results/reference", "delete=true"], "is what the project publishes"),
        (["folder=results"], "is not a key of prune"),
    ],
)
def test_bad_input_ends_with_status_2(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        prune(monkeypatch, *words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
