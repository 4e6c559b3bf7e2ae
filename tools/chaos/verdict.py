"""What the kills cost: a folder that was disturbed next to one that was not."""

import csv
import filecmp
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from frod_bench.cells import leftovers
from frod_bench.common import atomic
from frod_bench.records import store
from frod_bench.records.schema import RecordError
from frod_bench.report.asked import MANIFEST
from tools import same_records
from tools.chaos.sweeps import ROOT, ChaosError, Folder

PROFILE = "embedded"
TWO_HOURS_SEC = 7200.0
SCORES = "main.csv"
OF_MACHINE = ("s", "MiB")  # units of its rows that differ from run to run
EQUAL_TABLES = ("paired", "parameters")  # which have no such rows
# Beside a record: what a killed worker is known to leave, a failed try, is not a second record.
FAILED_TRY = "*.json.failed-*"
DIED = "the worker died"  # how the error of such a try begins
ENDS = {  # of the files of a report, whole
    ".png": b"IEND\xaeB`\x82", ".pdf": b"%%EOF", ".html": b"</html>",
    ".csv": b"\n", ".md": b"\n", ".tex": b"\n",
}  # fmt: skip


@dataclass
class Counts:
    """What there must be none of."""

    lost: int = 0  # cells without a record of status ok
    doubled: int = 0  # files among the records that are not of exactly one cell, or were set aside
    different: int = 0  # records whose metrics, curve, predictions or trained values differ
    temporary: int = 0  # files that only the disturbed folder or its cache has, after prune
    run_twice: int = 0  # records and checkpoints that a finished cell wrote again
    failed: int = 0  # tries that left a failed record, but for those of workers that were killed
    reports: int = 0  # with a file too few, not as it was written, or another table of scores

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def is_clean(self) -> bool:
        return not any(astuple(self))


TITLES = {
    "lost": "records lost",
    "doubled": "records doubled or set aside",
    "different": "records that differ from the undisturbed sweep's",
    "temporary": "temporary and other files left, after prune",
    "run_twice": "finished cells run twice",
    "failed": "tries that failed by themselves",
    "reports": "reports incomplete or different",
}
assert list(TITLES) == [one.name for one in fields(Counts)]


def judge(
    folder: Folder, undisturbed: Folder, worker_kills: Mapping[int, int]
) -> tuple[Counts, int]:
    """What the kills cost in a folder whose sweeps are done, and how many temporary files they left
    for `prune` to delete. `worker_kills` are those that left the launcher alive, by launcher.
    """
    ours, whole = (one.results / PROFILE for one in (folder, undisturbed))
    kinds = ("records", "adapters")
    names = {path.relative_to(whole) for kind in kinds for path in (whole / kind).rglob("*")}
    records = records_of(undisturbed)
    counts = Counts(
        lost=sum(not _is_ok(ours / name) for name in records),
        doubled=sum(
            path.relative_to(ours) not in names
            and not _is_of_a_killed_worker(path)
            and not fnmatchcase(path.name, atomic.TEMPORARIES)
            for kind in kinds
            for path in (ours / kind).rglob("*")
            if path.is_file()
        ),
        different=sum(_differs(whole / name, ours / name) for name in records),
        run_twice=run_twice(folder),
        failed=failed_tries(folder, worker_kills),
        reports=int(not _is_complete(ours, whole)),
    )
    left = len(temporaries(folder))
    prune(folder)
    folders = [path for path in temporaries(folder) if path.is_dir() and not any(path.iterdir())]
    counts.temporary = len(files_of(folder) - files_of(undisturbed)) + len(folders)
    return counts, left


def check(undisturbed: Folder, cells: int) -> None:
    """Raise ChaosError unless a sweep that nobody disturbed has the files of so many cells and of a
    report, and no others: they are what all others are compared with.
    """
    profile, stems = undisturbed.results / PROFILE, records_of(undisturbed)
    if len(stems) != cells:
        raise ChaosError(f"the undisturbed sweep has {len(stems)} records of {cells} cells")
    wanted = {profile / MANIFEST, *(profile / name for name in _written(profile))}
    for record in (profile / stem for stem in stems):
        curve, predictions = store.curve_path(record), store.predictions_path(record)
        wanted |= {record, curve, predictions, _values_of(record)}
    mirror = undisturbed.cache / "embedded_mirror"
    found = set(map(undisturbed.path.joinpath, files_of(undisturbed)))
    strange = {path for path in found ^ wanted if mirror not in path.parents}
    counts, left = judge(undisturbed, undisturbed, {})
    if strange or left or not counts.is_clean:
        raise ChaosError(
            f"the undisturbed sweep has strange files or lacks some: {sorted(map(str, strange))}, "
            f"{left} temporary ones, and\n{table([('', counts)])}"
        )


def records_of(folder: Folder) -> list[Path]:
    """The names of a folder's records below its profile, in order."""
    profile = folder.results / PROFILE
    return sorted(path.relative_to(profile) for path in (profile / "records").rglob("*.json"))


def files_of(folder: Folder) -> set[str]:
    """The names of all files of a folder's results and of its cache."""
    tops = (folder.results, folder.cache)
    return {
        str(path.relative_to(folder.path))
        for top in tops
        for path in top.rglob("*")
        if path.is_file()
    }


def failed_tries(folder: Folder, worker_kills: Mapping[int, int]) -> int:
    """Failed records that were put in their places, but for those of workers that were killed: a
    launcher leaves one for each at most.
    """
    tries = [one for one in folder.journal() if one.get("status") == "failed"]
    died = Counter(one["pid"] for one in tries if one["error"].startswith(DIED))
    excused = sum(min(count, worker_kills.get(pid, 0)) for pid, count in died.items())
    return len(tries) - excused


def run_twice(folder: Folder) -> int:
    """Records and checkpoints that cells wrote after their records of status ok."""
    done: set[tuple[str, ...]] = set()
    again: Counter[tuple[str, ...]] = Counter()
    for entry in folder.journal():
        if entry["what"] not in ("record", "checkpoint"):
            continue
        path = Path(entry["path"])
        stem = path.stem if entry["what"] == "record" else path.parent.name
        at = path if entry["what"] == "record" else path.parent
        cell = (*at.parts[-3:-1], stem)
        again[cell] += cell in done
        if entry.get("status") == "ok":
            done.add(cell)
    return sum(again.values())


def temporaries(folder: Folder) -> list[Path]:
    """Temporary files and folders among the results and in the cache."""
    tops = (folder.results, folder.cache)
    return [path for top in tops for name in leftovers.TEMPORARIES for path in top.rglob(name)]


def prune(folder: Folder) -> None:
    """Run `frod-bench prune delete=true`, as if two hours had passed."""
    for path in temporaries(folder):
        then_sec = path.stat().st_mtime - TWO_HOURS_SEC
        os.utime(path, (then_sec, then_sec))
    subprocess.run(
        [sys.executable, "-m", "frod_bench.prune", f"results_root={folder.results}", "delete=true"],
        env={**os.environ, "FROD_BENCH_CACHE": str(folder.cache)},
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def table(columns: Sequence[tuple[str, Counts]]) -> str:
    """The counts of several modes, one column each."""
    width = max(map(len, TITLES.values()))
    lines = [" " * width + "".join(f"{name:>10}" for name, _ in columns)]
    for name, title in TITLES.items():
        lines.append(f"{title:<{width}}" + "".join(f"{getattr(c, name):>10}" for _, c in columns))
    return "\n".join(lines)


def _is_of_a_killed_worker(path: Path) -> bool:
    """Whether a file was set aside with the failed record of a worker that was killed."""
    if not fnmatchcase(path.name, FAILED_TRY):
        return False
    record = path.with_name(re.sub(r"(\.failed-\d+).*", r"\1", path.name))
    try:
        return str(json.loads(record.read_bytes())["error"]["message"]).startswith(DIED)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _is_ok(path: Path) -> bool:
    try:
        return store.status_at(path) == "ok"
    except OSError:
        return False


def _differs(whole: Path, ours: Path) -> bool:
    """Whether a record of status ok, its files or its trained values differ in a bit."""
    if not _is_ok(ours):
        return False  # it counts as lost
    whole_values, our_values = map(_values_of, (whole, ours))
    try:
        if any(same_records.differences(whole, ours)):
            return True
        return not filecmp.cmp(whole_values, our_values, shallow=False)
    except (OSError, RecordError):
        return True


def _values_of(record: Path) -> Path:
    """The file of the values that a run trained."""
    folder = record.parents[3] / "adapters" / Path(*record.parts[-3:-1])
    return folder / f"{record.stem}.safetensors"


def _is_complete(ours: Path, whole: Path) -> bool:
    """Whether the files of a report are those of the undisturbed one, whole, as they were when they
    were written, and with the same scores.
    """
    try:
        written, theirs = map(_written, (ours, whole))
        stats = {name: (ours / name).stat() for name in written}
        is_whole = all(_has_its_end(ours / name) for name in written)
        is_equal = all(
            _scores_in(ours / name) == _scores_in(whole / name)
            for name in written
            if name.stem in EQUAL_TABLES or name.name == SCORES
        )
    except (OSError, ValueError, KeyError):
        return False
    is_as_written = written == {n: [one.st_size, one.st_mtime_ns] for n, one in stats.items()}
    return (
        bool(written)
        and written.keys() == theirs.keys()
        and all((is_whole, is_equal, is_as_written))
    )


def _scores_in(table_file: Path) -> list[str]:
    """The lines of a table, and of the main one those that the machine does not change."""
    lines = table_file.read_text(encoding="utf-8").splitlines()
    if table_file.name != SCORES:
        return lines
    return [str(row) for row in csv.DictReader(lines) if row["unit"] not in OF_MACHINE]


def _written(profile: Path) -> dict[Path, list[int]]:
    """The files of a report by their names below the profile's folder, with size and time."""
    manifest = json.loads((profile / MANIFEST).read_bytes())
    return {Path(path).relative_to(profile): stamp for path, stamp in manifest["written"].items()}


def _has_its_end(path: Path) -> bool:
    end = path.read_bytes()[-64:]
    return (end if ENDS[path.suffix] == b"\n" else end.rstrip()).endswith(ENDS[path.suffix])
