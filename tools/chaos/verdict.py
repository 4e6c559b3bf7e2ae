"""What the kills cost: a folder that was disturbed next to one that was not."""

import filecmp
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path

from frod_bench.cells import leftovers
from frod_bench.common import atomic
from frod_bench.records import store
from frod_bench.records.schema import RecordError
from tools import same_records
from tools.chaos.sweeps import ROOT, Folder

PROFILE = "embedded"
TWO_HOURS_SEC = 7200.0
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
    temporary: int = 0  # files and checkpoints, after `frod-bench prune delete=true`
    run_twice: int = 0  # records and checkpoints that a finished cell wrote again
    reports: int = 0  # with a file that is missing, or not as the report wrote it

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def is_clean(self) -> bool:
        return not any(astuple(self))


TITLES = {
    "lost": "records lost",
    "doubled": "records doubled or set aside",
    "different": "records that differ from the undisturbed sweep's",
    "temporary": "temporary files and checkpoints, after prune",
    "run_twice": "finished cells run twice",
    "reports": "reports incomplete",
}
assert list(TITLES) == [one.name for one in fields(Counts)]


def judge(folder: Folder, undisturbed: Folder) -> tuple[Counts, int]:
    """What the kills cost in a folder whose sweeps are done, and how many temporary files they left
    for `prune` to delete.
    """
    ours, whole = (one.results / PROFILE for one in (folder, undisturbed))
    names = {path.relative_to(whole) for path in (whole / "records").rglob("*") if path.is_file()}
    records = [name for name in sorted(names) if name.suffix == ".json"]
    counts = Counts(
        lost=sum(not _is_ok(ours / name) for name in records),
        doubled=sum(
            path.relative_to(ours) not in names
            and not _is_of_a_killed_worker(path)
            and not fnmatchcase(path.name, atomic.TEMPORARIES)
            for path in (ours / "records").rglob("*")
            if path.is_file()
        ),
        different=sum(_differs(whole / name, ours / name) for name in records),
        run_twice=run_twice(folder),
        reports=int(not _is_complete(ours / "tables/.made_from.json")),
    )
    left = len(temporaries(folder))
    prune(folder)
    checkpoints = [path for path in (ours / "checkpoints").rglob("*") if path.is_file()]
    counts.temporary = len(temporaries(folder)) + len(checkpoints)
    return counts, left


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
    whole_values, our_values = (
        record.parents[3] / "adapters" / Path(*record.parts[-3:-1]) / f"{record.stem}.safetensors"
        for record in (whole, ours)
    )
    try:
        if any(same_records.differences(whole, ours)):
            return True
        return not filecmp.cmp(whole_values, our_values, shallow=False)
    except (OSError, RecordError):
        return True


def _is_complete(manifest: Path) -> bool:
    """Whether the files of a report are whole, and as they were when it was written."""
    try:
        written = json.loads(manifest.read_bytes())["written"]
        stats = {path: Path(path).stat() for path in written}
        is_whole = all(map(_has_its_end, map(Path, written)))
    except (OSError, ValueError, KeyError):
        return False
    return is_whole and written == {
        path: [one.st_size, one.st_mtime_ns] for path, one in stats.items()
    }


def _has_its_end(path: Path) -> bool:
    end = path.read_bytes()[-64:]
    return (end if ENDS[path.suffix] == b"\n" else end.rstrip()).endswith(ENDS[path.suffix])
