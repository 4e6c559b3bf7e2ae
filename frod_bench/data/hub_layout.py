"""The files of a configuration and of its splits in the snapshot of a data set.

The card (README.md) lists them in its front matter. If it does not, names of files and folders
decide. `splits` are the names that a task gives to its splits: a file or folder with such a name is
that split, whatever else the name could mean (`my_train` is then not a configuration `my`).

A card is data from elsewhere. Paths in it that lead out of the snapshot are refused. Links are
followed, because all files of a Hub cache are links.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from frod_bench.common.errors import InputError, Lack, MissingInputError
from frod_bench.common.names import stays
from frod_bench.common.yaml_text import check_yaml, read_text
from frod_bench.config.settings import TaskConfig

CARD = "README.md"
# The front matter of a card, as huggingface_hub.repocard finds it, which takes long to import.
FRONT_MATTER = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
BESIDE_CARD = ".huggingface.yaml"  # which `datasets` reads, too
DEEPEST = 3  # double stars in a pattern; each of them walks the folder below
DATA = "data"  # the name of a folder that says nothing about its content
NO_DATA = {".md", ".gitattributes", ".gitignore", "LICENSE"}  # names or suffixes
ABOUT = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
TABLES = ({".parquet"}, {".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".arrow"})
_WORDS = "training|train|validation|valid|val|dev|testing|test|evaluation|eval|extra"
# rte_train, validation_matched-00000-of-00001: possibly a configuration, and a split.
_NAME = re.compile(
    rf"(?:(?P<config>.+)[-._ ])?(?P<split>(?:{_WORDS})(?:_[A-Za-z]+)*)(?:[-._ 0-9].*)?"
)


@dataclass(frozen=True)
class ConfigFiles:
    """The files of a configuration."""

    folder: str  # path in the snapshot; "" is the snapshot itself
    files: list[Path]  # sorted
    alone: bool = True  # whether the folder has no files of other configurations


def splits_read(task: TaskConfig) -> list[str]:
    """Return the splits that a task reads, each once, train first."""
    splits = (task.train_split, task.test_split, *task.extra_test_splits.values())
    return list(dict.fromkeys(splits))


def data_patterns(folder: Path, hub_config: str) -> list[str]:
    """Return the patterns that the card lists for a configuration; any parquet without a list."""
    configs = _listed(folder)
    if not configs:
        return ["**/*.parquet"]
    entry = configs.get(hub_config, [])
    return [f"{entry}/**/*"] if isinstance(entry, str) else [pattern for _, pattern in entry]


def files_of(folder: Path, hub_config: str, splits: Collection[str] = ()) -> list[Path]:
    """Return the files of a configuration, sorted."""
    return find_files(folder, hub_config, splits).files


def is_listed(folder: Path) -> bool:
    """Return whether a card lists configurations."""
    return bool(_listed(folder))


def find_files(folder: Path, hub_config: str, splits: Collection[str] = ()) -> ConfigFiles:
    """Find a configuration's files, if any. Raises InputError if there are only other ones."""
    configs = _listed(folder)
    if not configs:
        return _unlisted(folder, hub_config, splits)
    if hub_config not in configs:
        raise _absent(folder, hub_config, configs)
    entry = configs[hub_config]
    if isinstance(entry, str):
        return ConfigFiles(entry, _data_files(folder / entry))
    found = {file for _, pattern in entry for file in _data_files(folder, pattern)}
    return ConfigFiles("", sorted(found), alone=False)


def split_files(
    folder: Path, hub_config: str, splits: Collection[str] = ()
) -> dict[str, list[str]]:
    """Return split -> its existing files, relative to the snapshot.

    If the card lists no files, they are `<split>.parquet`, `<split>-*.parquet` and
    `<split>/*.parquet`, or tables of another type with such names outside of folders. The whole
    name of a split has to match, while `datasets` reads `validation_matched` as `validation`.
    """
    found: dict[str, list[str]] = {}
    entry = _listed(folder).get(hub_config, "")
    if not isinstance(entry, str):
        for split, pattern in entry:
            files = _data_files(folder, pattern)
            if names := [file.relative_to(folder).as_posix() for file in files]:
                found.setdefault(split, []).extend(sorted(names))
        return found
    place = find_files(folder, hub_config, splits)
    for file in _tables(place.files):
        name, in_folder = _name(file, folder / place.folder)
        split = _parsed(name, splits)[1]
        # A table next to images in a split's folder describes them, and is not the split itself.
        if split and not (in_folder and file.suffix != ".parquet"):
            found.setdefault(split, []).append(file.relative_to(folder).as_posix())
    return found


def _unlisted(folder: Path, hub_config: str, splits: Collection[str]) -> ConfigFiles:
    """Find files without a card, by the names of folders and files."""
    for own in (hub_config, f"{DATA}/{hub_config}"):
        if files := _data_files(folder / own):
            return ConfigFiles(own, files)
    found: dict[str, list[Path]] = {}
    for file in _tables(_data_files(folder)):
        found.setdefault(_config_of(file, folder, splits), []).append(file)
    if hub_config in found:
        return ConfigFiles("", found[hub_config], alone=len(found) == 1)
    if not found.keys() - {""}:
        return ConfigFiles("", _data_files(folder))
    if len(found) > 1 or hub_config != "default":
        raise _absent(folder, hub_config, found.keys() - {""})
    (only,) = found
    folders = [name for name in (only, f"{DATA}/{only}") if (folder / name).is_dir()]
    place = folders[0] if folders else ""  # without a folder, the names of the files mention it
    return ConfigFiles(place, _data_files(folder / place))


def _config_of(file: Path, folder: Path, splits: Collection[str]) -> str:
    """Return the configuration that a file's path in a snapshot mentions; "" if it has none."""
    name, in_folder = _name(file, folder)
    config, split = _parsed(name, splits)
    if split:
        return "" if config == folder.name else config  # glue_train in glue mentions none
    return name if in_folder else ""


def _parsed(name: str, splits: Collection[str]) -> tuple[str, str]:
    """Return the configuration and the split that a name mentions, or empty strings."""
    for split in sorted(splits, key=len, reverse=True):
        if re.fullmatch(rf"{re.escape(split)}(?:[-. ].*)?", name):
            return "", split
    match = _NAME.fullmatch(name)
    return (match["config"] or "", match["split"]) if match else ("", "")


def _name(file: Path, base: Path) -> tuple[str, bool]:
    """Return the name to parse of a file below `base`, and whether it is that of a folder."""
    parts = file.relative_to(base).parts
    parts = parts[1:] if parts[0] == DATA and len(parts) > 1 else parts
    return (parts[0], True) if len(parts) > 1 else (Path(parts[0]).stem, False)


def _absent(folder: Path, hub_config: str, found: Iterable[str]) -> InputError:
    names = sorted(map(str, found))
    advice = (
        f"It has: {', '.join(names)}. Set task.hub_config={names[0] if len(names) == 1 else 'NAME'}"
        " if that is the same under another name, or add its files: a folder named after it, "
        "and a line in the card if it lists any, as `python -m frod_bench.mirror` writes them."
    )
    return MissingInputError([Lack(str(folder), f"configuration {hub_config!r}", advice)])


def _listed(folder: Path) -> Mapping[str, list[tuple[str, str]] | str]:
    """Return configuration -> its (split, pattern) pairs, or the folder of its files."""
    found: Mapping[str, list[tuple[str, str]] | str] = {}
    for file in (folder / BESIDE_CARD, folder / CARD):
        if file.is_file():
            state = file.stat()
            found = _read_card(file, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return found


@lru_cache(maxsize=256)  # a plan asks for every cell
def _read_card(card: Path, *_state: int) -> Mapping[str, list[tuple[str, str]] | str]:
    """Read a card; of what `datasets` reads next to it, only check that it can be read."""
    try:
        text = read_text(card)
        front = FRONT_MATTER.search(text)
        matter = text if card.name != CARD else front[2] if front else ""
        check_yaml(matter)
        if card.name != CARD:
            return {}
        named = yaml.safe_load(matter)
        configs = [] if named is None else named.get("configs", [])
        _check_configs(card, configs)
        return MappingProxyType({entry["config_name"]: _entry(entry) for entry in configs})
    except InputError:
        raise
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"{card}: its front matter cannot be read ({reason}). It must be YAML in UTF-8 that "
            "lists configs, each with config_name and data_files, as a Hub card does. Correct it, "
            "or remove it: without a card, names of folders and files decide."
        ) from error


def _check_configs(card: Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError if one of `configs`, all of which `datasets` follows, leads outside."""
    for config in configs:
        folder = str(config.get("data_dir") or "")
        patterns = [pattern for _, pattern in _pairs(config.get("data_files", []), "")]
        for key, path in [("data_dir", folder), *(("data_files", one) for one in patterns)]:
            if path.count("**") > DEEPEST or not path.isprintable():
                raise InputError(
                    f"{card}: {key} {path!r} of configuration {config.get('config_name')!r} must "
                    f"be printable and have ** at most {DEEPEST} times. Write a simpler pattern."
                )
            if not stays(path):
                raise InputError(
                    f"{card}: {key} {path!r} of configuration {config.get('config_name')!r} leads "
                    "out of the data set's folder. Patterns must be relative to it, without .. and "
                    "without an address: correct or remove it."
                )


def _entry(config: dict[str, Any]) -> list[tuple[str, str]] | str:
    if "data_files" not in config and "data_dir" in config:
        return str(config["data_dir"]).strip("/")
    return _pairs(config["data_files"], "train")  # as `datasets` does with files without a split


def _pairs(data_files: object, split: str) -> list[tuple[str, str]]:
    """Return the (split, pattern) pairs of `data_files`: a pattern, a list, or some per split."""
    if isinstance(data_files, str):
        # A final ** means every file below; Python's glob would return the folders alone.
        files = f"{data_files}/*" if data_files.split("/")[-1] == "**" else data_files
        return [(split, files)]
    if isinstance(data_files, dict):
        return _pairs(data_files["path"], str(data_files.get("split", split)))
    if not isinstance(data_files, list):
        raise TypeError(data_files)
    return [pair for item in data_files for pair in _pairs(item, split)]


def _data_files(folder: Path, pattern: str = "**/*") -> list[Path]:
    try:
        return sorted(file for file in folder.glob(pattern) if _may_be_data(file, folder))
    except (ValueError, NotImplementedError, OSError) as error:
        raise InputError(
            f"{folder}: the files of the pattern {pattern!r} cannot be listed ({error}). Correct "
            "the pattern in the card, or the folder."
        ) from error


def _tables(files: list[Path]) -> list[Path]:
    """Return the parquet files, or else other tables, or else all files (e.g. images)."""
    for kind in TABLES:
        if found := [file for file in files if file.suffix in kind and file.name not in ABOUT]:
            return found
    return files


def _may_be_data(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and not {file.suffix, file.name} & NO_DATA
