"""Which files of a data set's snapshot make up a configuration, and which of them a split.

The card (README.md) lists them in its front matter. Where it lists no configurations, or there is
no card, the names of files and folders tell: those in the folder named after the configuration, or
all where they name none. A configuration that is not there is refused, never stood in for.

`splits` are the names that a task gives to its splits: a file or folder of such a name is that
split, whatever else the name might say (`my_train` is then no configuration `my`).

A card is data from elsewhere: patterns and folders that lead out of the snapshot are refused. What
they match may be a link to a place outside, as every file of a Hub cache is.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from frod_bench.common.errors import InputError, Lack, MissingInputError
from frod_bench.common.names import stays

CARD = "README.md"
ANY_PARQUET = "**/*.parquet"
DATA = "data"  # a folder of this name says nothing of what is in it
NO_DATA = {".md", ".gitattributes", ".gitignore", "LICENSE"}  # names or suffixes
ABOUT = {"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json"}
TABLES = ({".parquet"}, {".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".arrow"})
_WORDS = "training|train|validation|valid|val|dev|testing|test|evaluation|eval|extra"
# rte_train, validation_matched-00000-of-00001: a configuration, perhaps, and a split.
_NAME = re.compile(
    rf"(?:(?P<config>.+)[-._ ])?(?P<split>(?:{_WORDS})(?:_[A-Za-z]+)*)(?:[-._ 0-9].*)?"
)


@dataclass(frozen=True)
class Place:
    """Where the files of a configuration are."""

    folder: str  # its path in the snapshot; "" is the snapshot itself
    files: list[Path]  # sorted
    alone: bool = True  # whether no other configuration's files are in the folder


def split_names(train: str, test: str, extra_tests: Mapping[str, str]) -> list[str]:
    """The splits that a task reads, each once, train first."""
    return list(dict.fromkeys((train, test, *extra_tests.values())))


def data_patterns(folder: Path, hub_config: str) -> list[str]:
    """Patterns of the files of a configuration, as the card lists them: none if it lists other
    configurations only, any parquet file if it lists nothing.

    Raises InputError where the front matter cannot be read, or leads out of the snapshot.
    """
    configs = _listed(folder)
    if not configs:
        return [ANY_PARQUET]
    entry = configs.get(hub_config, [])
    return [f"{entry}/**/*"] if isinstance(entry, str) else [pattern for _, pattern in entry]


def files_of(folder: Path, hub_config: str, splits: Collection[str] = ()) -> list[Path]:
    """The files of a configuration, sorted; none where they are absent.

    Raises InputError where the snapshot has other configurations only.
    """
    return place_of(folder, hub_config, splits).files


def is_listed(folder: Path) -> bool:
    """Whether a card lists configurations."""
    return bool(_listed(folder))


def place_of(folder: Path, hub_config: str, splits: Collection[str] = ()) -> Place:
    """Where the files of a configuration are; no files where the snapshot lacks them.

    Raises InputError where the snapshot has other configurations only.
    """
    configs = _listed(folder)
    if not configs:
        return _unlisted(folder, hub_config, splits)
    if hub_config not in configs:
        raise _absent(folder, hub_config, configs)
    entry = configs[hub_config]
    if isinstance(entry, str):
        return Place(entry, _data_files(folder / entry))
    found = {file for _, pattern in entry for file in _matching(folder, pattern)}
    return Place("", sorted(found), alone=False)


def split_files(
    folder: Path, hub_config: str, splits: Collection[str] = ()
) -> dict[str, list[str]]:
    """Split -> its files, relative to the snapshot, by what the card lists, or else by their names.

    A sample of a snapshot may lack some that are listed. By name are found `<split>.parquet`,
    `<split>-*.parquet` and `<split>/*.parquet`, and tables of other kinds that are no folder's;
    the split is the whole word: `datasets` itself would take `validation_matched` for `validation`.
    """
    found: dict[str, list[str]] = {}
    entry = _listed(folder).get(hub_config, "")
    for split, pattern in [] if isinstance(entry, str) else entry:
        if names := [file.relative_to(folder).as_posix() for file in _matching(folder, pattern)]:
            found.setdefault(split, []).extend(sorted(names))
    if not isinstance(entry, str):
        return found
    place = place_of(folder, hub_config, splits)
    for file in _tables(place.files):
        name, in_folder = _name(file, folder / place.folder)
        split = _told(name, splits)[1]
        # What lies beside pictures in a split's folder describes them, and is not the split.
        if split and not (in_folder and file.suffix != ".parquet"):
            found.setdefault(split, []).append(file.relative_to(folder).as_posix())
    return found


def _unlisted(folder: Path, hub_config: str, splits: Collection[str]) -> Place:
    """`place_of` without a card: by the names of folders and files."""
    for own in (hub_config, f"{DATA}/{hub_config}"):
        if files := _data_files(folder / own):
            return Place(own, files)
    found: dict[str, list[Path]] = {}
    for file in _tables(_data_files(folder)):
        found.setdefault(_config_of(file, folder, splits), []).append(file)
    if hub_config in found:
        return Place("", found[hub_config], alone=len(found) == 1)
    if not found.keys() - {""}:
        return Place("", _data_files(folder))
    if len(found) > 1 or hub_config != "default":
        raise _absent(folder, hub_config, found.keys() - {""})
    (only,) = found
    places = [place for place in (only, f"{DATA}/{only}") if (folder / place).is_dir()]
    place = places[0] if places else ""  # no folder: the files themselves are called so
    return Place(place, _data_files(folder / place))


def _config_of(file: Path, folder: Path, splits: Collection[str]) -> str:
    """The configuration that a file's place in a snapshot names; "" where it names none."""
    name, in_folder = _name(file, folder)
    config, split = _told(name, splits)
    if split:
        return "" if config == folder.name else config  # glue_train in glue says nothing
    return name if in_folder else ""


def _told(name: str, splits: Collection[str]) -> tuple[str, str]:
    """The configuration and the split that a name tells; empty where it tells none."""
    for split in sorted(splits, key=len, reverse=True):
        if re.fullmatch(rf"{re.escape(split)}(?:[-. ].*)?", name):
            return "", split
    match = _NAME.fullmatch(name)
    return (match["config"] or "", match["split"]) if match else ("", "")


def _name(file: Path, base: Path) -> tuple[str, bool]:
    """What tells of a file below `base`: the uppermost folder's name, or its own, and which."""
    parts = file.relative_to(base).parts
    parts = parts[1:] if parts[0] == DATA and len(parts) > 1 else parts
    return (parts[0], True) if len(parts) > 1 else (Path(parts[0]).stem, False)


def _absent(folder: Path, hub_config: str, found: Iterable[str]) -> InputError:
    names = sorted(map(str, found))
    advice = (
        f"It has: {', '.join(names)}. Set task.hub_config={names[0] if len(names) == 1 else 'NAME'}"
        " if that is the same under another name, or bring its files: a folder named after it, "
        "and a line in the card where that lists any, as `python -m frod_bench.mirror` writes them."
    )
    return MissingInputError([Lack(str(folder), f"configuration {hub_config!r}", advice)])


def _listed(folder: Path) -> dict[str, list[tuple[str, str]] | str]:
    """Configuration -> its (split, pattern) pairs, or the folder that holds its files."""
    card = folder / CARD
    if not card.is_file():
        return {}
    parts = card.read_text(encoding="utf-8").split("---", 2)
    try:
        front = yaml.safe_load(parts[1]) if len(parts) == 3 else None
        configs = (front or {}).get("configs", [])
        _check_configs(card, configs)
        return {entry["config_name"]: _entry(entry) for entry in configs}
    except InputError:
        raise
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{card}: its front matter cannot be read ({type(error).__name__}). It must list "
            "configs, each with config_name and data_files, as a Hub card does."
        ) from error


def _check_configs(card: Path, configs: Iterable[Mapping[str, Any]]) -> None:
    """Raise InputError if a pattern or a folder in a card's `configs` leads out of the snapshot.

    All of them are looked at: `datasets` follows those of other configurations too.
    """
    for config in configs:
        folder = config.get("data_dir")
        patterns = [pattern for _, pattern in _pairs(config.get("data_files", []), "")]
        for key, path in [("data_dir", folder or ""), *(("data_files", one) for one in patterns)]:
            if not stays(str(path)):
                raise InputError(
                    f"{card}: {key} {path!r} of configuration {config.get('config_name')!r} leads "
                    "out of the data set's folder. Patterns must be relative to it, without .. and "
                    "without an address: write one that names files in it, or take it out."
                )


def _entry(config: dict[str, Any]) -> list[tuple[str, str]] | str:
    if "data_files" not in config and "data_dir" in config:
        return str(config["data_dir"]).strip("/")
    return _pairs(config["data_files"], "train")  # what `datasets` calls files without a split


def _pairs(data_files: object, split: str) -> list[tuple[str, str]]:
    """The (split, pattern) pairs of a card's `data_files`: one pattern, a list, or some a split."""
    if isinstance(data_files, str):
        # At the end ** means every file below; Python's glob would give the folders alone.
        files = f"{data_files}/*" if data_files.split("/")[-1] == "**" else data_files
        return [(split, files)]
    if isinstance(data_files, dict):
        return _pairs(data_files["path"], str(data_files.get("split", split)))
    if not isinstance(data_files, list):
        raise TypeError(data_files)
    return [pair for item in data_files for pair in _pairs(item, split)]


def _matching(folder: Path, pattern: str) -> list[Path]:
    return [file for file in folder.glob(pattern) if _may_be_data(file, folder)]


def _data_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if _may_be_data(file, folder))


def _tables(files: list[Path]) -> list[Path]:
    """The parquet files, or else those of other tables, or else all: pictures, say."""
    for kind in TABLES:
        if found := [file for file in files if file.suffix in kind and file.name not in ABOUT]:
            return found
    return files


def _may_be_data(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and not {file.suffix, file.name} & NO_DATA
