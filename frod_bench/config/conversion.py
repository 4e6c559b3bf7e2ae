"""From what Hydra composed to `Settings`: resolvers (`${rate:frod.lambda}`), checks, conversion."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from frod_bench.common import names, paths
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config import callables
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
    for key in ("max_steps", "eval_every_steps") if config.trainer.epochs is None else ():
        if config.trainer[key] == 0:
            raise InputError(
                f"trainer.{key}=0: is out of range, it must be in [1, inf) unless there are "
                "trainer.epochs."
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
        value = OmegaConf.select(config, key, throw_on_missing=True)
        return dict(value.items()) if isinstance(value, Mapping) else value
    except OmegaConfBaseException as error:
        if (cause := _input_error_behind(error)) is not None:
            raise cause from error
        raise InputError(f"{key}: cannot be resolved ({str(error).splitlines()[0]}).") from error


CONSTANT = "_constant"  # ends the name of a family's rates without a decay


def register() -> None:
    """Make the schema and the resolvers of this module known to Hydra. Idempotent."""
    ConfigStore.instance().store(name="schema", node=Settings)
    resolvers: dict[str, Callable[..., Any]] = {
        "embedded_mirror": lambda: str(paths.embedded_mirror_dir()),
        "shipped_backbones": lambda: str(paths.SHIPPED_BACKBONES_DIR),
        "join": ",".join,
        "by_protocol": lambda values, *, _root_: values.get(_root_.protocol.name, values["fair"]),
        "by_family": lambda values, *, _root_: values[_root_.task.family],
        "rate": learning_rate,
        "sized": sized,
        "by_size": by_size,
        "by_budget": lambda default, matched, *, _root_: matched if is_matched(_root_) else default,
        "budget_alpha": lambda alpha, rank, new_rank, *, _root_: (
            alpha * new_rank / rank if is_matched(_root_) else alpha
        ),
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(name, resolver, replace=True)


def is_ranked(root: DictConfig) -> bool:
    """Whether options are ranked: `head=rank`, or `head=auto` on a task that has options."""
    head = OmegaConf.select(root, "head", default="classify")
    return head == "rank" or (head == "auto" and OmegaConf.select(root, "task.rank") is not None)


def is_released(root: DictConfig) -> bool:
    """Whether the rules are those of the released scripts, `protocol=paper`."""
    return OmegaConf.select(root, "protocol.name", default="fair") == "paper"


def is_matched(root: DictConfig) -> bool:
    """Whether `budget=matched`; a method's configuration alone has the default budget."""
    return OmegaConf.select(root, "budget", default="default") == "matched"


def learning_rate(*keys: str | float, _root_: DictConfig) -> float:
    """The learning rate of the first of `keys` (`pissa.adapter`, `lora.adapter`) in the profile's
    table for the task's family (`_families`); a number as the last of them is the default. A
    variant that an experiment's axes make has its own if the table does (`frod (s 0.05)`). Raises
    InputError if there is neither, or if the experiment has `own_rates` and there are none.
    """
    family, tables = _root_.task.family, _root_.learning_rates
    settings = varied_settings(_root_)
    for key in keys:
        if not isinstance(key, str):
            return float(key)
        method, _, group = key.partition(".")
        variant = names.with_settings(method, settings)
        for name in _families(_root_):
            of_family = (tables or {}).get(name) or {}
            for one in dict.fromkeys((variant, method)):
                if one == method != variant and _needs_own_rates(_root_):
                    continue
                found = (of_family.get(one) or {}).get(group)
                if found is not None:
                    return float(found)
    if _needs_own_rates(_root_) and (settings or is_constant(_root_)):
        experiment = _root_.experiment.name
        search = "tune_constant" if is_constant(_root_) else experiment
        raise InputError(
            f"learning_rates.{_families(_root_)[0]}: has none for {variant}, and "
            f"experiment={experiment} compares each at its own. Search them first: frod-bench tune "
            f"experiment={search} out=conf/learning_rates"
        )
    raise InputError(
        f"learning_rates.{family}.{keys[0]}: is missing. Add it to the profile's table in "
        "conf/learning_rates/, or set method.learning_rates yourself."
    )


def _families(root: DictConfig) -> list[str]:
    """The names under which a table has a family's rates, the most special first: `_released` under
    `protocol=paper`, `_rank` if options are ranked, and these with `_constant` if the learning rate
    does not decay (alone, for an experiment with `own_rates`).
    """
    family = root.task.family
    found = [f"{family}_rank", family] if is_ranked(root) else [family]
    if is_released(root):
        return [f"{family}_released", *found]
    if not is_constant(root):
        return found
    constant = f"{found[0]}{CONSTANT}"
    return [constant] if _needs_own_rates(root) else [constant, *found]


def is_constant(root: DictConfig) -> bool:
    """Whether the learning rate does not decay."""
    return OmegaConf.select(root, "trainer.schedule") == "constant"


def varied_settings(root: DictConfig) -> str:
    """The settings that the experiment varies for the method, as `Cell.variant` spells them."""
    axes = OmegaConf.select(root, "experiment.axes") or {}
    named = axes.get(root.method.name, axes.get("*")) or {}
    values = ((name, OmegaConf.select(root, key)) for name, key in named.items())
    return names.settings_text(pair for pair in values if pair[1] is not None)


def _needs_own_rates(root: DictConfig) -> bool:
    """Whether a variant may not run at its method's rates; a search finds them."""
    own = bool(OmegaConf.select(root, "experiment.own_rates", default=False))
    return own and OmegaConf.select(root, "protocol.name") != "tune"


def sized(key: str, default: Any, *, _root_: DictConfig) -> Any:
    """The profile's value of `key` (`lora.r`) for the task's family, else `default`."""
    family = OmegaConf.select(_root_, "task.family")
    return OmegaConf.select(_root_, f"adapter_sizes.{family}.{key}", default=default)


def by_size(*sizes: float, _root_: DictConfig) -> float:
    """`sizes[size]`, of an experiment that compares sizes. Raises InputError if there are fewer."""
    if _root_.size >= len(sizes):
        raise InputError(
            f"size={_root_.size}: is out of range, it must be in [0, {len(sizes) - 1}]."
        )
    return sizes[_root_.size]
