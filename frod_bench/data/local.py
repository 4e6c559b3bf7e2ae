"""Reading a data set that lies in a folder with the layout of a Hub snapshot.

What a card says of row counts is that of the whole data set, and a sample is good too, so that
neither counts nor splits are compared with it. Where the files cannot be read, the message says
which and why: `datasets` tells it to its log only.
"""

import functools
import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets import ClassLabel, DatasetDict, Features

from frod_bench.common.errors import InputError
from frod_bench.common.names import is_below
from frod_bench.config.settings import TaskConfig
from frod_bench.data.checked import load_checked
from frod_bench.data.hub_layout import is_listed, place_of, split_files, split_names

# StopIteration is what an empty file of JSON lines comes to.
_READING = (OSError, ValueError, RuntimeError, StopIteration, datasets.exceptions.DatasetsError)
_DIGITS = re.compile(r"\d+")
_NO_ROWS = re.compile(r'Instruction "(.+)" corresponds to no data')


def splits_of(task: TaskConfig) -> list[str]:
    """The splits that a task reads, each once, train first."""
    return split_names(task.train_split, task.test_split, task.extra_test_splits)


def read_snapshot(task: TaskConfig, folder: Path) -> DatasetDict:
    """The splits that a task reads, as far as they are there; or all, where some are not.

    Raises:
        InputError: the snapshot has other configurations only, a file cannot be read, or files
            give a class number different names.
    """
    splits = splits_of(task)
    place = place_of(folder, task.hub_config, splits)
    found = split_files(folder, task.hub_config, splits)
    wanted = {split: found[split] for split in splits if split in found}
    if len(wanted) == len(splits):
        return _each(task, folder, wanted)
    if not place.alone:
        return _each(task, folder, found)
    with _explained(task, folder, place.files):
        where = None if is_listed(folder) else place.folder or None
        whole = _load(task, folder, data_dir=where)
    # `datasets` knows more names for a split, dev and val, but takes the end off others:
    # validation_matched would be read as validation.
    shortened = any("_" in name and name not in whole for name in found)
    if shortened or not wanted.keys() <= whole.keys():
        return _each(task, folder, found)
    _check_class_names(task, folder, place.files)
    return whole


def _each(task: TaskConfig, folder: Path, files: dict[str, list[str]]) -> DatasetDict:
    """Splits by name, each loaded by itself: together they would all get the first one's types,
    and with them its names of classes.
    """
    splits = DatasetDict()
    for split, names in files.items():
        paths = [folder / name for name in names]
        with _explained(task, folder, paths):
            splits[split] = _load(task, folder, data_files={split: names})[split]
        _check_class_names(task, folder, paths)
    return splits


def _load(task: TaskConfig, folder: Path, **files: Any) -> DatasetDict:
    return load_checked(
        str(folder),
        task.hub_config if is_listed(folder) else None,
        functools.partial(is_below, folder=folder),
        datasets.VerificationMode.NO_CHECKS,
        cache_dir=_cache_of(folder),
        **files,
    )


def _cache_of(folder: Path) -> str:
    """Where `datasets` keeps its Arrow copy of a mirror's data set.

    Its own choice is named after the folder's last part and its README alone, so that two mirrors
    (stand-ins and real rows), or one whose files were replaced, would get each other's rows.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "frod_bench" / digest)


def _check_class_names(task: TaskConfig, folder: Path, files: Sequence[Path]) -> None:
    """Refuse parquet files that are read as one and name their classes in different orders."""
    named: dict[tuple[str, ...], Path] = {}
    for file in files:
        if file.suffix == ".parquet" and (schema := _schema(file)) is not None:
            kind = Features.from_arrow_schema(schema).get(task.label_column)
            if isinstance(kind, ClassLabel):
                named.setdefault(tuple(kind.names), file)
    if len(named) > 1:
        (first, one), (second, other) = list(named.items())[:2]
        raise InputError(
            f"task.label_column: {task.label_column!r} of {task.hub_id} has the classes "
            f"{list(first[:5])} in {one.relative_to(folder)} and {list(second[:5])} in "
            f"{other.relative_to(folder)}, so a number may mean either. Write the files with the "
            "same names in the same order."
        )


@contextmanager
def _explained(task: TaskConfig, folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """Turn what `datasets` raises for `files` into bad input that tells the file and the cause."""
    said = _Said()
    logger = logging.getLogger("datasets")
    logger.addHandler(said)
    try:
        yield
    except InputError:
        raise
    except _READING as error:
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}) in "
            f"{folder}: {_fault(error, folder, files, said.lines)}"
        ) from error
    finally:
        logger.removeHandler(said)


class _Said(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _fault(error: BaseException, folder: Path, files: Sequence[Path], said: Sequence[str]) -> str:
    """What is wrong with `files`, of which `datasets` raised `error` and logged `said`."""
    names = [file.relative_to(folder).as_posix() for file in files]
    listed = ", ".join(names[:3]) + (", ..." if names[3:] else "")
    if other := _other_columns(folder, files):
        return other
    if match := _NO_ROWS.search(str(error)):
        return f"split {match[1]!r} has no rows ({listed}). Give it some."
    if hollow := [name for name, file in zip(names, files, strict=True) if not file.stat().st_size]:
        return f"{hollow[0]} is empty. Give it rows, or take it away if its split has other files."
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
    blamed = [file for file in files if str(file) in "".join(said)]
    if not blamed and len(files) > 1:
        return f"{text} ({len(files)} files: {listed})."
    file = (blamed or files)[0]
    name = file.relative_to(folder)
    if (schema := _schema(file)) is not None and pq.read_metadata(file).num_rows == 0:
        return f"{name} has no rows. Give it some, or take it away if its split has other files."
    kind = "is broken or of another kind" if schema is None else "cannot be read"
    return f"{name} {kind} ({text}). Replace that file."


def _other_columns(folder: Path, files: Sequence[Path]) -> str | None:
    """Which shard of a parquet file has other columns than the one before it; None: none has."""
    columns: dict[Path, tuple[Path, set[str]]] = {}
    for file in files:
        if (schema := _schema(file)) is None:
            continue
        names = set(schema.names)
        shards = file.with_name(_DIGITS.sub("", file.name))  # the same for all of a split
        before, others = columns.setdefault(shards, (file, names))
        if names != others:
            differing = ", ".join(sorted(names ^ others))
            return (
                f"{file.relative_to(folder)} and {before.relative_to(folder)} differ in their "
                f"columns ({differing}). Files of one split need the same."
            )
    return None


def _schema(file: Path) -> Any | None:
    """The columns of a parquet file; None where it is none, or broken."""
    try:
        return pq.read_schema(file)
    except (OSError, ValueError):
        return None
