"""Data sets from the Hub, or from a local mirror with the Hub's layout.

What can be wrong with a data set as a whole is reported here: it is absent, or lacks a config, a
split or a column. `local` reads the files of a mirror.
"""

from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_layout import files_of
from frod_bench.data.local import load_checked, read_snapshot, splits_of

datasets.disable_progress_bars()  # they would draw over the suite's own
TEXT_TYPES = {"string", "large_string", "string_view"}


def read_data_set(task: TaskConfig, data_root: str | None) -> DatasetDict:
    """Return the splits of a task's data set, memory-mapped and not decoded.

    Args:
        data_root: a folder with `<hub id>/` in the layout of a Hub snapshot; None reads the Hub.

    Raises:
        InputError: the data set or its config is missing, or cannot be read.
    """
    if data_root is not None:
        return read_snapshot(task, _folder_of(task, Path(data_root)))
    try:
        return load_checked(task.hub_id, task.hub_config, _is_on_hub, revision=task.revision)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # `datasets` has an error type for each of a missing config, no network, a gated or missing
        # repository and a wrong revision, and its message tells which it was.
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}"
            f"{f', revision {task.revision}' if task.revision else ''}) from the Hub: {cause}. "
            f"{_how_to_get(task, None)}"
        ) from error


def _is_on_hub(file: str) -> bool:
    return file.startswith("hf://datasets/") and ".." not in file.split("/")


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

    Args:
        field: the key of the task's configuration that names the column, for the message.
        path: the column's name; dots descend into the structs of a list, and into nothing else.
        kind: text, option (text or numbers), list or image; None: the type is checked elsewhere.
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
    return isinstance(feature, datasets.Value) and feature.dtype in TEXT_TYPES


def is_number(feature: object) -> bool:
    """Return whether a column of this type contains numbers or truth values."""
    kinds = ("int", "uint", "float", "bool")
    return isinstance(feature, datasets.Value) and feature.dtype.startswith(kinds)


def _folder_of(task: TaskConfig, root: Path) -> Path:
    """Return the folder of a task's data set in a mirror, if it has files of its configuration."""
    folder = root / task.hub_id
    if not folder.is_dir():
        raise InputError(
            f"data_root: {root} lacks the data set {task.hub_id} of task {task.name} (looked for "
            f"the folder {folder}). {_how_to_get(task, str(root))}"
        )
    if not files_of(folder, task.hub_config, splits_of(task)):
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
