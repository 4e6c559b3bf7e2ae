"""One results folder: the records of the cells that a comparison of two folders may pair."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.compare.options import PROTOCOL, CompareConfig
from frod_bench.records import store
from frod_bench.records.choice import is_unnamed_choice, newest_first
from frod_bench.records.schema import Record
from frod_bench.records.store import Unusable
from frod_bench.report.frame import Run, Task
from frod_bench.report.names import method_named, spelled

_PROTOCOLS = (PROTOCOL, "paper")  # which is meant where a folder has several: not tuning's


@dataclass(frozen=True)
class Folder:
    """One of two, `side` A or B: `made` has the records of each cell, newest first."""

    side: str
    path: Path
    profile: str
    protocol: str
    made: Mapping[Run, Sequence[Record]]
    unusable: Sequence[Unusable]

    @property
    def kind(self) -> str:
        """Profile and protocol, which say how scores are measured."""
        return f"profile {self.profile}, protocol {self.protocol}"

    @property
    def extent(self) -> str:
        """The tasks, methods and seeds that it has."""
        names = ("tasks", "methods", "seeds")
        values = zip(*(words_of(run) for run in self.made), strict=True)
        pairs = zip(names, values, strict=True)
        return "; ".join(f"{name} {', '.join(sorted(set(found)))}" for name, found in pairs)


def read_folder(side: str, path: Path, config: CompareConfig) -> Folder:
    """The records of a folder's one profile, of one protocol and of the head that is asked for.

    Raises InputError where there are none, or where it has several profiles and none is named.
    """
    found, unusable = store.scan(path / "records")
    if not found:
        raise InputError(_nothing_in(path, unusable))
    profile = config.profile or _only_profile(path, found)
    there = Counter(m["cell"]["protocol"] for m in found if m["cell"]["profile"] == profile)
    protocol = config.protocol or next((p for p in (*_PROTOCOLS, *there) if p in there), PROTOCOL)
    made: dict[Run, list[Record]] = {}
    for one in newest_first(found):
        cell = one["cell"]
        asked = (cell["profile"], cell["protocol"]) == (profile, protocol)
        if asked and is_unnamed_choice(one, config.head):
            task = Task(cell["task"], config.head)
            run = Run(task, method_named(cell["method"]), cell["seed"])
            made.setdefault(run, []).append(one)
    if not made:
        counts = Counter((m["cell"]["profile"], m["cell"]["protocol"]) for m in found)
        has = ", ".join(f"{a} {b} ({n})" for (a, b), n in sorted(counts.items()))
        raise InputError(
            f"{path} has no records of profile={profile} protocol={protocol} head={config.head}. "
            f"Profiles and protocols that it has: {has}."
        )
    return Folder(side, path, profile, protocol, made, unusable)


def words_of(run: Run) -> tuple[str, str, str]:
    """Task, method and seed as a user types them."""
    return spelled(run.task), spelled(run.method), str(run.seed)


def _nothing_in(path: Path, unusable: Sequence[Unusable]) -> str:
    """What is said of a folder without a record."""
    if unusable:
        return (
            f"{path}: none of the {len(unusable)} files under records/ is a record, such as "
            f"{unusable[0].path.name}: {unusable[0].reason}"
        )
    inside = sorted(str(one.parent) for one in path.glob("*/records")) if path.is_dir() else []
    hint = f" Did you mean {inside[0]}?" if inside else ""
    return (
        f"No records under {path / 'records'}.{hint} Name a folder that holds records/, such as "
        "results/reference/small, or make some: `make smoke` writes results/smoke/embedded."
    )


def _only_profile(path: Path, found: Iterable[Record]) -> str:
    counts = Counter(made["cell"]["profile"] for made in found)
    if len(counts) > 1:
        names = ", ".join(f"{name} ({n})" for name, n in sorted(counts.items()))
        raise InputError(
            f"{path} holds records of several profiles, which do not compare: {names}. "
            f"Name one, such as profile={min(counts)}."
        )
    return next(iter(counts))
