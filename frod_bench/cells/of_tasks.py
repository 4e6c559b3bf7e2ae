"""Cells that differ in their task alone, composed once for all tasks of a kind.

The rest of a configuration reads only two things of its task: the family, and whether it has
options to rank. These are its kind. A configuration is therefore the same for all tasks of a kind,
except for the task itself. There are two exceptions. First, an override or an experiment may set a
key of the task. The overrides show this, or composing a probe does: a task whose values no other
task has. Second, a setting may read another key of the task. A search of the settings for such
references shows this.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from frod_bench.cells.compose import Compose, is_separate, without_hydra
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR
from frod_bench.config import checks
from frod_bench.config.settings import Settings, TaskConfig

GROUP = "task"
# Every key of a task, at a value that is neither its default nor that of another task.
PROBE: dict[str, Any] = {
    "name": "probe",
    "family": "probe of a family",
    "hub_id": "probe/probe",
    "hub_config": "probe of a configuration",
    "revision": "probe of a revision",
    "train_split": "probe of a train split",
    "test_split": "probe of a test split",
    "extra_test_splits": {"probe": "probe of a split"},
    "input_columns": ["probe of a column"],
    "prompt": {"template": "probe of a prompt", "version": 90_001},
    "rank": {"template": "probe of a question", "version": 90_002},
    "label_column": "probe of a column of labels",
    "label_values": ["probe of a label"],
    "num_labels": 90_003,
    "rows": {"probe": 90_004},
    "metrics": ["probe of a metric"],
    "primary_metric": "probe of a metric",
}
# The only key of a task that other settings may read: it is part of the task's kind. So is whether
# there is a `rank`, but not what is in it.
OF_A_KIND = "family"
# A setting that refers to one of `grid.NUMBERS`: a user's, or one that an experiment has for each
# size. What the resolver of learning rates reads of `rate_factors` has bounds of its own.
READS_NUMBERS = re.compile(r"\$\{[^}]*\b(seed|size|by_size|rate_factors)\b")
READS_A_TASK = re.compile(rf"\b{GROUP}\b(?:\.(?!{OF_A_KIND}\b)|\[|\}})")


class Kind(NamedTuple):
    """What the rest of a configuration knows of its task."""

    family: str
    has_options: bool


class Shared:
    """A composed configuration, and the settings that it gives at each choice of numbers."""

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.resolved: dict[tuple[str, ...], Settings] = {}
        self.unresolved: Any = OmegaConf.to_container(config)
        self.reads_numbers = any(map(READS_NUMBERS.search, _texts(self.unresolved)))


class OfTasks:
    """Composes the lines of a grid, each kind of task once where that is enough."""

    def __init__(self, compose_one: Compose) -> None:
        self._compose = compose_one
        self._tasks: dict[str, TaskConfig | None] = {}
        self._probed: dict[tuple[str, ...], bool] = {}
        self._shared: dict[tuple[tuple[str, ...], Kind], Shared] = {}

    def configuration(self, words: Sequence[str]) -> tuple[Shared, TaskConfig | None]:
        """The configuration of overrides, and the task that replaces the one in it.

        None in place of a task: the configuration already has the right one. The configuration is
        validated, unless it reads one of `grid.NUMBERS`. Raises InputError for bad input.
        """
        keys = [word.partition("=")[0] for word in words]
        if keys.count(GROUP) != 1:
            return self._composed(words), None
        place = keys.index(GROUP)
        rest = (*words[:place], *words[place + 1 :])
        task = self._task(words[place].partition("=")[2])
        if task is None or not self._is_alone(rest):
            return self._composed(words), None
        key = rest, Kind(task.family, task.rank is not None)
        if (known := self._shared.get(key)) is not None:
            return known, task
        made = self._composed(words)
        if not reads_task(made.unresolved):
            self._shared[key] = made
        return made, None

    def _composed(self, words: Sequence[str]) -> Shared:
        made = Shared(without_hydra(self._compose(words)))
        if not made.reads_numbers:  # else it is checked for each of them
            checks.validate(made.config)
        return made

    def _task(self, name: str) -> TaskConfig | None:
        """A task of the suite as its file has it; None if it is not one that stands alone."""
        if name not in self._tasks:
            self._tasks[name] = read_task(name)
        return self._tasks[name]

    def _is_alone(self, rest: Sequence[str]) -> bool:
        """Whether nothing but its own file has a say in a task, with these other overrides."""
        if any(re.split("[.@=]", word.lstrip("+~"), maxsplit=1)[0] == GROUP for word in rest):
            return False
        others = tuple(word for word in rest if not is_separate(word.partition("=")[0]))
        if others not in self._probed:
            ConfigStore.instance().store(group=GROUP, name=PROBE["name"], node=PROBE)
            try:
                config = self._compose([*others, f"{GROUP}={PROBE['name']}"])
            except (InputError, HydraException, OmegaConfBaseException):
                self._probed[others] = False  # the composition of the real task says what is wrong
            else:
                self._probed[others] = OmegaConf.to_container(config.task) == plain(PROBE)
        return self._probed[others]


def read_task(name: str) -> TaskConfig | None:
    """The task in `conf/task/<name>.yaml`, checked; None if there is none, or if it depends on
    other settings. Raises InputError as `checks.validate` does.
    """
    path = CONF_DIR / GROUP / f"{name}.yaml"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    if "${" in text or "@package" in text or "defaults:" in text:
        return None
    try:
        node = OmegaConf.merge(OmegaConf.structured(TaskConfig), OmegaConf.load(path))
        checks.check_task(OmegaConf.create({GROUP: node}))
        task: Any = OmegaConf.to_object(node)
    except OmegaConfBaseException:  # Hydra says what is wrong with it, and where
        return None
    assert isinstance(task, TaskConfig)
    checks.check_recordable(asdict(task), GROUP)
    return task


def plain(task: Mapping[str, Any]) -> Any:
    """A task's node as plain values, with the defaults of keys that it lacks."""
    return OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(TaskConfig), task))


def with_task(settings: Settings, task: TaskConfig | None) -> Settings:
    """The settings of another task; None: as they are."""
    return settings if task is None else replace(settings, task=task)


def reads_task(unresolved: Mapping[str, Any]) -> bool:
    """Whether a setting outside of the task reads more of it than its kind."""
    others = {name: node for name, node in unresolved.items() if name != GROUP}
    return any(map(READS_A_TASK.search, _texts(others)))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for name, value in node.items():
            yield str(name)
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
