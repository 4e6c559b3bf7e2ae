"""From what Hydra composed to `Settings`: checks, then the one conversion to typed values."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from frod_bench.common import names
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config import callables
from frod_bench.config.resolvers import is_ranked
from frod_bench.config.settings import RATE_FACTORS, Settings, bounds


def validate(config: DictConfig) -> None:
    """Raise InputError for a value that its type allows and its meaning does not, and
    ConfigKeyError for a key that `+key=value` added to the schema.
    """
    _refuse_unknown_keys(config)
    check_bounds(config, bounds())
    _check_names(config)
    callables.check_function(config.method.kind, config.method.apply)
    for name in config.rate_factors:
        if name not in RATE_FACTORS:
            raise InputError(f"rate_factors.{name}: is unknown." + did_you_mean(name, RATE_FACTORS))
    if config.head == "rank" and config.task.rank is None:
        raise InputError(
            f"head=rank: task {config.task.name} of family {config.task.family} is not a multiple "
            "choice. Allowed for it: classify. Set head=classify, or choose a task of "
            "suite=reasoning."
        )
    if config.task.primary_metric not in config.task.metrics:
        raise InputError(
            f"task.primary_metric={config.task.primary_metric}: is not one of task.metrics, "
            f"{', '.join(config.task.metrics)}."
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
    if config.protocol.curve_split == "validation" and not config.protocol.validation_percent:
        raise InputError(
            "protocol.validation_percent=0: the curve is measured on validation, so some of train "
            "must be split off for it; set a share, or protocol.curve_split=test."
        )


def check_bounds(config: DictConfig, keys: Iterable[str]) -> None:
    """Raise InputError if the value of one of `keys` is not within the bound on its field."""
    for key in keys:
        value, bound = _value(config, key), bounds()[key]
        values = value if isinstance(value, Mapping) else {"": value}
        for name, one in values.items():
            if one is None or one in bound:
                continue
            shown = f"{key}.{name}={one}" if name else f"{key}={one}"
            if isinstance(bound, tuple):
                raise InputError(f"{shown}: is unknown." + did_you_mean(str(one), bound))
            raise InputError(f"{shown}: is out of range, it must be in {bound}.")


def resolve(config: DictConfig) -> Settings:
    """The typed settings: interpolations filled in, `head=auto` replaced by the head that it stands
    for, learning rates multiplied by their factors, and none for a head if options are ranked.
    Raises InputError if the rank of a matched budget cannot be determined.
    """
    try:
        settings: Any = OmegaConf.to_object(config)
    except InterpolationResolutionError as error:
        if (cause := _input_error_behind(error)) is not None:
            raise cause from error
        raise
    assert isinstance(settings, Settings)
    settings.head = "rank" if is_ranked(config) else "classify"
    method, factors = settings.method, settings.rate_factors
    if settings.head == "rank":
        method.learning_rates.pop("head", None)
    if method.kind == "frod" and method.sparse_rate == 0:
        # No rotation is trained: its factor has no effect, and a grid has one cell for all of them.
        factors["rotation"] = 1.0
    method.learning_rates = {
        group: rate * factors["all"] * factors.get(group, 1.0)
        for group, rate in method.learning_rates.items()
    }
    return settings


def _check_names(config: DictConfig) -> None:
    """Raise InputError for a name that becomes a folder and cannot, or that leads elsewhere."""
    for part in ("profile", "protocol", "task", "method", "suite", "experiment"):
        if config[part] is not None:
            names.check_name(f"{part}.name", _value(config, f"{part}.name"))
    for family in config.backbones:
        for key, check in (("name", names.check_name), ("hub_id", names.check_hub_id)):
            check(f"backbones.{family}.{key}", _value(config, f"backbones.{family}.{key}"))
    names.check_hub_id("task.hub_id", _value(config, "task.hub_id"))
    names.check_hub_config("task.hub_config", _value(config, "task.hub_config"))


def _input_error_behind(error: BaseException | None) -> InputError | None:
    """What a resolver raised: OmegaConf wraps it, and keeps it as the context only."""
    while error is not None and not isinstance(error, InputError):
        error = error.__context__
    return error


def _refuse_unknown_keys(node: DictConfig, prefix: str = "") -> None:
    kind = OmegaConf.get_type(node)
    known = [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else node
    for key in map(str, node):
        if key not in known:
            raise ConfigKeyError(f"Key '{prefix}{key}' not in the schema")
        if not (OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)):
            value = node[key]
            if isinstance(value, DictConfig):
                _refuse_unknown_keys(value, f"{prefix}{key}.")


def _value(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise InputError(f"{key}: cannot be resolved ({str(error).splitlines()[0]}).") from error
