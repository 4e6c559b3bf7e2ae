"""Reading a split of a data set: from the Hub, or from a local mirror with the Hub's layout.

Both go through the same call of `datasets`; only the first argument differs. Everything that can
be wrong with a data set as a whole is told here: it is absent, lacks a config, a split or a column.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict

from frod_bench.errors import InputError, did_you_mean
from frod_bench.settings import TaskConfig
from frod_bench.snapshot import data_dir, is_listed, listed_splits

TEXT_TYPES = {"string", "large_string", "string_view"}


def read_data_set(task: TaskConfig, data_root: str | None) -> DatasetDict:
    """All splits of a task's data set; memory-mapped, nothing is decoded.

    Args:
        data_root: a folder that holds `<hub id>/` as a Hub snapshot does; None reads the Hub.

    Raises:
        InputError: the data set or its config is not there, or cannot be read.
    """
    revision = task.revision if data_root is None else None
    try:
        with _without_progress_bars():
            if data_root is None:
                return datasets.load_dataset(task.hub_id, task.hub_config, revision=revision)
            _check_mirror(task, Path(data_root))
            return _read_snapshot(Path(data_root) / task.hub_id, task.hub_config)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        # A config that is not there, a broken file, no network, a gated or missing repository, a
        # wrong revision: `datasets` raises a different type for each, and says which it was.
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"task {task.name}: cannot read {task.hub_id} (config {task.hub_config!r}"
            f"{f', revision {revision}' if revision else ''}) from {_name(data_root)}: {cause}. "
            f"{_how_to_get(task, data_root)}"
        ) from error


def _read_snapshot(folder: Path, hub_config: str) -> DatasetDict:
    """A configuration of a data set that lies in a folder.

    What a card says of row counts is that of the whole data set, and a sample is good too, so that
    neither counts nor splits are compared with it.
    """
    options = {
        "cache_dir": _mirror_cache(folder),
        "verification_mode": datasets.VerificationMode.NO_CHECKS,
    }
    if is_listed(folder):
        files = listed_splits(folder, hub_config) or None
        return datasets.load_dataset(str(folder), hub_config, data_files=files, **options)
    return datasets.load_dataset(str(folder), data_dir=data_dir(folder, hub_config), **options)


def take_split(data: DatasetDict, task: TaskConfig, split: str) -> Dataset:
    """One split.

    Raises:
        InputError: the data set has no split of that name.
    """
    if split not in data:
        raise InputError(
            f"task {task.name}: {task.hub_id} (config {task.hub_config!r}) has no split {split!r}."
            f"{did_you_mean(split, data)}"
        )
    return data[split]


def check_column(
    dataset: Dataset, task: TaskConfig, field: str, path: str, kind: str | None = None
) -> None:
    """Make sure that a column exists and holds what is needed; dots descend into a struct.

    Args:
        field: the key of the task's configuration that names the column, for the message.
        kind: text, list or image; None: the column's type is checked elsewhere.

    Raises:
        InputError: there is no such column, or it holds something else.
    """
    found: object = dataset.features
    for name in path.split("."):
        if isinstance(found, datasets.List) and isinstance(found.feature, dict):
            found = {key: datasets.List(kind) for key, kind in found.feature.items()}
        if not isinstance(found, dict) or name not in found:
            names = found if isinstance(found, dict) else ()
            raise InputError(
                f"{field}: {task.hub_id} (config {task.hub_config!r}) has no column {path!r}."
                f"{did_you_mean(name, names)}"
            )
        found = found[name]
    fits = {
        None: True,
        "text": is_text(found),
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


def _check_mirror(task: TaskConfig, root: Path) -> None:
    folder = root / task.hub_id
    if not folder.is_dir():
        raise InputError(
            f"data_root: {root} lacks the data set {task.hub_id} of task {task.name} (looked for "
            f"the folder {folder}). {_how_to_get(task, str(root))}"
        )


def _mirror_cache(folder: Path) -> str:
    """Where `datasets` keeps its Arrow copy of a mirror's data set.

    Its own choice is named after the folder's last part and its README alone, so that two mirrors
    (stand-ins and real rows), or one whose files were replaced, would get each other's rows.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    seen = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    digest = hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
    return str(Path(datasets.config.HF_DATASETS_CACHE) / "frod_bench" / digest)


def _how_to_get(task: TaskConfig, data_root: str | None) -> str:
    root = "DATA_ROOT" if data_root is None else data_root
    download = f"hf download --repo-type dataset {task.hub_id} --local-dir {root}/{task.hub_id}"
    return (
        f"Three ways to get it: run `{download}` on a machine with network and set "
        f"data_root={root}; set data_root=null to read the Hub; or set profile=embedded for the "
        "stand-in, which needs no network."
    )


def _name(data_root: str | None) -> str:
    return "the Hub" if data_root is None else f"data_root={data_root}"


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
