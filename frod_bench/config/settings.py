"""Typed configuration: every key that Hydra may set, with its type and its bounds.

The dataclasses are registered with Hydra as the schema of `conf/`, so that a misspelt key or a
value of the wrong type is refused while the configuration is composed. What a type cannot say
(ranges, names that must exist) is checked by `validate`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from frod_bench.common import names, paths
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config import callables

# What rates can be multiplied: all of a method, or that of one of the suite's parameter groups.
RATE_FACTORS = ("all", "backbone", "adapter", "bias", "lambda", "rotation", "head")


@dataclass
class ProfileConfig:
    """A complete, named setting of backbones, data root and budgets."""

    name: str = MISSING
    title: str = MISSING  # heads every table and figure, e.g. "embedded (synthetic data)"
    stand_in: bool = MISSING  # true where the data are stand-ins and not the benchmarks


@dataclass
class ProtocolConfig:
    """The rules of a comparison."""

    name: str = MISSING
    validation_percent: float = MISSING  # share of train that is carved out for validation
    curve_split: str = MISSING  # validation | test: what the curve is measured on
    selection: str = MISSING  # last | best: which step's model the final metrics are of
    metrics_split: str = MISSING  # test | validation: what the final metrics are measured on


@dataclass
class PromptConfig:
    """How a multiple-choice or yes/no question becomes one text (family `reasoning`)."""

    version: int = 1
    template: str = ""  # {column} is replaced by the row's value, {options} by the listed options
    option_columns: list[str] = field(default_factory=list)  # one column an option ...
    options_column: str | None = None  # ... or one list column, dots descend: choices.text
    option_labels_column: str | None = None  # names of the options that the label refers to
    truncate: str | None = None  # the column that gives way when the text is too long
    replace: dict[str, str] = field(default_factory=dict)  # regular expression -> what replaces it


@dataclass
class RankConfig:
    """How the question reads that options continue (`head=rank`); the rest is the prompt's."""

    version: int = 1
    template: str = ""  # as the prompt's, without {options}
    options: list[str] = field(default_factory=list)  # where rows have none: no, yes


@dataclass
class TaskConfig:
    """One benchmark: where its data are, its columns, prompt and metrics."""

    name: str = MISSING
    family: str = MISSING  # vision | reasoning | nlu
    hub_id: str = MISSING
    hub_config: str = MISSING
    revision: str | None = None  # a commit of the Hub's repository
    train_split: str = "train"
    test_split: str = MISSING  # the labelled split that is measured once
    extra_test_splits: dict[str, str] = field(default_factory=dict)  # suffix -> split
    input_columns: list[str] = field(default_factory=list)  # one or two text columns, or the image
    prompt: PromptConfig | None = None
    rank: RankConfig | None = None  # null: no multiple choice, so head=rank is refused
    label_column: str = MISSING
    label_values: list[str] | None = None  # what labels that are strings may be, in class order
    num_labels: int = MISSING  # 1: regression
    metrics: list[str] = MISSING
    primary_metric: str = MISSING


@dataclass
class BackboneConfig:
    """A pretrained model and what a method needs to know of it."""

    name: str = MISSING
    hub_id: str = MISSING
    revision: str | None = None
    pooling: str = MISSING  # first | mean | last | pooler
    max_length: int = 0  # tokens a text is cut to
    image_size: int = 0  # pixels of a side
    target_modules: list[str] = MISSING
    modules_per_block: int = MISSING  # how many of them each block holds


@dataclass
class MethodConfig:
    """How the backbone is fine-tuned."""

    name: str = MISSING
    kind: str = MISSING  # full | frozen | bitfit | peft | frod | python
    learning_rates: dict[str, float] = MISSING  # parameter group -> rate
    sparse_rate: float = 0.02  # frod: share of the off-diagonal places that are trained
    regularization: float = 1e-3  # frod: pi of the joint decomposition
    basis: str = "exact"  # frod: exact | peft
    shared_side: str = "input"  # frod: input | smaller, the side of a layer that its basis is on
    released_output: bool = False  # frod: the authors' layer, which starts at twice the weight
    # peft: `_target_` and its arguments; without target_modules the backbone's are adapted
    peft: dict[str, Any] = field(default_factory=dict)
    apply: str | None = None  # python: package.module:function, or path/to/file.py:function
    options: dict[str, Any] = field(default_factory=dict)  # python: what its function reads
    source: str | None = None  # python: SHA-256 of its function's file; filled in by a cell


@dataclass
class TrainerConfig:
    """The budget and the optimizer; all of it changes the result and is in the cell's hash."""

    max_steps: int = MISSING  # optimizer steps
    batch_rows: int = MISSING  # rows a forward pass
    accumulation_steps: int = 1
    eval_batch_rows: int = 128
    eval_every_steps: int = MISSING
    curve_rows: int | None = None  # rows of the curve's split at most; null: all
    train_rows: int | None = None  # rows of train, drawn by the seed; null: all
    test_rows: int | None = None
    schedule: str = "cosine"  # cosine | linear | constant
    warmup_percent: float = 6.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    mixed_precision: str = "no"  # no | bf16 | fp16


@dataclass
class TrackerConfig:
    """Where progress is reported besides the record."""

    name: str = MISSING  # wandb | none
    project: str = "frod_bench"
    mode: str | None = None  # null: online if the user is logged in, else offline


@dataclass
class RuntimeConfig:
    """How a cell is run on this machine; none of it changes the result."""

    jobs: int = 0  # worker processes; 0: one a core
    threads: int = 1  # threads of a worker
    device: str = "auto"  # auto | cpu | cuda | cuda:1 ...
    progress: bool = True
    checkpoint_every_steps: int = 50
    gradient_checkpointing: bool = False  # compute activations again instead of keeping them


@dataclass
class Settings:
    """One composed configuration: one cell, and how to run it."""

    profile: ProfileConfig = field(default_factory=ProfileConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    suite: Any = None
    task: TaskConfig = field(default_factory=TaskConfig)
    method: MethodConfig = field(default_factory=MethodConfig)
    backbones: dict[str, BackboneConfig] = field(default_factory=dict)  # family -> backbone
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    learning_rates: Any = None  # family -> method -> group -> rate; methods interpolate into it
    adapter_sizes: Any = None  # family -> method -> its sizes, where a profile has its own
    experiment: Any = None  # the artefact that a grid is run for: name, what its report shows
    seed: int = 0
    # classify | rank: by a new linear layer, or by the options' likelihood; auto: rank where it can
    head: str = "classify"
    budget: str = "default"  # default | matched: LoRA's and DoRA's rank trains as much as FRoD does
    trial: int = 0  # number of the learning rates that are tried, with learning_rates=trial
    # parameter group, or all -> what its learning rate is multiplied by
    rate_factors: dict[str, float] = field(default_factory=lambda: dict.fromkeys(RATE_FACTORS, 1.0))
    size: int = 0  # which of the sizes of an adapter, where an experiment lists several
    pretrained: bool = True  # false: the backbone starts from random values
    results_root: str = "results"
    data_root: str | None = None  # null: the Hub
    model_root: str | None = None  # null: the Hub
    save: str = "none"  # none | adapter
    plan_only: bool = False


def register() -> None:
    """Make the schema, and the resolvers that read the configuration alone, known to Hydra.

    Idempotent. `cells.resolvers.register` adds those that look at a backbone.
    """
    ConfigStore.instance().store(name="schema", node=Settings)
    resolvers: dict[str, Callable[..., Any]] = {
        "embedded_mirror": lambda: str(paths.embedded_mirror_dir()),
        "shipped_backbones": lambda: str(paths.SHIPPED_BACKBONES_DIR),
        "join": ",".join,
        "by_family": lambda values, *, _root_: values[_root_.task.family],
        "rate": rate,
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


def ranks(root: DictConfig) -> bool:
    """Whether options are ranked: `head=rank`, or `head=auto` on a task that has options."""
    head = OmegaConf.select(root, "head", default="classify")
    return head == "rank" or (head == "auto" and OmegaConf.select(root, "task.rank") is not None)


def rate(*keys: str | float, _root_: DictConfig) -> float:
    """The learning rate of the first of `keys` (`pissa.adapter`, `lora.adapter`) that the profile
    has in the task's family; a number at their end serves where it has none.

    Where options are ranked, that of the table `<family>_rank`, if the profile has one.
    """
    family, tables = _root_.task.family, _root_.learning_rates
    for key in keys:
        if not isinstance(key, str):
            return float(key)
        for name in ([f"{family}_rank"] if ranks(_root_) else []) + [family]:
            found = OmegaConf.select(tables, f"{name}.{key}")
            if found is not None:
                return float(found)
    raise InputError(
        f"learning_rates.{family}.{keys[0]}: is missing. Add it to the profile's table in "
        "conf/learning_rates/, or set method.learning_rates yourself."
    )


TRIALS = 64  # points of the sequence that learning rates are drawn from


def trial_rate(low: float, high: float, dimension: int, trial: int) -> float:
    """Rate in [low, high], uniform on a log scale: one coordinate of Sobol point `trial`.

    Rounded to two digits: a table of rates is for people.
    """
    from scipy.stats import qmc  # takes long to import, and only trials need it

    points = qmc.Sobol(d=4, scramble=True, rng=0).random(TRIALS)
    rate = low * (high / low) ** points[trial, dimension]
    return float(f"{rate:.1e}")


def is_matched(root: DictConfig) -> bool:
    """Whether `budget=matched`; a method's configuration alone has the default budget."""
    return OmegaConf.select(root, "budget", default="default") == "matched"


def sized(key: str, default: Any, *, _root_: DictConfig) -> Any:
    """What the profile's `adapter_sizes` say of `key` (`lora.r`) in the task's family, if anything.

    A method's configuration alone has the default.
    """
    family = OmegaConf.select(_root_, "task.family")
    return OmegaConf.select(_root_, f"adapter_sizes.{family}.{key}", default=default)


def by_size(*sizes: float, _root_: DictConfig) -> float:
    """The one of `sizes` whose number is `size`, as an experiment that compares them lists them.

    Raises InputError where there are fewer.
    """
    if _root_.size >= len(sizes):
        raise InputError(
            f"size={_root_.size}: is out of range, it must be in [0, {len(sizes) - 1}]."
        )
    return sizes[_root_.size]


CHOICES = {
    "head": ("classify", "rank", "auto"),
    "budget": ("default", "matched"),
    "protocol.curve_split": ("validation", "test"),
    "protocol.selection": ("last", "best"),
    "protocol.metrics_split": ("test", "validation"),
    "task.family": ("vision", "reasoning", "nlu"),
    "method.kind": ("full", "frozen", "bitfit", "peft", "frod", "python"),
    "method.basis": ("exact", "peft"),
    "method.shared_side": ("input", "smaller"),
    "trainer.schedule": ("cosine", "linear", "constant"),
    "trainer.mixed_precision": ("no", "bf16", "fp16"),
    "tracker.name": ("wandb", "none"),
    "save": ("none", "adapter"),
}

# key -> (lowest, highest, whether the bounds themselves are allowed)
RANGES: dict[str, tuple[float, float, bool]] = {
    "seed": (0, 2**31, True),
    "trial": (0, TRIALS - 1, True),
    "size": (0, math.inf, True),
    **{f"rate_factors.{name}": (0, math.inf, False) for name in RATE_FACTORS},
    "protocol.validation_percent": (0, 90, True),
    "method.sparse_rate": (0, 1, True),
    "method.regularization": (0, math.inf, False),
    "trainer.max_steps": (1, math.inf, True),
    "trainer.batch_rows": (1, math.inf, True),
    "trainer.accumulation_steps": (1, math.inf, True),
    "trainer.eval_batch_rows": (1, math.inf, True),
    "trainer.eval_every_steps": (1, math.inf, True),
    "trainer.curve_rows": (1, math.inf, True),
    "trainer.train_rows": (1, math.inf, True),
    "trainer.test_rows": (1, math.inf, True),
    "trainer.warmup_percent": (0, 100, True),
    "trainer.weight_decay": (0, math.inf, True),
    "trainer.clip_norm": (0, math.inf, False),
    "runtime.jobs": (0, 4096, True),
    "runtime.threads": (1, 4096, True),
    "runtime.checkpoint_every_steps": (1, math.inf, True),
}


def validate(config: DictConfig) -> None:
    """Raise InputError for a value that its type allows and its meaning does not.

    Raises ConfigKeyError for a key that `+key=value` added past the schema: a cell must not hash
    what nothing reads.
    """
    _refuse_unknown_keys(config)
    for key, choices in CHOICES.items():
        value = _value(config, key)
        if value not in choices:
            raise InputError(f"{key}={value}: is unknown." + did_you_mean(str(value), choices))
    _check_names(config)
    check_ranges(config, RANGES)
    callables.check_function(config.method.kind, config.method.apply)
    for group, rate in config.method.learning_rates.items():
        if not 0 <= rate < math.inf:
            raise InputError(
                f"method.learning_rates.{group}={rate}: must be a finite number, 0 or more."
            )
    for name in config.rate_factors:
        if name not in RATE_FACTORS:
            raise InputError(f"rate_factors.{name}: is unknown." + did_you_mean(name, RATE_FACTORS))
    if config.head == "rank" and config.task.rank is None:
        raise InputError(
            f"head=rank: task {config.task.name} of family {config.task.family} is no multiple "
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
            "must be carved out for it; set a share, or protocol.curve_split=test."
        )


def _check_names(config: DictConfig) -> None:
    """Raise InputError for a name that is to be a folder and is none, or leads elsewhere."""
    for part in ("profile", "protocol", "task", "method"):
        names.check_name(f"{part}.name", _value(config, f"{part}.name"))
    for part in ("suite", "experiment"):
        if config[part] is not None:
            names.check_name(f"{part}.name", _value(config, f"{part}.name"))
    for family in config.backbones:
        for key, check in (("name", names.check_name), ("hub_id", names.check_hub_id)):
            check(f"backbones.{family}.{key}", _value(config, f"backbones.{family}.{key}"))
    names.check_hub_id("task.hub_id", _value(config, "task.hub_id"))
    names.check_hub_config("task.hub_config", _value(config, "task.hub_config"))


def check_ranges(config: DictConfig, keys: Iterable[str]) -> None:
    """Raise InputError where one of the numbers `keys`, all in `RANGES`, is out of its range."""
    for key in keys:
        low, high, inclusive = RANGES[key]
        value = _value(config, key)
        if value is None:
            continue
        if not (low <= value <= high if inclusive else low < value < high):
            bounds = f"[{low}, {high}]" if inclusive else f"({low}, {high})"
            raise InputError(f"{key}={value}: is out of range, it must be in {bounds}.")


def typed(config: Mapping[str, Any]) -> Settings:
    """Return a resolved configuration as the dataclasses of this module."""
    merged = OmegaConf.merge(OmegaConf.structured(Settings), OmegaConf.create(dict(config)))
    settings: Settings = OmegaConf.to_object(merged)  # type: ignore[assignment]
    return settings


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, interpolations filled in.

    `head=auto` becomes what it comes to. Where options are ranked there is no head to train, so its
    rate is left out. Learning rates are multiplied by their factors. Raises InputError where the
    rank of a matched budget cannot be told.
    """
    try:
        resolved: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        if (told := _input_error_behind(error)) is not None:
            raise told from error
        raise
    resolved["head"] = "rank" if ranks(config) else "classify"
    if resolved["head"] == "rank":
        resolved["method"]["learning_rates"].pop("head", None)
    _multiply_rates(resolved)
    return resolved


def _multiply_rates(resolved: dict[str, Any]) -> None:
    """Multiply a method's rates by `rate_factors`.

    A rotation without places (`sparse_rate=0`) has no values that its rate could move: its factor
    is 1, so that a grid of factors has one cell for all of them.
    """
    method, factors = resolved["method"], resolved["rate_factors"]
    if method["kind"] == "frod" and method["sparse_rate"] == 0:
        factors["rotation"] = 1.0
    method["learning_rates"] = {
        group: rate * factors["all"] * factors.get(group, 1.0)
        for group, rate in method["learning_rates"].items()
    }


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
