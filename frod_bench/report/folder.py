"""One results folder, read by its records alone, whatever data and weights are available here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frod_bench.common.errors import InputError
from frod_bench.records import hashing, select, sources, store
from frod_bench.records.schema import Record
from frod_bench.report.asked import Cell
from frod_bench.report.keys import Run, Task
from frod_bench.report.names import method_named, spelled

COLUMNS = ("full", "lora", "dora", "frod", "frozen")  # first and in this order, as in the Makefile


@dataclass(frozen=True)
class Folder:
    """The records of one profile and protocol."""

    path: Path
    profile: str
    protocol: str
    made: Mapping[Run, Sequence[Record]]  # the newest first
    unusable: Sequence[store.Unusable]
    side: str = ""  # A or B if two folders are compared

    @property
    def kind(self) -> str:
        """Profile and protocol, which say how scores are measured."""
        return f"profile {self.profile}, protocol {self.protocol}"

    @property
    def extent(self) -> str:
        """The tasks, methods and seeds that it has."""
        values = zip(*map(words_of, self.made), strict=True)
        tasks, methods, seeds = (", ".join(sorted(set(found))) for found in values)
        return f"tasks {tasks}; methods {methods}; seeds {seeds}"


def read_folder(
    path: Path,
    *,
    profile: str | None = None,
    protocol: str | None = None,
    head: str | None = None,
) -> Folder:
    """The records of one profile and protocol, and of one head if it is named.

    The default profile is the folder's only one; the default protocol is fair, if the folder has
    records of it. Raises InputError if it has no such records, or if it has several profiles and
    none is named.
    """
    found, unusable = sources.opened(path).scan()
    if not found:
        raise InputError(_nothing_in(path, unusable))
    profiles = Counter(made["cell"]["profile"] for made in found)
    if profile is None and len(profiles) > 1:
        names = ", ".join(f"{name} ({n})" for name, n in sorted(profiles.items()))
        raise InputError(
            f"{path} holds records of several profiles, which do not compare: {names}. "
            f"Name one, such as profile={min(profiles)}."
        )
    profile = profile or next(iter(profiles))
    existing = [made["cell"]["protocol"] for made in found if made["cell"]["profile"] == profile]
    existing = existing or list(select.PROTOCOLS)
    protocol = protocol or select.preferred_protocol(existing) or existing[0]
    by_run = select.by_run(found, profile=profile, protocol=protocol, head=head)
    if not by_run:
        counts = Counter((m["cell"]["profile"], m["cell"]["protocol"]) for m in found)
        has = ", ".join(f"{a} {b} ({n})" for (a, b), n in sorted(counts.items()))
        asked = f"profile={profile} protocol={protocol}" + (f" head={head}" if head else "")
        raise InputError(
            f"{path} has no records of {asked}. Profiles and protocols that it has: {has}."
        )
    made = {
        Run(Task(run.task, run.head), method_named(run.method), run.seed): records
        for run, records in by_run.items()
    }
    return Folder(path, profile, protocol, made, unusable)


def cells_in(results_dir: Path) -> tuple[list[Cell], str]:
    """The cells that have a record, usable or not, in `results/<profile>`, and the profile's title.

    Raises InputError as `read_folder`, if a record is of another profile than the folder's name
    says, and if all records are trials of learning rates.
    """
    records, _ = sources.opened(results_dir).scan()
    if others := {made["cell"]["profile"] for made in records} - {results_dir.name}:
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
    newest = sorted((made[0] for made in folder.made.values()), key=lambda m: _place(_cell(m)))
    cells = list(map(_cell, newest))
    for path, _ in folder.unusable:
        cells += _lost(path, cells)
    return cells, hashing.profile_title(newest[0]["config"])


def _lost(path: Path, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of an unusable file: one per head of its task, unless that has a record."""
    task, method, seed = path.parent.parent.name, path.parent.name, path.name.split("-")[0]
    if not seed.isdecimal():
        return []
    by_head = {cell.head: cell for cell in cells if cell.task == task}
    lost = [replace(cell, method=method, seed=int(seed)) for cell in by_head.values()]
    runs = {cell.run for cell in cells}
    return [cell for cell in lost if cell.run not in runs]


def _cell(made: Record) -> Cell:
    cell, run = made["cell"], select.Run.of(made)
    return Cell(*run[:3], protocol=cell["protocol"], family=cell["family"], head=run.head)


def _place(cell: Cell) -> tuple[str, str, str, int, str]:
    column = COLUMNS.index(cell.method) if cell.method in COLUMNS else len(COLUMNS)
    return cell.family or "", cell.head, cell.task, column, cell.method


def words_of(run: Run) -> tuple[str, str, str]:
    """Task, method and seed as a user types them."""
    return spelled(run.task), spelled(run.method), str(run.seed)


def _nothing_in(path: Path, unusable: Sequence[store.Unusable]) -> str:
    if unusable:
        return (
            f"{path}: none of the {len(unusable)} files under records/ is a record, such as "
            f"{unusable[0].path.name}: {unusable[0].reason} Restore them, or run the cells again."
        )
    inside = sorted(str(one.parent) for one in path.glob("*/records")) if path.is_dir() else []
    hint = f" Did you mean {inside[0]}?" if inside else ""
    return (
        f"No records under {path / 'records'}.{hint} Name a folder that holds records/, such as "
        "results/reference/small, or make some: `make smoke` writes results/smoke/embedded."
    )
