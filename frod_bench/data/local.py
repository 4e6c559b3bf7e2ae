"""Data sets in a folder with the layout of a Hub snapshot.

The row counts and splits of a card are those of the whole data set; a sample is accepted too, so
they are not compared. If a file cannot be read the message tells which one and why, which
`datasets` writes only to its log.

`datasets` takes the patterns of a card for paths, and an absolute one, on the Hub too, is a file of
this machine. So `load_checked` looks at the files that they match before any of them is opened.
"""

import functools
import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets import ClassLabel, DatasetDict, Features

from frod_bench.common.errors import InputError
from frod_bench.common.names import is_below
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_layout import find_files, is_listed, split_files, split_names

# An empty file of JSON lines raises StopIteration.
_READING = (OSError, ValueError, RuntimeError, StopIteration, datasets.exceptions.DatasetsError)
_DIGITS = re.compile(r"\d+")
_NO_ROWS = re.compile(r'Instruction "(.+)" corresponds to no data')


def splits_of(task: TaskConfig) -> list[str]:
    """Return the splits that a task reads, each once, train first."""
    return split_names(task.train_split, task.test_split, task.extra_test_splits)


def read_snapshot(task: TaskConfig, folder: Path) -> DatasetDict:
    """Load the splits that a task reads; all existing ones if some of them are missing.

    Raises InputError if the snapshot has other configurations only, a file cannot be read, or files
    give a class number different names.
    """
    splits = splits_of(task)
    place = find_files(folder, task.hub_config, splits)
    found = split_files(folder, task.hub_config, splits)
    wanted = {split: found[split] for split in splits if split in found}
    if len(wanted) == len(splits):
        return _load_each(task, folder, wanted)
    if not place.alone:
        return _load_each(task, folder, found)
    with _explained(task, folder, place.files):
        data_dir = None if is_listed(folder) else place.folder or None
        whole = _load(task, folder, data_dir=data_dir)
    # `datasets` knows more names of splits (dev, val), but shortens others: it reads
    # validation_matched as validation.
    shortened = any("_" in name and name not in whole for name in found)
    if shortened or not wanted.keys() <= whole.keys():
        return _load_each(task, folder, found)
    _check_class_names(task, folder, place.files)
    return whole


def _load_each(task: TaskConfig, folder: Path, files: dict[str, list[str]]) -> DatasetDict:
    """Load each split by itself: together, all would get the first one's types and class names."""
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


def load_checked(
    path: str,
    name: str | None,
    is_own: Callable[[str], bool],
    verification: datasets.VerificationMode = datasets.VerificationMode.BASIC_CHECKS,
    **places: Any,
) -> DatasetDict:
    """Load a data set as `datasets.load_dataset(path, name, **places)` does.

    Args:
        is_own: whether a file, by the path that `datasets` has for it, is one of the data set's.

    Raises InputError if a card names another file, and what `datasets` raises if it cannot read.
    """
    # From 4.0 on `datasets` runs no code of data sets, so there is no trust_remote_code to refuse.
    builder = datasets.load_dataset_builder(path, name, **places)
    for split, files in (builder.config.data_files or {}).items():
        for file in map(str, files):
            if not is_own(file):
                raise InputError(
                    f"{path}: its card, or a .huggingface.yaml next to it, has {file} read for the "
                    f"split {split!r}, which is not in the data set's folder. Remove that pattern: "
                    "patterns must be relative to the folder, without .. and addresses."
                )
    builder.download_and_prepare(verification_mode=verification)
    loaded: DatasetDict = builder.as_dataset()
    return loaded


def _cache_of(folder: Path) -> str:
    """Return the folder for the Arrow copy of a mirror's data set.

    The one that `datasets` chooses depends on the folder's name and README alone, so two mirrors
    (synthetic and real rows), or one with replaced files, would get each other's rows.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "frod_bench" / digest)


def _check_class_names(task: TaskConfig, folder: Path, files: Sequence[Path]) -> None:
    """Raise InputError if parquet files that are read as one name their classes differently."""
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
    """Turn what `datasets` raises for `files` into an InputError with the file and the cause."""
    log = _ErrorLog()
    logger = logging.getLogger("datasets")
    logger.addHandler(log)
    try:
        yield
    except InputError:
        raise
    except _READING as error:
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}) in "
            f"{folder}: {_fault(error, folder, files, log.lines)}"
        ) from error
    finally:
        logger.removeHandler(log)


class _ErrorLog(logging.Handler):
    """Keeps the messages that are logged as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _fault(error: BaseException, folder: Path, files: Sequence[Path], log: Sequence[str]) -> str:
    """Describe what is wrong with `files`, for which `datasets` raised `error` and logged `log`."""
    names = [file.relative_to(folder).as_posix() for file in files]
    listed = ", ".join(names[:3]) + (", ..." if names[3:] else "")
    if message := _other_columns(folder, files):
        return message
    if match := _NO_ROWS.search(str(error)):
        return f"split {match[1]!r} has no rows ({listed}). Add some."
    if empty := [name for name, file in zip(names, files, strict=True) if not file.stat().st_size]:
        return f"{empty[0]} is empty. Add rows, or remove it if its split has other files."
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
    blamed = [file for file in files if str(file) in "".join(log)]
    if not blamed and len(files) > 1:
        return f"{text} ({len(files)} files: {listed})."
    file = (blamed or files)[0]
    name = file.relative_to(folder)
    if (schema := _schema(file)) is not None and pq.read_metadata(file).num_rows == 0:
        return f"{name} has no rows. Add some, or remove it if its split has other files."
    problem = "is broken or of another type" if schema is None else "cannot be read"
    return f"{name} {problem} ({text}). Replace that file."


def _other_columns(folder: Path, files: Sequence[Path]) -> str | None:
    """Describe a shard of a parquet file that has other columns than the one before it, if any."""
    columns: dict[Path, tuple[Path, set[str]]] = {}
    for file in files:
        if (schema := _schema(file)) is None:
            continue
        names = set(schema.names)
        split = file.with_name(_DIGITS.sub("", file.name))  # the same for all its shards
        before, others = columns.setdefault(split, (file, names))
        if names != others:
            differing = ", ".join(sorted(names ^ others))
            return (
                f"{file.relative_to(folder)} and {before.relative_to(folder)} differ in their "
                f"columns ({differing}). Files of one split need the same."
            )
    return None


def _schema(file: Path) -> Any | None:
    """Return the columns of a parquet file; None if it is broken, or another kind of file."""
    try:
        return pq.read_schema(file)
    except (OSError, ValueError):
        return None
