"""Compositions of a grid: Hydra composes each choice once, and combinations are put together.

A composition takes Hydra a tenth of a second, and a grid of twenty tasks and five methods has a
hundred. But a task changes the node `task` alone, and a method the node `method`: so 24 of them
say what the other 76 are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from frod_bench.cells.fingerprint import backbone_fingerprint
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import conversion
from frod_bench.config.own_files import OwnFiles
from frod_bench.config.settings import Settings

Compose = Callable[[Sequence[str]], DictConfig]
Nodes = dict[str, Any]  # name -> node at the top of a configuration
# Groups whose files set their own node alone; other groups choose between files of further groups.
SEPARATE = ("task", "method")
NODES = get_type_hints(Settings)
VALUES = [name for name, kind in NODES.items() if kind in (bool, int, str, str | None)]


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
    """Compose configurations outside `hydra.main`. The first one of its keys has Hydra's node."""
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield Composer()


class Composer:
    """Composes overrides, from parts where it can.

    Of overrides with the same keys the first are the base. A combination that differs from it in
    several of them is the base with the nodes that each one changes, if no node is changed by two.
    """

    def __init__(self) -> None:
        self.files = OwnFiles()
        self.bases: dict[tuple[str, ...], tuple[tuple[str, ...], DictConfig]] = {}
        self.changes: dict[tuple[tuple[str, ...], int, str], Nodes] = {}  # (keys, place, word)

    def __call__(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of the overrides, which the caller may edit."""
        words = tuple(overrides)
        keys = tuple(word.partition("=")[0] for word in words)
        if keys not in self.bases:
            config = self._by_hydra(words)
            self.bases[keys] = words, without_hydra(deepcopy(config))
            return config
        base, config = self.bases[keys]
        places = [place for place, word in enumerate(words) if word != base[place]]
        if not places or not all(is_separate(keys[place]) for place in places):
            return self._by_hydra(words)
        try:
            changes = [self._changes(keys, place, words[place]) for place in places]
        except (HydraException, OmegaConfBaseException):  # not a configuration by itself
            return self._by_hydra(words)
        names = [name for change in changes for name in change]
        if len(set(names)) < len(names):
            return self._by_hydra(words)
        made = deepcopy(config)
        with open_dict(made):
            for change in changes:
                for name, node in change.items():
                    made[name] = node
        return made

    def _by_hydra(self, words: Sequence[str]) -> DictConfig:
        return compose("config", self.files.named(words), return_hydra_config=True)

    def _changes(self, keys: tuple[str, ...], place: int, word: str) -> Nodes:
        """The nodes that one override changes in the base."""
        known = self.changes.get((keys, place, word))
        if known is None:
            base, config = self.bases[keys]
            other = without_hydra(self._by_hydra((*base[:place], word, *base[place + 1 :])))
            before, after = OmegaConf.to_container(config), OmegaConf.to_container(other)
            assert isinstance(before, dict)
            assert isinstance(after, dict)
            names = [str(name) for name in after if after[name] != before[name]]
            known = {name: other._get_node(name) for name in names}
            self.changes[keys, place, word] = known
        return known


def is_separate(key: str) -> bool:
    """Whether a key is a value, or a group whose files set their own node alone."""
    root, dot, _ = key.partition(".")
    return key in SEPARATE or key in VALUES or (bool(dot) and root in NODES)


def without_hydra(config: DictConfig) -> DictConfig:
    """The configuration without Hydra's own node."""
    with open_dict(config):
        config.pop("hydra", None)
    return config
