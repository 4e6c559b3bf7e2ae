"""OmegaConf resolvers, which `conf/` calls, e.g. `${rate:frod.lambda}`. They read the configuration
alone; `cells.grid.register` adds the one that reads a backbone.
"""

from collections.abc import Callable
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from frod_bench.common import paths
from frod_bench.common.errors import InputError
from frod_bench.config.settings import TRIALS, Settings


def register() -> None:
    """Make the schema and the resolvers of this module known to Hydra. Idempotent."""
    ConfigStore.instance().store(name="schema", node=Settings)
    resolvers: dict[str, Callable[..., Any]] = {
        "embedded_mirror": lambda: str(paths.embedded_mirror_dir()),
        "shipped_backbones": lambda: str(paths.SHIPPED_BACKBONES_DIR),
        "join": ",".join,
        "by_family": lambda values, *, _root_: values[_root_.task.family],
        "rate": learning_rate,
        "trial_rate": lambda low, high, dimension, *, _root_: trial_rate(
            low, high, dimension, _root_.trial
        ),
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


def is_matched(root: DictConfig) -> bool:
    """Whether `budget=matched`; a method's configuration alone has the default budget."""
    return OmegaConf.select(root, "budget", default="default") == "matched"


def learning_rate(*keys: str | float, _root_: DictConfig) -> float:
    """The learning rate of the first of `keys` (`pissa.adapter`, `lora.adapter`) in the profile's
    table for the task's family, `<family>_rank` first if options are ranked; a number as the last
    of them is the default. Raises InputError if there is neither.
    """
    family, tables = _root_.task.family, _root_.learning_rates
    for key in keys:
        if not isinstance(key, str):
            return float(key)
        for name in ([f"{family}_rank"] if is_ranked(_root_) else []) + [family]:
            found = OmegaConf.select(tables, f"{name}.{key}")
            if found is not None:
                return float(found)
    raise InputError(
        f"learning_rates.{family}.{keys[0]}: is missing. Add it to the profile's table in "
        "conf/learning_rates/, or set method.learning_rates yourself."
    )


def trial_rate(low: float, high: float, dimension: int, trial: int) -> float:
    """A learning rate in [low, high], uniform on a log scale: a coordinate of Sobol point `trial`,
    rounded to two digits, because people read tables of learning rates.
    """
    from scipy.stats import qmc  # takes long to import, and only trials need it

    points = qmc.Sobol(d=4, scramble=True, rng=0).random(TRIALS)
    drawn = low * (high / low) ** points[trial, dimension]
    return float(f"{drawn:.1e}")


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
