"""Cells: the runs that composed configurations ask for, and which of them are missing. Nothing here
imports torch, so that bad input is refused within a second.
"""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from frod_bench.cells.fingerprint import fingerprints
from frod_bench.common.errors import InputError
from frod_bench.common.names import inside, resolved, settings_text, with_head, with_settings
from frod_bench.config import callables
from frod_bench.config.settings import Settings
from frod_bench.records import hashing, schema, store
from frod_bench.records.configurations import Configurations


@dataclass(frozen=True)
class Cell:
    """One (profile, protocol, task, method, seed): one run, one record."""

    profile: str
    protocol: str
    task: str
    family: str
    method: str
    backbone: str
    seed: int
    config_hash: str
    data_fingerprint: str
    backbone_fingerprint: str
    settings: Settings = field(compare=False, repr=False)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The settings as plain values, as a record contains them: without the style of figures and
        the engine that started the run.
        """
        not_kept = ("figures", "launcher")
        return {k: value for k, value in asdict(self.settings).items() if k not in not_kept}

    @property
    def label(self) -> str:
        """Short name: task/method/seed, and what tells the cell from others of its grid."""
        task = with_head(self.task, self.settings.head)
        name = f"{task}/{self.method}/{self.seed}"
        varied = [f"{axis} {value}" for _, axis, value in self.axes]
        if self.protocol == "tune":
            rates = self.config["method"]["learning_rates"]
            varied += [f"{group} {rate:g}" for group, rate in rates.items()]
        return f"{name} ({', '.join(varied)})" if varied else name

    @property
    def axes(self) -> tuple[tuple[str, str, Any], ...]:
        """(key, short name, value) of each setting that the experiment varies for this method, or
        for all (`*`), and that the method has (`full` has no rank).
        """
        named = (self.settings.experiment or {}).get("axes", {})
        varied = named.get(self.method, named.get("*", {}))
        found = ((key, name, setting(self.config, key)) for name, key in varied.items())
        return tuple(axis for axis in found if axis[2] is not None)

    @property
    def variant(self) -> str:
        """The method with the settings that the experiment varies: `frod (s 0.02)`."""
        return with_settings(self.method, settings_text(axis[1:] for axis in self.axes))

    @property
    def results_dir(self) -> Path:
        """`<results root>/<profile>`, absolute."""
        return resolved(self.settings.results_root, "results_root") / self.profile

    @cached_property
    def record_path(self) -> Path:
        """Path of the cell's record, which may not exist yet; links are followed when it is first
        asked for.
        """
        return store.record_path(self.results_dir.parent, self.identity)

    def place(self, kind: str) -> Path:
        """The path under `<results>/<profile>/<kind>/`. Raises InputError if that leads out."""
        return inside(self.results_dir, kind, self.task, self.method, self.record_path.stem)

    @property
    def lock_path(self) -> Path:
        """The lock file of the process that runs the cell."""
        return self.place("checkpoints").with_suffix(".lock")

    @property
    def adapter_path(self) -> Path:
        """File of the trained values with `save=adapter`."""
        return self.place("adapters").with_suffix(".safetensors")

    @property
    def identity(self) -> schema.Cell:
        """The record's `cell`."""
        return cast(schema.Cell, {key: getattr(self, key) for key in schema.Cell.__annotations__})


def setting(config: Any, key: str) -> Any:
    """The value of a dotted key; None if there is none."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, Mapping) else None
    return config


def cell_of(settings: Settings) -> Cell:
    """The cell that validated settings ask for. Raises InputError if the data set, the backbone or
    the method's function does not exist.
    """
    return seeded(settings)(settings.seed)


def seeded(settings: Settings) -> Callable[[int], Cell]:
    """The cells of settings by their seeds: all but the hash is found out once. Raises InputError
    as `cell_of` does.
    """
    if settings.method.apply is not None:
        source = callables.source_hash(settings.method.apply)
        settings = replace(settings, method=replace(settings.method, source=source))
    data, weights = fingerprints(settings)
    hash_of = hashing.hashes_by_seed(hashing.identity(asdict(settings), data, weights))

    def with_seed(seed: int) -> Cell:
        return Cell(
            profile=settings.profile.name,
            protocol=settings.protocol.name,
            task=settings.task.name,
            family=settings.task.family,
            method=settings.method.name,
            backbone=settings.backbone.name,
            seed=seed,
            config_hash=hash_of(seed),
            data_fingerprint=data,
            backbone_fingerprint=weights,
            settings=replace(settings, seed=seed),
        )

    return with_seed


class Unreadable(NamedTuple):
    """A cell that cannot be looked at. It is neither run nor done: it may have a good record."""

    cell: Cell
    reason: str


@dataclass(frozen=True)
class Plan:
    """What a sweep has to run."""

    cells: tuple[Cell, ...]  # all that were asked for
    missing: tuple[Cell, ...]  # of them, those without a usable record
    invalid: tuple[store.Unusable, ...]  # what is at a record's path and cannot be trusted
    damaged: tuple[store.Unusable, ...] = ()  # other files of runs, which therefore run again
    unreadable: tuple[Unreadable, ...] = ()


def find_missing(cells: Iterable[Cell]) -> Plan:
    """Find out from their records which of `cells` have to run; reads only.

    A cell is done if its record is valid, its run ended, and the files of the run have the sizes
    that the record notes. A run has ended if it is `ok` or `diverged`: the same seed would diverge
    again. Its files include the trained values if these are asked for. A record that cannot be read
    affects its own cell alone.
    """
    unique, known = tuple(dict.fromkeys(cells)), Configurations()
    missing, invalid, damaged, unreadable = [], [], [], []
    for cell in unique:
        try:
            path = cell.record_path
            made = store.load(path, known)
            lost = [] if made["status"] == "failed" else list(_lost_files(cell, path, made))
        except (FileNotFoundError, NotADirectoryError):
            missing.append(cell)
        except schema.RecordError as error:
            invalid.append(store.Unusable(path, str(error)))
            missing.append(cell)
        except (OSError, RuntimeError) as error:  # pathlib raises the latter for a loop of links
            unreadable.append(Unreadable(cell, f"its record cannot be read ({error})."))
        else:
            damaged += lost
            if lost or made["status"] == "failed":
                missing.append(cell)
    return Plan(unique, tuple(missing), tuple(invalid), tuple(damaged), tuple(unreadable))


def _lost_files(cell: Cell, path: Path, made: schema.Record) -> Iterator[store.Unusable]:
    """The files of a run that ended that are missing, or of another size than its record notes.
    Their SHA-256 is compared when they are read, by reports: a plan would read all of all runs.
    """
    noted = made.get("files")
    files: list[tuple[Literal["curve", "predictions", "adapter"], Path]] = []
    for kind in ("curve", "predictions"):
        if (name := made[kind]) is not None:
            files.append((kind, path.parent / name))
    if cell.settings.save == "adapter" and made["status"] == "ok":
        files.append(("adapter", cell.adapter_path))
    for kind, file in files:
        digest = noted[kind] if noted else None
        reason = store.damage_by_size(file, digest)
        if reason is None and noted and digest is None:
            reason = "the record does not note it."
        if reason is not None:
            yield store.Unusable(file, reason)


def records_of(
    cells: Iterable[Cell], overrides: Sequence[str]
) -> Iterator[tuple[Cell, schema.Record]]:
    """Each cell with its record; `overrides` named the cells, for the message. Raises InputError if
    a record is missing or cannot be trusted.
    """
    for cell in cells:
        if not cell.record_path.exists():
            raise InputError(
                f"{cell.label}: has no record. Run first: frod-bench run -m {shlex.join(overrides)}"
            )
        try:
            made = store.load(cell.record_path)
        except schema.RecordError as error:
            raise InputError(
                f"{cell.record_path}: cannot be used ({error}). Remove it, and run the cell again."
            ) from error
        yield cell, made
