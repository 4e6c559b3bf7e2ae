"""Content hashes of a task's data and of a backbone; a cell's hash contains them, not paths."""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from frod_bench.cells.known_hashes import sha256_of
from frod_bench.common.errors import InputError, Lack, MissingInputError
from frod_bench.config.settings import Settings
from frod_bench.data.checksums import SUMS_FILE, read_sums
from frod_bench.data.hub_layout import files_of, splits_read

_ADVICE = (
    "Put a snapshot of the Hub's repository there (`python -m frod_bench.mirror out=DIR` copies "
    "what a suite needs), set the root to null to read the Hub, or take profile=embedded with "
    "neither root, which brings its own."
)
PICTURES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif"),
    *(".ico", ".webp", ".tif", ".tiff", ".ppm", ".pgm"),
)
HOLDING = (".parquet", ".arrow")  # tables that can hold pictures
WEIGHT_FILES = ("config.json", "*.safetensors", "tokenizer*.json", "preprocessor_config.json")


def fingerprints(settings: Settings) -> tuple[str, str]:
    """The fingerprints of a cell's data set and of its backbone. Raises MissingInputError that
    names what is missing of both, or InputError as the two below.
    """
    task, backbone = settings.task, settings.backbone
    splits = splits_read(task)
    found: list[str] = []
    lacks: list[Lack] = []
    for fingerprint in (
        lambda: data_fingerprint(
            task.hub_id,
            task.hub_config,
            task.revision,
            settings.data_root,
            splits,
            picture=task.input_columns[0] if task.family == "vision" else None,
        ),
        lambda: backbone_fingerprint(backbone.hub_id, backbone.revision, settings.model_root),
    ):
        try:
            found.append(fingerprint())
        except MissingInputError as error:
            lacks += error.lacks
    if lacks:
        raise MissingInputError(lacks)
    data, weights = found
    return data, weights


def data_fingerprint(
    hub_id: str,
    hub_config: str,
    revision: str | None,
    data_root: str | None,
    splits: Collection[str] = (),
    *,
    picture: str | None = None,
) -> str:
    """Hash of the files of one configuration of a data set with the splits `splits`.

    Without `data_root`, it is the data set's revision on the Hub. If the tables name pictures, in
    the column `picture`, all pictures in the data set's folder are hashed, too, but not those that
    a path outside the folder names. Raises InputError if `data_root` lacks the data set or lists
    other checksums.
    """
    if data_root is None:
        return f"hub-data:{hub_id}/{hub_config}@{revision or 'main'}"
    folder = Path(data_root) / hub_id
    files = files_of(folder, hub_config, splits) if folder.is_dir() else []
    if not files:
        what = f"data set {hub_id!r} (configuration {hub_config!r}), looked in {folder}"
        raise MissingInputError(
            [Lack(f"data_root={data_root}", what, f"{_ADVICE} Or take other tasks or a suite.")]
        )
    if picture is not None and not any(file.suffix.lower() in PICTURES for file in files):
        found = sorted(file for file in folder.rglob("*") if _is_picture(file, folder))
        if found and _names_pictures(files, picture):
            files = sorted({*files, *found})
    return _hash_files("data_root", Path(data_root), hub_id, files)


def backbone_fingerprint(hub_id: str, revision: str | None, model_root: str | None) -> str:
    """Hash of a backbone's configuration, safetensors weights and tokenizer or image processor.
    Raises InputError if `model_root` lacks them or lists other checksums.
    """
    if model_root is None:
        return f"hub-model:{hub_id}@{revision or 'main'}"
    folder = Path(model_root) / hub_id
    files = sorted({file for pattern in WEIGHT_FILES for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        what = f"backbone {hub_id!r} with safetensors weights, looked in {folder}"
        raise MissingInputError([Lack(f"model_root={model_root}", what, _ADVICE)])
    return _hash_files("model_root", Path(model_root), hub_id, files)


def _is_picture(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in PICTURES and not hidden and path.is_file()


def _names_pictures(files: Collection[Path], column: str) -> bool:
    """Whether a column names pictures instead of holding their bytes, judged by the first table.

    Only parquet and arrow can hold the bytes of pictures, by themselves or in a struct with a path.
    """
    table = next((file for file in files if file.suffix in HOLDING), None)
    if table is None:
        return True
    if table.suffix != ".parquet":
        return False
    import pyarrow.parquet as pq  # only for a data set that has pictures beside its tables

    try:
        found = pq.ParquetFile(table).metadata
    except (OSError, ValueError):  # damaged: its reader says so
        return False
    names = {column, f"{column}.bytes"}
    places = [n for n in range(found.num_columns) if found.schema.column(n).path in names]
    kinds = {place: str(found.schema.column(place).logical_type) for place in places}
    holding = [place for place, kind in kinds.items() if kind not in {"String", "Null"}]
    return not any(
        _has_values(found.row_group(group).column(place), found.row_group(group).num_rows)
        for group in range(found.num_row_groups)
        for place in holding
    )


def _has_values(leaf: Any, rows: int) -> bool:
    """Whether a part of a parquet column has a value; it is taken to, if it does not say."""
    nulls = leaf.statistics.null_count if leaf.is_stats_set else None
    return nulls is None or bool(nulls < rows)


def _hash_files(key: str, root: Path, hub_id: str, files: list[Path]) -> str:
    """One hash of names and contents. Raises InputError if the mirror lists another SHA-256."""
    folder, digest = root / hub_id, hashlib.sha256()
    entry = read_sums(root).get(hub_id)
    noted = entry.files if entry is not None else {}
    for file in files:
        name, found = file.relative_to(folder).as_posix(), sha256_of(file)
        if noted.get(name, found) != found:
            raise InputError(
                f"{key}={root}: {hub_id}/{name} has another SHA-256 than {SUMS_FILE} notes. The "
                "command that wrote the mirror fetches it again; if it was changed on purpose, "
                f"take {hub_id} out of {root / SUMS_FILE}."
            )
        digest.update(name.encode())
        digest.update(bytes.fromhex(found))
    return digest.hexdigest()
