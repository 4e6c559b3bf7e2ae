"""Compositions of a grid: Hydra composes each choice once, and combinations are put together.

A composition takes Hydra a tenth of a second, and a grid of twenty tasks and five methods needs a
hundred. But a task changes only the node `task`, and a method only the node `method`. The other 76
compositions therefore follow from 24 of them. A value (`seed=3`) is set after all groups are
chosen, so it needs no further composition.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from frod_bench.cells.fingerprint import backbone_fingerprint
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR
from frod_bench.config import conversion
from frod_bench.config.overrides import read_overrides
from frod_bench.config.own_files import OwnFiles
from frod_bench.config.settings import Settings

Compose = Callable[[Sequence[str]], DictConfig]
Nodes = dict[str, Any]  # name -> node at the top of a configuration
# Groups whose files set their own node alone; other groups choose between files of further groups.
SEPARATE = ("task", "method")
NODES = get_type_hints(Settings)
VALUES = [name for name, kind in NODES.items() if kind in (bool, int, str, str | None)]

Stamp = tuple[tuple[str, int, int], ...]  # path, time of change and size of each file


def register() -> None:
    """Make the schema and every resolver that `conf/` uses known to Hydra. Idempotent."""
    conversion.register()
    OmegaConf.register_new_resolver("budget_rank", _budget_rank, replace=True)


def _budget_rank(default: int, *, _root_: DictConfig, _parent_: DictConfig) -> int:
    """The rank of the adapter that the node describes: `default`, or the one that matches FRoD."""
    if not conversion.is_matched(_root_):
        return default
    from frod_bench.methods import budget  # needs torch, and only a matched rank needs it

    backbone = _root_.backbones[_root_.task.family]
    root = _root_.model_root
    backbone_fingerprint(backbone.hub_id, backbone.revision, root)  # raises if it does not exist
    return budget.matched_rank(
        backbone.hub_id if root is None else str(Path(root) / backbone.hub_id),
        backbone.revision,
        list(backbone.target_modules),
        _root_.method.sparse_rate,
        modules=_parent_.get("target_modules"),
        dora=_parent_.get("use_dora", False),
    )


@contextmanager
def composer() -> Iterator[Compose]:
    """Compose configurations outside `hydra.main`; of Hydra's own node they have what a grid reads,
    `hydra.sweeper.params`.
    """
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield Composer()


class Composer:
    """Composes the overrides of one command."""

    def __init__(self) -> None:
        self.files = OwnFiles()
        self.parts = parts_of(stamp_of_files())
        self.named: dict[str, str] = {}  # a choice -> the same with a name that Hydra knows

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of the overrides, which the caller may edit. Raises InputError as
        `OwnFiles.named`, Hydra's errors for choices that do not exist, and OmegaConf's for values
        that a key cannot have.
        """
        read = read_overrides(overrides)
        plain = all(one.type == OverrideType.CHANGE for one in read)  # else their order matters
        choices: list[Override] = []
        values: list[Override] = []
        for one in read:
            (values if plain and is_value(one) else choices).append(one)
        words = tuple(map(self._named, choices))
        config = self.parts.chosen(words)
        for one in values:
            OmegaConf.update(config, one.key_or_group, one.value(), merge=True)
        return config

    def _named(self, choice: Override) -> str:
        word = str(choice.input_line)
        if word not in self.named:
            self.named[word] = self.files.known(choice)
        return self.named[word]


class Parts:
    """What Hydra has composed, and configurations that are put together from it.

    Among combinations of choices that differ only in `SEPARATE` groups, the first one is the base.
    Any other one is the base with the nodes that each of its choices changes. If two choices change
    the same node, Hydra composes the combination instead.
    """

    def __init__(self) -> None:
        self.bases: dict[tuple[str, ...], tuple[tuple[str, ...], DictConfig]] = {}
        self.changes: dict[tuple[tuple[str, ...], int, str], Nodes] = {}  # (kind, place, word)

    def chosen(self, words: tuple[str, ...]) -> DictConfig:
        """The configuration of choices, a copy."""
        kind = tuple(group if (group := group_of(word)) in SEPARATE else word for word in words)
        if kind not in self.bases:
            self.bases[kind] = words, by_hydra(words)
        base, config = self.bases[kind]
        places = [place for place, word in enumerate(words) if word != base[place]]
        try:
            changes = [self._changes(kind, place, words[place]) for place in places]
        except (HydraException, OmegaConfBaseException):  # not a configuration by itself
            return by_hydra(words)
        names = [name for change in changes for name in change]
        if len(set(names)) < len(names):
            return by_hydra(words)
        made = deepcopy(config)
        with open_dict(made):
            for change in changes:
                for name, node in change.items():
                    made[name] = node
        return made

    def _changes(self, kind: tuple[str, ...], place: int, word: str) -> Nodes:
        """The nodes that one choice changes in the base."""
        known = self.changes.get((kind, place, word))
        if known is None:
            base, config = self.bases[kind]
            other = by_hydra((*base[:place], word, *base[place + 1 :]))
            before, after = OmegaConf.to_container(config), OmegaConf.to_container(other)
            assert isinstance(before, dict)
            assert isinstance(after, dict)
            names = [str(name) for name in after if after[name] != before[name]]
            known = {name: other._get_node(name) for name in names}
            self.changes[kind, place, word] = known
        return known


@functools.lru_cache(maxsize=1)
def parts_of(_stamp: Stamp) -> Parts:
    """What this process has composed from `conf/` with this stamp, with whichever composer."""
    return Parts()


def by_hydra(words: Sequence[str]) -> DictConfig:
    """What Hydra composes."""
    config = compose("config", list(words), return_hydra_config=True)
    with open_dict(config):
        config.hydra = {"sweeper": {"params": config.hydra.sweeper._get_node("params")}}
    return config


def group_of(word: str) -> str:
    """The group of a choice, `group=name`."""
    return word.partition("=")[0]


def stamp_of_files() -> Stamp:
    """What changes with any file that Hydra composes from: a search writes learning rates."""
    paths = [path for root in (CONF_DIR, EXPERIMENTS_DIR) for path in sorted(root.rglob("*.yaml"))]
    stats = [path.stat() for path in paths]
    return tuple(
        (str(path), stat.st_mtime_ns, stat.st_size) for path, stat in zip(paths, stats, strict=True)
    )


def is_value(override: Override) -> bool:
    """Whether an override gives a key a value, which Hydra does after it has chosen all groups."""
    key = override.key_or_group
    one = override.package is None and not override.is_sweep_override()
    return one and key not in SEPARATE and is_separate(key)


def is_separate(key: str) -> bool:
    """Whether a key is a value, or a group whose files set their own node alone."""
    root, dot, _ = key.partition(".")
    return key in SEPARATE or key in VALUES or (bool(dot) and root in NODES)


def without_hydra(config: DictConfig) -> DictConfig:
    """The configuration without Hydra's own node."""
    with open_dict(config):
        config.pop("hydra", None)
    return config
