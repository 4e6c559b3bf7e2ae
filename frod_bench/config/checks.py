"""Checks of a composed configuration that the types of its schema cannot express. None of them
reads a row or a weight, so that bad input is refused before anything slow begins.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from frod_bench.common import names, paths, secrets
from frod_bench.common.errors import InputError, did_you_mean, input_error_behind
from frod_bench.config import callables
from frod_bench.config.launchers import check_launcher
from frod_bench.config.settings import MOST, RATE_FACTORS, Range, bounds, keys
from frod_bench.records.schema import LARGEST


def validate(config: DictConfig) -> None:
    """Raise InputError for a value that its type allows and its meaning does not, and
    ConfigKeyError for a key that `+key=value` added to the schema.
    """
    _refuse_unknown_keys(config)
    _check_references(config, config)
    _check_tables(config)  # before the values that are read from them
    check_bounds(config, bounds())
    _check_names(config)
    _check_places(config)
    callables.check_function(config.method.kind, config.method.apply)
    check_launcher(config)
    for name in config.rate_factors:
        if name not in RATE_FACTORS:
            raise InputError(f"rate_factors.{name}: is unknown." + did_you_mean(name, RATE_FACTORS))
    if config.head == "rank" and config.task.rank is None:
        raise InputError(
            f"head=rank: task {config.task.name} of family {config.task.family} is not a multiple "
            "choice. Allowed for it: classify. Set head=classify, or choose a task of "
            "suite=reasoning."
        )
    for key in ("max_steps", "eval_every_steps") if config.trainer.epochs is None else ():
        if config.trainer[key] == 0:
            raise InputError(
                f"trainer.{key}=0: is out of range, it must be in [1, {MOST}] unless there are "
                "trainer.epochs."
            )
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", config.runtime.device):
        raise InputError(
            f"runtime.device={config.runtime.device}: must be auto, cpu, cuda or cuda:N."
        )
    if config.task.family not in config.backbones:
        raise InputError(
            f"profile={config.profile.name}: has no backbone for the family {config.task.family}; "
            f"add one with +backbone@backbones.{config.task.family}=NAME."
        )
    protocol = config.protocol
    measured = {"curve_split": protocol.curve_split, "metrics_split": protocol.metrics_split}
    on_validation = [key for key, split in measured.items() if split == "validation"]
    if on_validation and not protocol.validation_percent:
        raise InputError(
            f"protocol.validation_percent=0: {on_validation[0]} is validation, so some of train "
            f"must be split off for it. Set a share, or protocol.{on_validation[0]}=test."
        )


def check_bounds(config: DictConfig, keys: Iterable[str]) -> None:
    """Raise InputError if the value of one of `keys`, of `bounds()`, is not within its bound."""
    for pattern in keys:
        parent, star, rest = pattern.partition("*")
        entries = _value(config, parent[:-1]) if star else ("",)
        for key in (f"{parent}{entry}{rest}" for entry in entries):
            value = _value(config, key)
            for name, one in value.items() if isinstance(value, Mapping) else (("", value),):
                _check_bound(f"{key}.{name}" if name else key, one, bounds()[pattern])


def _check_bound(key: str, value: Any, bound: Range | tuple[str, ...]) -> None:
    if value is None or value in bound:
        return
    if isinstance(bound, tuple):
        raise InputError(f"{key}={value}: is unknown." + did_you_mean(str(value), bound))
    raise InputError(f"{key}={value}: is out of range, it must be in {bound}.")


def _check_names(config: DictConfig) -> None:
    """Raise InputError for a name that becomes a folder and cannot, or that leads elsewhere."""
    for part in ("profile", "protocol", "task", "method", "suite", "experiment"):
        if config[part] is not None:
            names.check_name(f"{part}.name", _value(config, f"{part}.name"))
    for family in config.backbones:
        for key, check in (("name", names.check_name), ("hub_id", names.check_hub_id)):
            check(f"backbones.{family}.{key}", _value(config, f"backbones.{family}.{key}"))
    _check_origin(config)


def _check_origin(config: DictConfig) -> None:
    """Raise InputError unless a task's data set can be one on the Hub."""
    names.check_hub_id("task.hub_id", _value(config, "task.hub_id"))
    names.check_hub_config("task.hub_config", _value(config, "task.hub_config"))


def check_task(config: DictConfig) -> None:
    """What `validate` checks of the node `task`, of a configuration that may have no other."""
    check_bounds(config, [key for key in bounds() if key.startswith("task.")])
    names.check_name("task.name", _value(config, "task.name"))
    _check_origin(config)


def _check_places(config: DictConfig) -> None:
    """Raise InputError for texts that no folder, and no title of a page, can have."""
    for key in ("results_root", "data_root", "model_root"):
        if (value := _value(config, key)) is not None:
            paths.check_path(key, value)
    if not (title := _value(config, "profile.title")).strip() or not title.isprintable():
        raise InputError(
            f"profile.title={title!r}: must be printable text in one line, since tables and "
            "figures begin with it. Write such a title."
        )
    if config.method.source is not None:
        raise InputError(
            f"method.source={config.method.source}: is the SHA-256 of the function's file, which "
            "the suite computes. Leave it out."
        )


def _check_tables(config: DictConfig) -> None:
    """Raise InputError unless the tables that methods read map families to methods to numbers, and
    the suite has tasks.
    """
    for key in ("learning_rates", "adapter_sizes"):
        _check_table(key, config[key], levels=3)
    if (suite := config.suite) is not None:
        tasks_of(suite.get("tasks") if isinstance(suite, DictConfig) else None)


def _check_table(key: str, node: Any, levels: int) -> None:
    """Raise InputError unless a node is a mapping of mappings, so many `levels` deep, or null."""
    if node is None or levels == 0:
        return
    if not isinstance(node, DictConfig):
        raise InputError(
            f"{key}={node}: must be a mapping, of families to methods to their numbers. See the "
            f"files of conf/{key.partition('.')[0]}/."
        )
    for name in node:
        _check_table(f"{key}.{name!s}", node[name], levels - 1)


def tasks_of(names: Any) -> list[str]:
    """The tasks of a suite. Raises InputError unless they are a list of names."""
    if isinstance(names, ListConfig) and names and all(isinstance(name, str) for name in names):
        return list(names)
    raise InputError(
        f"suite.tasks={names}: must be a list of the names of tasks, e.g. suite.tasks=[rte,cola]. "
        "One task is named by task=rte."
    )


def check_size(config: DictConfig) -> None:
    """Raise InputError if `size` is set, and no setting reads it."""
    readers = (config.method, config.adapter_sizes)
    if config.size and not any("${by_size:" in OmegaConf.to_yaml(one or {}) for one in readers):
        raise InputError(
            f"size={config.size}: is read by no setting, since this experiment lists no sizes. "
            "Leave it out, or name one that does, e.g. experiment=budget_curve."
        )


def check_recordable(value: Any, key: str = "", hidden: re.Pattern[str] | None = None) -> None:
    """Raise InputError unless a value is of what a record can hold: numbers that are finite and not
    huge, text in UTF-8 without secrets (`hidden`: what these look like), and lists and mappings of
    these with such texts as keys.
    """
    hidden = hidden or secrets.pattern()
    problem = ""
    if isinstance(value, Mapping):
        for name, one in value.items():
            if not isinstance(name, str):
                raise InputError(
                    f"{key}.{name}: a key must be text, and this is of type {type(name).__name__}. "
                    f"Put it in quotes, {key}={{'{name}': ...}}."
                )
            if name not in _names_of_keys():
                secrets.refuse(key, name, hidden)
            if not _is_utf8(name):
                raise InputError(f"{key}.{name!a}: must be text in UTF-8. Give it another name.")
            check_recordable(one, f"{key}.{name}" if key else name, hidden)
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            check_recordable(one, f"{key}.{index}", hidden)
    elif isinstance(value, str):
        secrets.refuse(key, value, hidden)
        problem = "" if _is_utf8(value) else "must be text in UTF-8"
    elif isinstance(value, float) and not math.isfinite(value):
        problem = "must be a finite number"
    elif isinstance(value, int) and abs(value) > LARGEST:
        problem = f"must be a number of at most {LARGEST:g}"
    elif not isinstance(value, bool | int | float | None):
        problem = "must be a number, a text, a list or a mapping"
    if problem:
        shown = repr(value)[:80]
        raise InputError(f"{key}={shown}: {problem}. Give it another value, or leave it out.")


@functools.cache
def _names_of_keys() -> frozenset[str]:
    """The names in the schema's keys: they are ours, whatever secrets the environment has."""
    return frozenset(name for key in keys() for name in key.split("."))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_unknown_keys(node: DictConfig, prefix: str = "") -> None:
    kind = OmegaConf.get_type(node)
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else None
    known = None if fields is None else [field.name for field in fields]
    keys: list[Any] = list(node)
    for key in keys:
        if known is not None and key not in known:
            raise ConfigKeyError(f"Key '{prefix}{key}' not in the schema")
        if not (OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)):
            value = node[key]
            if isinstance(value, DictConfig):
                _refuse_unknown_keys(value, f"{prefix}{key}.")


def _check_references(config: DictConfig, node: DictConfig, prefix: str = "") -> None:
    """Raise InputError if the place of a mapping or a list refers to what it cannot hold,
    `runtime=${seed}`: types check what a reference stands for only where it is one value.
    """
    for key in list(node.keys()):
        inner, place = node._get_node(key), f"{prefix}{key!s}"
        if not isinstance(inner, DictConfig | ListConfig) or inner._is_missing():
            continue
        if inner._is_interpolation():
            if not _holds(inner, _value(config, place)):
                kind = "mapping" if isinstance(inner, DictConfig) else "list"
                raise InputError(
                    f"{place}={inner._value()}: must refer to a {kind} that can be its value. Set "
                    "it, or leave it as it is."
                )
        elif isinstance(inner, DictConfig) and not inner._is_none():
            _check_references(config, inner, f"{place}.")


def _holds(place: DictConfig | ListConfig, value: Any) -> bool:
    """Whether a mapping's or a list's place can have a value, by its type in the schema."""
    about = place._metadata
    if value is None:
        return about.optional
    if isinstance(place, ListConfig):
        empty: Any = ListConfig([], element_type=about.element_type)
        return isinstance(value, ListConfig | list) and _merges(empty, value)
    if not isinstance(value, Mapping):
        return False
    if dataclasses.is_dataclass(about.ref_type):
        return _merges(OmegaConf.structured(about.ref_type), value)
    types = {"key_type": about.key_type, "element_type": about.element_type}
    return _merges(DictConfig({}, **types), value)


def _merges(empty: DictConfig | ListConfig, value: Any) -> bool:
    try:
        OmegaConf.merge(empty, value)
    except (OmegaConfBaseException, ValueError, TypeError):
        return False
    return True


def _value(config: DictConfig, key: str) -> Any:
    try:
        value = OmegaConf.select(config, key, throw_on_missing=True)
        return dict(value.items()) if isinstance(value, Mapping) else value
    except OmegaConfBaseException as error:
        if (cause := input_error_behind(error)) is not None:
            raise cause from error
        reason = str(error).splitlines()[0]
        raise InputError(f"{key}: cannot be resolved ({reason}). Give it a value.") from error
