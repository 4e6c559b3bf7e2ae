"""Which files of a data set's snapshot make up a configuration, and which of them a split.

The card (README.md) lists them in its front matter. Where it lists no configurations, or there is
no card, the folder named after the configuration holds them, or else the whole snapshot does, and
`datasets` tells the splits by the files' names.
"""

from pathlib import Path
from typing import Any

import yaml

from frod_bench.errors import InputError

CARD = "README.md"
ANY_PARQUET = "**/*.parquet"
NO_DATA = {".md", ".gitattributes", ".gitignore", "LICENSE"}  # names or suffixes


def data_patterns(folder: Path, hub_config: str) -> list[str]:
    """Patterns of the files of a configuration, as the card lists them: none if it lists other
    configurations only, any parquet file if it lists nothing.

    Raises InputError where the front matter cannot be read.
    """
    configs = _listed(folder)
    if not configs:
        return [ANY_PARQUET]
    entry = configs.get(hub_config, [])
    return [f"{entry}/**/*"] if isinstance(entry, str) else [pattern for _, pattern in entry]


def files_of(folder: Path, hub_config: str) -> list[Path]:
    """The files of a configuration, sorted; none where the snapshot does not have it."""
    if not is_listed(folder):
        found = (folder / (data_dir(folder, hub_config) or ".")).rglob("*")
        return sorted(file for file in found if _may_be_data(file, folder))
    patterns = data_patterns(folder, hub_config)
    return sorted({file for p in patterns for file in folder.glob(p) if file.is_file()})


def is_listed(folder: Path) -> bool:
    """Whether a card lists configurations."""
    return bool(_listed(folder))


def data_dir(folder: Path, hub_config: str) -> str | None:
    """The folder within the snapshot whose files' names tell the splits; None: the snapshot."""
    entry = _listed(folder).get(hub_config)
    if isinstance(entry, str):
        return entry
    return hub_config if (folder / hub_config).is_dir() else None


def listed_splits(folder: Path, hub_config: str) -> dict[str, list[str]]:
    """Split -> the files that the card lists for it and that are there, relative to the snapshot.

    Empty where the card lists no files of the configuration by split. A sample of a snapshot may
    lack some that are listed.
    """
    entry = _listed(folder).get(hub_config, [])
    splits: dict[str, list[str]] = {}
    for split, pattern in [] if isinstance(entry, str) else entry:
        found = sorted(file.relative_to(folder).as_posix() for file in folder.glob(pattern))
        if found:
            splits.setdefault(split, []).extend(found)
    return splits


def _listed(folder: Path) -> dict[str, list[tuple[str, str]] | str]:
    """Configuration -> its (split, pattern) pairs, or the folder that holds its files."""
    card = folder / CARD
    if not card.is_file():
        return {}
    parts = card.read_text(encoding="utf-8").split("---", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 else None
        configs = (front or {}).get("configs", [])
        return {entry["config_name"]: _entry(entry) for entry in configs}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{card}: its front matter cannot be read ({type(error).__name__}). It must list "
            "configs, each with config_name and data_files, as a Hub card does."
        ) from error


def _entry(config: dict[str, Any]) -> list[tuple[str, str]] | str:
    if "data_files" not in config and "data_dir" in config:
        return str(config["data_dir"]).strip("/")
    return _pairs(config["data_files"], "train")  # what `datasets` calls files without a split


def _pairs(data_files: object, split: str) -> list[tuple[str, str]]:
    """The (split, pattern) pairs of a card's `data_files`: one pattern, a list, or some a split."""
    if isinstance(data_files, str):
        return [(split, data_files)]
    if isinstance(data_files, dict):
        return _pairs(data_files["path"], str(data_files.get("split", split)))
    if not isinstance(data_files, list):
        raise TypeError(data_files)
    return [pair for item in data_files for pair in _pairs(item, split)]


def _may_be_data(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and not {file.suffix, file.name} & NO_DATA
