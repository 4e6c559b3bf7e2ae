"""Reading a split of a data set: from the Hub, or from a local mirror with the Hub's layout.

Everything that can be wrong with a data set as a whole is told here: it is absent, lacks a config,
a split or a column. What a mirror's files may look like is in `local`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import TaskConfig
from frod_bench.data.checked import load_checked
from frod_bench.data.hub_layout import files_of
from frod_bench.data.local import read_snapshot, splits_of

TEXT_TYPES = {"string", "large_string", "string_view"}


def read_data_set(task: TaskConfig, data_root: str | None) -> DatasetDict:
    """The splits of a task's data set; memory-mapped, nothing is decoded.

    Args:
        data_root: a folder that holds `<hub id>/` as a Hub snapshot does; None reads the Hub.

    Raises:
        InputError: the data set or its config is not there, or cannot be read.
    """
    if data_root is not None:
        folder = _folder_of(task, Path(data_root))
        with _without_progress_bars():
            return read_snapshot(task, folder)
    try:
        with _without_progress_bars():
            return load_checked(task.hub_id, task.hub_config, _is_on_hub, revision=task.revision)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # A config that is not there, no network, a gated or missing repository, a wrong revision:
        # `datasets` raises a different type for each, and says which it was.
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}"
            f"{f', revision {task.revision}' if task.revision else ''}) from the Hub: {cause}. "
            f"{_how_to_get(task, None)}"
        ) from error


def _is_on_hub(file: str) -> bool:
    return file.startswith("hf://datasets/") and ".." not in file.split("/")


def take_split(data: DatasetDict, task: TaskConfig, split: str) -> Dataset:
    """One split.

    Raises:
        InputError: the data set has no split of that name, or no rows in it.
    """
    if split not in data:
        raise InputError(
            f"task {task.name}: {task.hub_id} (config {task.hub_config!r}) has no split {split!r}."
            f"{did_you_mean(split, data)}"
        )
    if len(data[split]) == 0:
        raise InputError(
            f"task {task.name}: split {split!r} of {task.hub_id} (config {task.hub_config!r}) has "
            "no rows. Name another split, or give it rows."
        )
    return data[split]


def check_column(
    dataset: Dataset, task: TaskConfig, field: str, path: str, kind: str | None = None
) -> None:
    """Make sure that a column exists and holds what is needed.

    Args:
        field: the key of the task's configuration that names the column, for the message.
        path: the column's name. Of a list dots descend into a struct; nothing else is read there.
        kind: text, option (text or numbers), list or image; None: the type is checked elsewhere.

    Raises:
        InputError: there is no such column, or it holds something else.
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
                + (" Columns inside a struct are not read: write it flat." if inside else "")
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
            f"{field}: column {path!r} of {task.hub_id} holds {found}, but a column of kind "
            f"{kind} is needed. It has: {', '.join(dataset.features)}."
        )


def _may_hold_images(feature: object) -> bool:
    """Whether a column holds pictures: as such, or as bytes, paths, or both in a struct."""
    if isinstance(feature, dict):
        return bool({"bytes", "path"} & feature.keys())
    is_binary = isinstance(feature, datasets.Value) and feature.dtype.endswith("binary")
    return isinstance(feature, datasets.Image) or is_binary or is_text(feature)


def is_text(feature: object) -> bool:
    """Whether a column of this type holds text."""
    return isinstance(feature, datasets.Value) and feature.dtype in TEXT_TYPES


def is_number(feature: object) -> bool:
    """Whether a column of this type holds numbers, or truth values."""
    kinds = ("int", "uint", "float", "bool")
    return isinstance(feature, datasets.Value) and feature.dtype.startswith(kinds)


def _folder_of(task: TaskConfig, root: Path) -> Path:
    """The folder of a task's data set in a mirror, with files of its configuration in it."""
    folder = root / task.hub_id
    if not folder.is_dir():
        raise InputError(
            f"data_root: {root} lacks the data set {task.hub_id} of task {task.name} (looked for "
            f"the folder {folder}). {_how_to_get(task, str(root))}"
        )
    if not files_of(folder, task.hub_config, splits_of(task)):
        raise InputError(
            f"data_root: {folder} holds no files of configuration {task.hub_config!r} of task "
            f"{task.name}. {_how_to_get(task, str(root))}"
        )
    return folder


def _how_to_get(task: TaskConfig, data_root: str | None) -> str:
    root = "DATA_ROOT" if data_root is None else data_root
    download = f"hf download --repo-type dataset {task.hub_id} --local-dir {root}/{task.hub_id}"
    return (
        f"Three ways to get it: run `{download}` on a machine with network and set "
        f"data_root={root}; set data_root=null to read the Hub; or set profile=embedded for the "
        "stand-in, which needs no network."
    )


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """A cell has one progress display of its own; `datasets` would draw over it."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
