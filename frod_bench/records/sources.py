"""Where the records of a results folder are: files, or parts, which are read without unpacking."""

import functools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from frod_bench.common.errors import InputError
from frod_bench.common.names import stays
from frod_bench.common.paths import read_file
from frod_bench.records import store
from frod_bench.records.configurations import Configurations
from frod_bench.records.parts import contents_of, parts_of, rows_of
from frod_bench.records.schema import Record, RecordError
from frod_bench.records.store import Unusable

Stamp = tuple[str, int, int]  # path, size in bytes, time of the content in ns


class Source(Protocol):
    """The records of a results folder. A record has the path that it has, or would have, as a
    file: `<folder>/<task>/<method>/<seed>-<hash>.json`.
    """

    def __hash__(self) -> int:
        """A source is the key of what was read from it."""

    @property
    def folder(self) -> Path:
        """The folder of the records."""

    def path_of(self, record: Record) -> Path:
        """The path of a record of this source."""

    def scan(self) -> tuple[list[Record], list[Unusable]]:
        """`store.scan` of the source."""

    def record(self, path: Path) -> Record:
        """One record. Raises RecordError or OSError if there is none that can be trusted."""

    def curves(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | RecordError | None]]:
        """The content of the curve of each of these records, or why it cannot be read.

        Of a record without a curve that is None if it is in a part, and a RecordError in a file.
        """

    def predictions(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | OSError]]:
        """The content of the predictions of each of these records, or why they cannot be read:
        FileNotFoundError if there are none.
        """

    def stamp(self, path: Path) -> object:
        """A value that changes with a record's predictions. Raises OSError if there can be none."""


@dataclass(frozen=True)
class Files:
    """Records as files; equal if they are in one folder."""

    folder: Path

    def path_of(self, record: Record) -> Path:
        return store.path_below(self.folder, record["cell"])

    def scan(self) -> tuple[list[Record], list[Unusable]]:
        return store.scan(self.folder)

    def record(self, path: Path) -> Record:
        return store.load(path)

    def curves(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | RecordError | None]]:
        for path in paths:
            try:
                yield path, read_file(store.curve_path(path))
            except OSError as error:
                yield path, RecordError(f"curve cannot be read ({error}).")

    def predictions(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | OSError]]:
        for path in paths:
            try:
                yield path, read_file(store.predictions_path(path))
            except OSError as error:
                yield path, error

    def stamp(self, path: Path) -> object:
        found = store.predictions_path(path).stat()
        return found.st_size, found.st_mtime_ns


class Parts:
    """Records in parts, which are only ever added: of two rows with one path the first counts."""

    def __init__(self, folder: Path, parts: tuple[Stamp, ...]) -> None:
        self.folder, self._stamps = folder, parts
        self._parts = [Path(path) for path, _, _ in parts]
        self._paths: dict[str, Path] = {}  # by what rows call them: a path takes long to make

    def path_of(self, record: Record) -> Path:
        return store.path_below(self.folder, record["cell"])

    def scan(self) -> tuple[list[Record], list[Unusable]]:
        records, unusable = self._scanned
        return list(records), list(unusable)

    def record(self, path: Path) -> Record:
        try:
            return self._by_path[path]
        except KeyError:
            raise FileNotFoundError(f"{path} is in none of the parts") from None

    def curves(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | RecordError | None]]:
        left = set(paths)
        yield from self._contents("curve", left)
        for path in left:
            yield path, RecordError("it is in none of the parts.")

    def predictions(self, paths: Collection[Path]) -> Iterator[tuple[Path, bytes | OSError]]:
        left = set(paths)
        for path, content in self._contents("predictions", left):
            yield path, _no_predictions(path) if content is None else content
        for path in left:
            yield path, _no_predictions(path)

    def stamp(self, path: Path) -> object:
        self.record(path)
        return self._stamps

    def _contents(self, column: str, left: set[Path]) -> Iterator[tuple[Path, bytes | None]]:
        """What a column has of the records in `left`, by their paths, which are taken out of it.

        It is read anew each time: of ten thousand runs predictions alone are 50 MB.
        """
        for name, content in contents_of(self._parts, column) if left else ():
            path = self._path(name)
            if path in left:
                left.remove(path)
                yield path, content

    def _path(self, name: str) -> Path:
        """The path of a row."""
        path = self._paths.get(name)
        if path is None:
            path = self._paths[name] = self.folder / name
        return path

    @functools.cached_property
    def _scanned(self) -> tuple[list[Record], list[Unusable]]:
        known = Configurations()
        found: dict[Path, Record | RecordError] = {}
        for row in rows_of(self._parts, ["path", "record"]):
            if not stays(row["path"]):
                raise InputError(
                    f"{self.folder}: a part names the path {row['path']!r}, which leads out of the "
                    "folder. Restore the part from git."
                )
            if (path := self._path(row["path"])) not in found:
                found[path] = _parsed(row["record"], path.name, known)
        reads = ((path, found[path]) for path in sorted(found, key=attrgetter("parts")))
        return store.gather(self.folder, reads, [])

    @functools.cached_property
    def _by_path(self) -> dict[Path, Record]:
        return {self.path_of(record): record for record in self._scanned[0]}


def _no_predictions(path: Path) -> OSError:
    return FileNotFoundError(f"{path} has no predictions in the parts")


def _parsed(text: str, file_name: str, known: Configurations) -> Record | RecordError:
    try:
        return store.parse(text, file_name, known)
    except RecordError as error:
        return error


def opened(results_dir: Path) -> Source:
    """The source of a results folder's records. Raises InputError if it has both kinds."""
    own, parts = results_dir / "records", parts_of(results_dir)
    if not parts:
        return Files(own)
    if loose := next(own.glob("*/*/*.json"), None):
        raise InputError(
            f"{own}: has parts and records as files, e.g. {loose.name}. Move the files into a "
            "folder of their own, or unpack the parts there: frod-bench archive unpack "
            f"folder={results_dir} out=DIR."
        )
    return _of_parts(own, tuple(map(_stamp, parts)))


def check_files(results_dir: Path) -> None:
    """Raise InputError if the records of a folder are parts: runs are written as files, and no
    reader takes both.
    """
    if parts_of(results_dir):
        raise InputError(
            f"results_root: {results_dir / 'records'} has parts, and runs are written as files. No "
            "reader accepts both in one folder. Unpack them with: frod-bench archive unpack "
            f"folder={results_dir} out=DIR/{results_dir.name}. Then set results_root=DIR."
        )


def sources_of(record_paths: Iterable[Path]) -> Iterator[Source]:
    """The source that has each of these records, by their paths. A folder is looked at once."""
    found: dict[Path, Source] = {}
    for path in record_paths:
        if (folder := path.parents[3]) not in found:
            found[folder] = opened(folder)
        yield found[folder]


def _stamp(part: Path) -> Stamp:
    found = part.stat()
    return str(part), found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=4)  # a report asks for its folder several times
def _of_parts(folder: Path, parts: tuple[Stamp, ...]) -> Parts:
    return Parts(folder, parts)
