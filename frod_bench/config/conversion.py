"""From what Hydra composed to `Settings`: resolvers (`${rate:frod.lambda}`) and conversion."""

import dataclasses
from collections.abc import Callable
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from frod_bench.common import names, paths
from frod_bench.common.errors import InputError, input_error_behind
from frod_bench.config.checks import check_recordable, check_size, tasks_of
from frod_bench.config.settings import Settings


def resolve(config: DictConfig) -> Settings:
    """The typed settings: interpolations filled in, `head=auto` replaced by the head that it stands
    for, learning rates multiplied by their factors, and none for a head if options are ranked.
    Raises InputError if the rank of a matched budget cannot be determined, if `size` is set and
    nothing reads it, and for a value that a record cannot hold.
    """
    check_size(config)
    try:
        settings: Any = OmegaConf.to_object(config)
    except InterpolationResolutionError as error:
        if (cause := input_error_behind(error)) is not None:
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
        group: rate * factors.get("all", 1.0) * factors.get(group, 1.0)
        for group, rate in method.learning_rates.items()
    }
    check_recordable(dataclasses.asdict(settings))
    return settings


CONSTANT = "_constant"  # ends the name of a family's rates without a decay


def register() -> None:
    """Make the schema and the resolvers of this module known to Hydra. Idempotent."""
    ConfigStore.instance().store(name="schema", node=Settings)
    resolvers: dict[str, Callable[..., Any]] = {
        "embedded_mirror": lambda: str(paths.embedded_mirror_dir()),
        "shipped_backbones": lambda: str(paths.SHIPPED_BACKBONES_DIR),
        "join": lambda names: ",".join(tasks_of(names)),
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
    has_options = OmegaConf.select(root, "task.rank") is not None
    return names.head_for(head, has_options=has_options) == "rank"


def is_released(root: DictConfig) -> bool:
    """Whether the rules are those of the released scripts, `protocol=paper`."""
    return OmegaConf.select(root, "protocol.name", default="fair") == "paper"


def is_matched(root: DictConfig) -> bool:
    """Whether `budget=matched`; a method's configuration alone has the default budget."""
    return OmegaConf.select(root, "budget", default="default") == "matched"


def learning_rate(*keys: str | float, _root_: DictConfig) -> float:
    """The learning rate of the first of `keys` (`pissa.adapter`, `lora.adapter`) in the profile's
    table for the task's family (`_families`); a number as the last of them is the default. A
    variant that an experiment's axes make has its own if the table does (`frod (s 0.05)`), and so
    has a method at a matched budget (`lora_matched`). Raises InputError if there is neither, or if
    the experiment has `own_rates` and there are none.
    """
    family, tables = _root_.task.family, _root_.learning_rates
    settings = varied_settings(_root_)
    for key in keys:
        if not isinstance(key, str):
            return float(key)
        method, _, group = key.partition(".")
        matched = f"{method}{names.MATCHED_ENDING}"
        base = matched if matched == _root_.method.name else method
        variant = names.with_settings(base, settings)
        for name in _families(_root_):
            of_family = (tables or {}).get(name) or {}
            for one in dict.fromkeys((variant, base, method)):
                if one != variant and _needs_own_rates(_root_):
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
