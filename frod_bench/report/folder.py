"""One results folder, read by its records alone, whatever data and weights are available here.

The hash of a cell knows its data and weights, so a grid that is composed without these finds no
record of it. Here the records themselves say which cells there are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.records import hashing, select, store
from frod_bench.records.schema import Record
from frod_bench.report.collect import Cell
from frod_bench.report.frame import Run, Task
from frod_bench.report.names import method_named, spelled

COLUMNS = ("full", "lora", "dora", "frod", "frozen")  # first and in this order, as in the Makefile


@dataclass(frozen=True)
class Folder:
    """The records of one profile and protocol; `made` has those of each run, the newest first.

    `side` is A or B if two folders are compared.
    """

    path: Path
    profile: str
    protocol: str
    made: Mapping[Run, Sequence[Record]]
    unusable: Sequence[store.Unusable]
    side: str = ""

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


def read_folder(
    path: Path,
    *,
    profile: str | None = None,
    protocol: str | None = None,
    head: str | None = None,
) -> Folder:
    """The records of one profile (the folder's only one), one protocol (fair if it has such) and
    one head (of any).

    Raises InputError if there are none, or if it has several profiles and none is named.
    """
    found, unusable = store.scan(path / "records")
    if not found:
        raise InputError(_nothing_in(path, unusable))
    profile = profile or _only_profile(path, found)
    names = [made["cell"]["protocol"] for made in found if made["cell"]["profile"] == profile]
    protocol = protocol or select.preferred_protocol(names) or (names or select.PROTOCOLS)[0]
    made = {
        Run(Task(run.task, run.head), method_named(run.method), run.seed): records
        for run, records in select.by_run(
            found, profile=profile, protocol=protocol, head=head
        ).items()
    }
    if not made:
        counts = Counter((m["cell"]["profile"], m["cell"]["protocol"]) for m in found)
        has = ", ".join(f"{a} {b} ({n})" for (a, b), n in sorted(counts.items()))
        asked = f"profile={profile} protocol={protocol}" + (f" head={head}" if head else "")
        raise InputError(
            f"{path} has no records of {asked}. Profiles and protocols that it has: {has}."
        )
    return Folder(path, profile, protocol, made, unusable)


def cells_in(results_dir: Path) -> tuple[list[Cell], str]:
    """The cells that have a record in `results/<profile>`, and the profile's title.

    A cell whose record cannot be used is among them, for a table must show it. Raises InputError as
    `read_folder`, if a record is of another profile than the folder's name says, and if all records
    are trials of learning rates.
    """
    records, _ = store.scan(results_dir / "records")
    others = {made["cell"]["profile"] for made in records} - {results_dir.name}
    if others:
        raise InputError(
            f"folder={results_dir}: holds records of profile {', '.join(sorted(others))}. A "
            "folder is named after its profile and holds no other's; move them apart."
        )
    folder = read_folder(results_dir, profile=results_dir.name)
    if folder.protocol not in select.PROTOCOLS:
        raise InputError(
            f"folder={results_dir}: has no records of protocol {' or '.join(select.PROTOCOLS)}, "
            f"only of {folder.protocol}, which picks learning rates. Run the experiment itself."
        )
    kept = sorted((made[0] for made in folder.made.values()), key=_place)
    cells = dict.fromkeys(map(_cell, kept))
    for path, _ in folder.unusable:
        cells |= dict.fromkeys(_lost(path, list(cells)))
    return list(cells), hashing.profile_title(kept[0]["config"])


def _lost(path: Path, cells: Sequence[Cell]) -> list[Cell]:
    """The cell that a file without a usable record stands for, under each head of its task that
    lacks it; none where another record is there.
    """
    task, method, seed = path.parent.parent.name, path.parent.name, path.name.split("-")[0]
    kin = [cell for cell in cells if cell.task == task]
    if not kin or not seed.isdecimal():
        return []
    there = {(cell.method, cell.seed, cell.head) for cell in kin}
    by_head = {cell.head: cell for cell in kin}
    return [
        replace(cell, method=method, seed=int(seed))
        for head, cell in by_head.items()
        if (method, int(seed), head) not in there
    ]


def _cell(made: Record) -> Cell:
    cell, head = made["cell"], made["config"].get("head", "classify")
    names = cell["task"], cell["method"], cell["seed"]
    return Cell(*names, protocol=cell["protocol"], family=cell["family"], head=head)


def _place(made: Record) -> tuple[str, str, str, int, str]:
    cell, head = made["cell"], made["config"].get("head", "classify")
    method = cell["method"]
    column = COLUMNS.index(method) if method in COLUMNS else len(COLUMNS)
    return cell["family"], head, cell["task"], column, method


def words_of(run: Run) -> tuple[str, str, str]:
    """Task, method and seed as a user types them."""
    return spelled(run.task), spelled(run.method), str(run.seed)


def _nothing_in(path: Path, unusable: Sequence[store.Unusable]) -> str:
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
