"""The harness that kills sweeps: it stops a writer where it was told to, and counts each cost."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frod_bench.records import store
from tests.report.factory import make_record, synthetic_curve, write_record
from tools.chaos import __main__ as chaos
from tools.chaos import kills, verdict
from tools.chaos.rounds import Round
from tools.chaos.sweeps import INSIDE, TAG, ChaosError, Folder, Sweep
from tools.chaos.verdict import DIED, Counts

WRITES = """
import sys
from pathlib import Path
from frod_bench.common import atomic
path, text = Path(sys.argv[1]), '{"status": "ok"}'
if path.name == "README.md":  # a data set's card, which lies in a folder that is moved as a whole
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
else:
    atomic.write_text(path, text)
"""
TEXT = '{"status": "ok"}'
LAUNCHER = 4711  # a process
TABLES = ("main.md", "main.csv", "paired.md")
MAIN = "method,metric,unit,mean\nlora,accuracy,,61.2\nlora,training step,s,0.125\n"


@pytest.mark.parametrize(
    ("name", "during", "moment", "left"),
    [
        ("checkpoints/rte/lora/0-a/step-1.safetensors", "checkpoint", "half", (None, TEXT[:8])),
        ("records/rte/lora/0-a.json", "record", "half", (None, TEXT[:8])),
        ("records/rte/lora/0-a.json", "record", "before", (None, TEXT)),
        (".embedded_mirror.a.partial/VERSION", "cache", "after", (TEXT, None)),
        (".embedded_mirror.a.partial/rte/README.md", "cache", "half", (TEXT[:8], None)),
        ("tables/main.md", "report", "half", (None, TEXT[:8])),
        ("report.html", "report", "half", (None, TEXT[:8])),
    ],
)
def test_a_process_stops_where_it_was_told_to(
    name: str, during: str, moment: str, left: tuple[str | None, str | None], tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    order = {"id": "one", "during": during, "moment": moment, "skip": 0}
    folder.order_file.write_text(json.dumps(order))
    path = tmp_path / "results" / name
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path)],
        env={
            **os.environ,
            "CHAOS_CONTROL": str(folder.control),
            "PYTHONPATH": os.pathsep.join([str(INSIDE), *sys.path]),
        },
    )
    try:
        deadline = time.monotonic() + 60
        while not (stopped := [e for e in folder.journal() if e["what"] == "stopped"]):
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.kill()
    assert process.wait(60) == -signal.SIGKILL
    assert [(one["order"], one["pid"]) for one in stopped] == [("one", process.pid)]
    partials = [one.read_text() for one in path.parent.glob(".*.partial")]
    assert (path.read_text() if path.exists() else None, *(partials or [None])) == left
    assert not folder.order_file.exists()


def test_the_modes_have_every_kind_and_the_seed_fixes_them() -> None:
    hands = kills.dealt(14, ["local", "rivals"], Random(3))
    assert [len(hand) for hand in hands.values()] == [7, 7]
    assert hands == kills.dealt(14, ["local", "rivals"], Random(3))
    assert hands != kills.dealt(14, ["local", "rivals"], Random(4))
    for hand in hands.values():
        assert {kill.during for kill in hand} == {None, "checkpoint", "record", "cache", "report"}
        assert [hand[0].during, hand[-1].during] == ["cache", "report"]
    assert not any(kill.victim == kills.EVERYTHING for kill in hands["local"])
    cut_off = [
        kill
        for seed in range(50)
        for hand in kills.dealt(14, ["local", "rivals"], Random(seed)).values()
        for kill in hand
        if kill.moment == kills.HALF
    ]
    assert len(cut_off) > 50
    assert not any(kill.victim == kills.LAUNCHER for kill in cut_off)  # whose writer would go on


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Folder, Folder]:
    """A disturbed folder and an undisturbed one, with the same two runs and a report."""
    whole = Folder(tmp_path / "undisturbed")
    for seed in (0, 1):
        record = write_record(whole.results, make_record(seed=seed), synthetic_curve(steps=4))
        adapter = whole.results / "embedded/adapters" / Path(*record.parts[-3:-1])
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / f"{record.stem}.safetensors").write_bytes(b"values")
    ours = Folder(tmp_path / "ours")
    shutil.copytree(whole.results, ours.results)
    for folder in (whole, ours):
        folder.cache.mkdir()
        (folder.results / "embedded/tables").mkdir()
        for name in TABLES:
            (folder.results / "embedded/tables" / name).write_text(
                MAIN if name == "main.csv" else "a table\n"
            )
        write_manifest(folder, *TABLES)
        note(folder, *(("record", path, "ok") for path in records(folder)))
    return ours, whole


def write_manifest(folder: Folder, *names: str) -> None:
    tables = [folder.results / "embedded/tables" / name for name in names]
    written = {str(one): [one.stat().st_size, one.stat().st_mtime_ns] for one in tables}
    (folder.results / "embedded/tables/.made_from.json").write_text(
        json.dumps({"written": written})
    )


def records(folder: Folder) -> list[Path]:
    return sorted((folder.results / "embedded/records").rglob("*.json"))


def note(folder: Folder, *entries: tuple[str, Path, str | None], error: str = "") -> None:
    with folder.journal_file.open("a") as journal:
        for what, path, status in entries:
            entry = {"what": what, "path": str(path), "status": status, "error": error}
            entry |= {"pid": LAUNCHER}
            journal.write(json.dumps(entry) + "\n")


def values_of(record: Path) -> Path:
    folder = record.parents[3] / "adapters" / Path(*record.parts[-3:-1])
    return folder / f"{record.stem}.safetensors"


def checkpoint_of(record: Path) -> Path:
    task, method = record.parts[-3:-1]
    return record.parents[3] / "checkpoints" / task / method / record.stem / "step-00000002-ab"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def failed_try(folder: Folder, message: str) -> None:
    first = records(folder)[0]
    content = json.dumps({"error": {"type": "RuntimeError", "message": message}})
    first.with_name(f"{first.name}.failed-1").write_text(content)


def noted(folder: Folder, text: str, *names: str) -> None:
    """Files that the report noted as they are."""
    for name in names:
        (folder.results / "embedded/tables" / name).write_text(text)
    write_manifest(folder, *TABLES)


def failed(folder: Folder, *errors: str) -> None:
    """Failed records, in whose places those of good tries were put later."""
    later = folder.journal_file.read_text()
    folder.journal_file.unlink()
    for error in errors:
        note(folder, ("record", records(folder)[1], "failed"), error=error)
    with folder.journal_file.open("a") as journal:
        journal.write(later)


COSTS: dict[str, tuple[Callable[[Folder], object], Counts]] = {
    "nothing": (lambda _: None, Counts()),
    "a try of a killed worker beside its record": (
        lambda f: failed_try(f, "the worker died (killed, or out of memory)"),
        Counts(temporary=1),
    ),
    "a try that failed by itself": (
        lambda f: failed_try(f, "[Errno 2] No such file or directory"),
        Counts(doubled=1, temporary=1),
    ),
    "a temporary file that prune removes": (
        lambda f: (f.cache / ".entry.safetensors.ab.partial").write_bytes(b"half"),
        Counts(),
    ),
    "a temporary file of another name": (
        lambda f: (f.cache / "entry.safetensors.half").write_bytes(b"half"),
        Counts(temporary=1),
    ),
    "trained values that are nobody's": (
        lambda f: (f.results / "embedded/adapters/0-ab.safetensors").write_bytes(b"values"),
        Counts(doubled=1, temporary=1),
    ),
    "the death of a worker that was killed": (lambda f: failed(f, DIED), Counts()),
    "the death of a worker that nobody killed": (
        lambda f: failed(f, DIED, DIED, DIED),
        Counts(failed=2),
    ),
    "a try that failed and another that did not": (
        lambda f: failed(f, "[Errno 2] No such file or directory"),
        Counts(failed=1),
    ),
    "lost": (lambda f: records(f)[0].unlink(), Counts(lost=1)),
    "damaged": (lambda f: records(f)[0].write_text("{"), Counts(lost=1)),
    "another cell": (
        lambda f: shutil.copy(records(f)[0], records(f)[0].with_name("7-0123456789abcdef.json")),
        Counts(doubled=1, temporary=1),
    ),
    "set aside": (
        lambda f: records(f)[0].with_name(f"{records(f)[0].name}.invalid-1").write_text("{"),
        Counts(doubled=1, temporary=1),
    ),
    "trained values that were set aside": (
        lambda f: values_of(records(f)[0]).with_suffix(".safetensors.invalid-1").write_bytes(b"a"),
        Counts(doubled=1, temporary=1),
    ),
    "other predictions": (
        lambda f: store.curve_path(records(f)[1]).write_text('{"step": 1, "seconds": 0.5}\n'),
        Counts(different=1),
    ),
    "other trained values": (
        lambda f: next((f.results / "embedded/adapters").rglob("1-*")).write_bytes(b"others"),
        Counts(different=1),
    ),
    "run twice": (lambda f: note(f, ("record", records(f)[0], "ok")), Counts(run_twice=1)),
    "trained twice": (
        lambda f: note(f, ("checkpoint", checkpoint_of(records(f)[0]), None)),
        Counts(run_twice=1),
    ),
    "a table that is half-written": (
        lambda f: (f.results / "embedded/tables/main.md").write_text("a t"),
        Counts(reports=1),
    ),
    "a table that was half-written when it was noted": (
        lambda f: noted(f, "a t", "main.md"),
        Counts(reports=1),
    ),
    "a table of other tests": (lambda f: noted(f, "b table\n", "paired.md"), Counts(reports=1)),
    "a table of other scores": (
        lambda f: noted(f, MAIN.replace("61.2", "61.3"), "main.csv"),
        Counts(reports=1),
    ),
    "a table of other seconds": (
        lambda f: noted(f, MAIN.replace("0.125", "0.25"), "main.csv"),
        Counts(),
    ),
    "a report of fewer files": (lambda f: write_manifest(f, "main.md"), Counts(reports=1)),
    "a report of no file": (write_manifest, Counts(reports=1)),
    "no report": (
        lambda f: (f.results / "embedded/tables/.made_from.json").unlink(),
        Counts(reports=1),
    ),
}


@pytest.mark.parametrize("cost", COSTS)
def test_every_cost_is_counted(
    cost: str, folders: tuple[Folder, Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, whole = folders
    damage, counts = COSTS[cost]
    damage(ours)
    monkeypatch.setattr(  # as `frod-bench prune` does, which has tests of its own
        verdict, "prune", lambda folder: [path.unlink() for path in verdict.temporaries(folder)]
    )
    found, left = verdict.judge(ours, whole, {LAUNCHER: 1, LAUNCHER + 1: 5})
    assert found == counts
    assert left == (cost == "a temporary file that prune removes")
    assert found.is_clean == (counts == Counts())


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("1 of 12 runs failed.\n", 1),
        ("2 of 12 runs failed.\n", 2),
        ("No worker can start: 3 in a row\n", 1),
        ("Traceback (most recent call last):\nFileNotFoundError: [Errno 2]\n", None),
        ("error: [Errno 2] No such file or directory.\n", None),
    ],
)
@pytest.mark.parametrize("worker_kills", [0, 1, 2])
def test_a_sweep_that_ends_with_1_has_to_say_why_and_to_have_lost_workers(
    tmp_path: Path, said: str, lost: int | None, worker_kills: int
) -> None:
    sweep = Sweep(Folder(tmp_path / "one"), [], "sweep")
    sweep.log.write_text("2 of 12 runs failed.\nof an earlier start\n")
    sweep.printed = sweep.log.stat().st_size
    sweep.process = subprocess.Popen(["sh", "-c", "exit 1"])
    sweep.process.wait()
    with sweep.log.open("a") as log:
        log.write(said)
    sweep.worker_kills[sweep.process.pid] = worker_kills
    is_good = lost is not None and lost <= worker_kills
    with nullcontext() if is_good else pytest.raises(ChaosError, match="ended with status 1"):
        assert not sweep.is_done


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_launcher_that_others_kill_is_no_kill_of_ours(tmp_path: Path, is_ours: bool) -> None:
    sweep = Sweep(Folder(tmp_path / "one"), [], "sweep")
    sweep.log.touch()
    sweep.process = subprocess.Popen(["sleep", "60"])
    if is_ours:
        assert sweep.kill([sweep.process.pid]) == {sweep.process.pid}
    else:
        sweep.process.kill()
    sweep.process.wait()
    with nullcontext() if is_ours else pytest.raises(ChaosError, match="ended with status -9"):
        assert not sweep.is_done


def test_who_was_killed_decides_how_many_deaths_are_expected(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "one")
    sweeps = [Sweep(folder, [], name) for name in ("first", "second")]
    round_ = Round(folder, sweeps, Random(0))
    started = [
        subprocess.Popen(["sleep", "60"], env={**os.environ, TAG: sweep.tag})
        for sweep in (*sweeps, *sweeps)
    ]
    try:
        for sweep, process in zip(sweeps, started, strict=False):
            sweep.process = process
        worker, orphan = started[2:]
        assert not round_.strike(kills.Kill(kills.WORKER), sweeps[0], None)  # no command of one
        assert round_.strike(kills.Kill(kills.WRITER), sweeps[0], worker.pid)
        assert worker.wait(60) == -signal.SIGKILL
        assert round_.worker_kills() == {started[0].pid: 1}
        assert round_.strike(kills.Kill(kills.LAUNCHER), sweeps[1], None)
        assert round_.strike(kills.Kill(kills.WRITER), sweeps[1], orphan.pid)
        assert round_.worker_kills() == {started[0].pid: 1}
        assert [sweep.launcher for sweep in sweeps] == [started[0].pid, None]
        assert not round_.strike(kills.Kill(kills.LAUNCHER), sweeps[1], None)
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_what_prune_leaves_is_counted(
    folders: tuple[Folder, Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, whole = folders
    (ours.results / "embedded/tables/.main.md.ab.partial").write_text("half")
    checkpoint = checkpoint_of(records(ours)[0])
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    monkeypatch.setattr(verdict, "prune", lambda _: None)
    assert verdict.judge(ours, whole, {})[0] == Counts(temporary=2)


def test_prune_sees_what_is_two_hours_old(folders: tuple[Folder, Folder]) -> None:
    """By the command itself, in the results and in the cache that it is given."""
    ours, whole = folders
    for folder in (ours.cache, ours.results / "embedded/tables"):
        (folder / ".main.md.ab.partial").write_text("half")
    assert verdict.judge(ours, whole, {}) == (Counts(), 2)


def test_a_sweep_that_nobody_disturbed_is_judged_too(
    folders: tuple[Folder, Folder],
) -> None:
    _, whole = folders
    with pytest.raises(ChaosError, match="predictions"):
        verdict.check(whole, cells=2)
    for record in records(whole):
        pq.write_table(pa.table({"row": [0]}), store.predictions_path(record))
    verdict.check(whole, cells=2)
    with pytest.raises(ChaosError, match="2 records of 12 cells"):
        verdict.check(whole, cells=12)
    record = records(whole)[0]
    for stray in (
        record.with_name(f"{record.name}.invalid-1"),
        record.with_name(f"{record.stem}.txt"),
        values_of(record).with_name("0-ab.safetensors"),
        checkpoint_of(record),
        whole.cache / "stray",
        whole.results / "embedded/tables/other.md",
    ):
        stray.parent.mkdir(parents=True, exist_ok=True)
        stray.write_text("{")
        with pytest.raises(ChaosError, match=stray.name):
            verdict.check(whole, cells=2)
        stray.unlink(missing_ok=True)
    failed(whole, "[Errno 2] No such file or directory")
    with pytest.raises(ChaosError, match=r"failed by themselves +1"):
        verdict.check(whole, cells=2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kill=3"], "kill: is not a key"),
        (["kills=many"], "'many': is not a whole number"),
        (["kills=0"], "kills=0: shows nothing"),
        (["modes=local,all"], "modes=all: is none of local, rivals, ray"),
        (["modes=local,ray"], "modes=ray: Ray is not installed"),
        ([f"keep={__file__}"], "is a file, or holds something"),
    ],
)
def test_bad_words_end_with_status_2(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chaos, "has_ray", lambda: False)
    assert chaos.main(words) == 2
    assert message in capsys.readouterr().err
