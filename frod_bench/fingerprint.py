"""Content hashes of a task's data and of a backbone: what a cell's hash stands on instead of paths.

Reads files only, so that a sweep can tell what is missing before torch is imported.
"""

import functools
import hashlib
from pathlib import Path

import yaml

from frod_bench.errors import InputError

WEIGHT_FILES = ("config.json", "*.safetensors", "tokenizer*.json", "preprocessor_config.json")
ANY_PARQUET = "**/*.parquet"


def data_fingerprint(
    hub_id: str, hub_config: str, revision: str | None, data_root: str | None
) -> str:
    """Hash of the files of one configuration of a data set.

    On the Hub a revision stands for the content. Raises InputError where the local mirror lacks it.
    """
    if data_root is None:
        return _hub_fingerprint("data", f"{hub_id}/{hub_config}", revision)
    folder = Path(data_root) / hub_id
    files = _data_files(folder, hub_config) if folder.is_dir() else []
    if not files:
        raise InputError(
            f"data_root={data_root}: has no data set {hub_id!r} (configuration {hub_config!r}), "
            f"looked in {folder}. Put a snapshot of the Hub's repository there, point data_root "
            "at a mirror that has it, set data_root=null to read the Hub, or leave data_root out "
            "to use the embedded stand-ins."
        )
    return _hash_files(folder, files)


def backbone_fingerprint(hub_id: str, revision: str | None, model_root: str | None) -> str:
    """Hash of a backbone's configuration, weights and tokenizer or image processor.

    Raises InputError where `model_root` lacks it or where it holds no safetensors weights.
    """
    if model_root is None:
        return _hub_fingerprint("model", hub_id, revision)
    folder = Path(model_root) / hub_id
    files = sorted({file for pattern in WEIGHT_FILES for file in folder.glob(pattern)})
    if not any(file.suffix == ".safetensors" for file in files):
        raise InputError(
            f"model_root={model_root}: has no backbone {hub_id!r} with safetensors weights, looked "
            f"in {folder}. Put a snapshot of the checkpoint there, or set model_root=null to read "
            "the Hub."
        )
    return _hash_files(folder, files)


def _hub_fingerprint(kind: str, name: str, revision: str | None) -> str:
    return f"hub-{kind}:{name}@{revision or 'main'}"


def data_patterns(folder: Path, hub_config: str) -> list[str]:
    """Patterns of the files of a configuration, as the front matter of the snapshot's README.md
    lists them: none if it lists other configurations only, any parquet file if it lists nothing.

    Raises InputError where the front matter cannot be read.
    """
    readme = folder / "README.md"
    if not readme.is_file():
        return [ANY_PARQUET]
    parts = readme.read_text(encoding="utf-8").split("---", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 else {}
        entries = {entry["config_name"]: entry["data_files"] for entry in front.get("configs", [])}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{readme}: its front matter cannot be read ({type(error).__name__}). It must list "
            "configs, each with config_name and data_files, as a Hub card does."
        ) from error
    return _patterns(entries.get(hub_config, [])) if entries else [ANY_PARQUET]


def _data_files(folder: Path, hub_config: str) -> list[Path]:
    patterns = data_patterns(folder, hub_config)
    return sorted({file for pattern in patterns for file in folder.glob(pattern)})


def _patterns(data_files: object) -> list[str]:
    """The patterns of a card's `data_files`: one, a list of them, or one or more a split."""
    if isinstance(data_files, str):
        return [data_files]
    if isinstance(data_files, dict):
        return _patterns(data_files["path"])
    assert isinstance(data_files, list)
    return [pattern for item in data_files for pattern in _patterns(item)]


def _hash_files(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(str(file.relative_to(folder)).encode())
        digest.update(bytes.fromhex(_hash_file(file, stat.st_size, stat.st_mtime_ns)))
    return digest.hexdigest()


@functools.lru_cache(maxsize=4096)
def _hash_file(file: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001  (they key the cache)
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
