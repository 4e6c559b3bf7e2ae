"""Data sets from the Hub, or from a mirror: folders with the layout of a Hub snapshot.

`datasets` reads the patterns in a card as paths. An absolute path means a file of this machine,
even in a card on the Hub. So the files that the patterns match are checked before one is opened.
"""

import functools
import hashlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetDict, Features

from frod_bench.common import hub_client
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import is_below
from frod_bench.common.paths import at_home, check_writable
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_layout import files_of, find_files, is_listed, split_files, splits_read

hub_client.limit_waiting()
datasets.disable_progress_bars()  # they would draw over the suite's own
_READING = (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError)
_NO_ROWS = re.compile(r'Instruction "(.+)" corresponds to no data')


def read_data_set(task: TaskConfig, data_root: str | None) -> DatasetDict:
    """Return the splits of a task's data set, memory-mapped and not decoded.

    `data_root` is a folder with `<hub id>/` in the layout of a Hub snapshot; None reads the Hub.
    Raises InputError if the data set or its config is missing, or cannot be read.
    """
    if data_root is not None:
        return _read_snapshot(task, _folder_of(task, Path(data_root)))

    def is_own(file: str) -> bool:
        return file.startswith("hf://datasets/") and ".." not in file.split("/")

    try:
        return _load_checked(task.hub_id, task.hub_config, is_own, revision=task.revision)
    except InputError:
        raise
    except _READING as error:
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}"
            f"{f', revision {task.revision}' if task.revision else ''}) from the Hub: {cause}. "
            f"{_how_to_get(task, None)}"
        ) from error


def _folder_of(task: TaskConfig, root: Path) -> Path:
    """Return the folder of a task's data set in a mirror, if it has files of its configuration."""
    folder = root / task.hub_id
    if not folder.is_dir():
        raise InputError(
            f"data_root: {root} lacks the data set {task.hub_id} of task {task.name} (looked for "
            f"the folder {folder}). {_how_to_get(task, str(root))}"
        )
    if not files_of(folder, task.hub_config, splits_read(task)):
        raise InputError(
            f"data_root: {folder} has no files of configuration {task.hub_config!r} of task "
            f"{task.name}. {_how_to_get(task, str(root))}"
        )
    return folder


def _how_to_get(task: TaskConfig, data_root: str | None) -> str:
    root = "DATA_ROOT" if data_root is None else data_root
    download = f"hf download --repo-type dataset {task.hub_id} --local-dir {root}/{task.hub_id}"
    return (
        f"Three ways to get it: run `{download}` on a machine with network and set "
        f"data_root={root}; set data_root=null to read the Hub; or set profile=embedded for the "
        "synthetic data, which need no network."
    )


def _read_snapshot(task: TaskConfig, folder: Path) -> DatasetDict:
    """Load the splits that a task reads; all existing ones if some of them are missing."""
    splits = splits_read(task)
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
    return _load_checked(
        str(folder),
        task.hub_config if is_listed(folder) else None,
        functools.partial(is_below, folder=folder),
        datasets.VerificationMode.NO_CHECKS,
        cache_dir=_cache_of(folder),
        **files,
    )


def _load_checked(
    path: str,
    name: str | None,
    is_own: Callable[[str], bool],
    verification: datasets.VerificationMode = datasets.VerificationMode.BASIC_CHECKS,
    **places: Any,
) -> DatasetDict:
    """Load a data set as `datasets.load_dataset(path, name, **places)` does.

    Raises InputError unless all files that a card names are the data set's by `is_own`, and if the
    cache of `datasets` cannot be written to.
    """
    key = next((key for key in ("HF_DATASETS_CACHE", "HF_HOME") if key in os.environ), "HF_HOME")
    at_home(key, os.environ.get(key, ""))
    check_writable(Path(datasets.config.HF_DATASETS_CACHE), key, os.environ.get(key))
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
    return builder.as_dataset()


def _cache_of(folder: Path) -> str:
    """Return the folder for the Arrow copy of a mirror's data set; its files decide which one.

    `datasets` looks only at the name and the README of the data set's folder, so two mirrors would
    get each other's rows.
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
    log = BufferingHandler(sys.maxsize)
    log.setLevel(logging.ERROR)
    logger = logging.getLogger("datasets")
    logger.addHandler(log)
    try:
        yield
    except InputError:
        raise
    except (*_READING, StopIteration) as error:  # the latter for an empty file of JSON lines
        logged = "".join(record.getMessage() for record in log.buffer)
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}) in "
            f"{folder}: {_fault(error, folder, files, logged)}"
        ) from error
    finally:
        logger.removeHandler(log)


def _fault(error: BaseException, folder: Path, files: Sequence[Path], logged: str) -> str:
    """Describe what is wrong with `files`; `datasets` logs the file that it cannot read."""
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
    blamed = [file for file in files if str(file) in logged]
    if not blamed and len(files) > 1:
        return f"{text} ({len(files)} files: {listed})."
    file = (blamed or files)[0]
    name = file.relative_to(folder)
    if (schema := _schema(file)) is not None and pq.read_metadata(file).num_rows == 0:
        return f"{name} has no rows. Add some, or remove it if its split has other files."
    problem = "is broken or of another type" if schema is None else "cannot be read"
    return f"{name} {problem} ({text}). Replace that file."


def _other_columns(folder: Path, files: Sequence[Path]) -> str | None:
    """Describe a parquet file whose columns differ from those of its split's first file, if any."""
    columns: dict[Path, tuple[Path, set[str]]] = {}
    for file in files:
        if (schema := _schema(file)) is None:
            continue
        names = set(schema.names)
        split = file.with_name(re.sub(r"\d+", "", file.name))  # the same for all its shards
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


def take_split(data: DatasetDict, task: TaskConfig, split: str) -> Dataset:
    """Return one split. Raises InputError if it does not exist, or has no rows."""
    if split not in data:
        raise InputError(
            f"task {task.name}: {task.hub_id} (config {task.hub_config!r}) has no split {split!r}."
            f"{did_you_mean(split, data)}"
        )
    if len(data[split]) == 0:
        raise InputError(
            f"task {task.name}: split {split!r} of {task.hub_id} (config {task.hub_config!r}) has "
            "no rows. Name another split, or add rows."
        )
    return data[split]


def check_column(
    dataset: Dataset, task: TaskConfig, field: str, path: str, kind: str | None = None
) -> None:
    """Raise InputError unless a column exists and has the needed kind of content.

    `field` is the configuration's key, for the message. `kind` is text, option (text or numbers),
    list (dots of the path descend into its structs), image, or None: the type is checked elsewhere.
    """
    found: object = dataset.features
    for name in path.split(".") if kind == "list" else [path]:
        if isinstance(found, datasets.List) and isinstance(found.feature, dict):
            found = {key: datasets.List(kind) for key, kind in found.feature.items()}
        if not isinstance(found, dict) or name not in found:
            names = found if isinstance(found, dict) else ()
            inside = isinstance(names, dict) and isinstance(names.get(name.split(".")[0]), dict)
            raise InputError(
                f"{field}: {task.hub_id} (config {task.hub_config!r}) has no column {path!r}."
                + (" Columns inside a struct are not read: write a flat column." if inside else "")
                + did_you_mean(name, names)
            )
        found = found[name]
    fits = {
        None: True,
        "text": is_text(found),
        "option": is_text(found) or is_number(found),
        "list": isinstance(found, (datasets.List, datasets.LargeList)),
        "image": _may_hold_images(found),
    }
    if not fits[kind]:
        raise InputError(
            f"{field}: column {path!r} of {task.hub_id} contains {found}, but a column of kind "
            f"{kind} is needed. Columns: {', '.join(dataset.features)}."
        )


def _may_hold_images(feature: object) -> bool:
    """Return whether a column may contain images: as such, as bytes, paths, or both in a struct."""
    if isinstance(feature, dict):
        return bool({"bytes", "path"} & feature.keys())
    is_binary = isinstance(feature, datasets.Value) and feature.dtype.endswith("binary")
    return isinstance(feature, datasets.Image) or is_binary or is_text(feature)


def is_text(feature: object) -> bool:
    """Return whether a column of this type contains text."""
    return isinstance(feature, datasets.Value) and feature.dtype in {
        "string",
        "large_string",
        "string_view",
    }


def is_number(feature: object) -> bool:
    """Return whether a column of this type contains numbers or truth values."""
    kinds = ("int", "uint", "float", "bool")
    return isinstance(feature, datasets.Value) and feature.dtype.startswith(kinds)
