"""The schema of the configuration: every key that Hydra may set, with its type, which Hydra checks,
and its bounds, which `checks.validate` checks.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import MISSING

from frod_bench.common.names import HEADS

# What learning rates can be multiplied: all of a method's, or that of one parameter group.
RATE_FACTORS = ("all", "backbone", "adapter", "bias", "lambda", "rotation", "head")
POOLINGS = ("first", "last", "mean", "pooler")
MOST = 2**31  # of rows, steps, tokens or pixels; counters of this size fit every library's integers


@dataclass(frozen=True)
class Range:
    """The numbers between two ends, the ends included unless they are open or infinite."""

    low: float
    high: float
    open_ends: bool

    def __contains__(self, value: float) -> bool:
        if self.open_ends:
            return self.low < value < self.high
        return self.low <= value <= self.high and math.isfinite(value)

    def __str__(self) -> str:
        left = "(" if self.open_ends else "["
        right = ")" if self.open_ends or self.high == math.inf else "]"
        return f"{left}{self.low}, {self.high}{right}"


def within(low: float, high: float = math.inf, *, open_ends: bool = False, **default: Any) -> Any:
    """A field for numbers in a range, or for a dict of such numbers; missing without a default."""
    return _bounded(Range(low, high, open_ends), default)


def one_of(*choices: str, **default: Any) -> Any:
    """A field for one of `choices`; missing without a default."""
    return _bounded(choices, default)


def _bounded(bound: Range | tuple[str, ...], default: dict[str, Any]) -> Any:
    return field(**(default or {"default": MISSING}), metadata={"bound": bound})


@dataclass
class ProfileConfig:
    """A complete, named setting of backbones, data root and budgets."""

    name: str = MISSING
    title: str = MISSING  # of every table and figure, e.g. "embedded (synthetic data)"
    stand_in: bool = MISSING  # true if the data are synthetic and not the benchmarks


@dataclass
class ProtocolConfig:
    """The rules of a comparison."""

    name: str = MISSING
    validation_percent: float = within(0, 90)  # share of train that is split off for validation
    curve_split: str = one_of("validation", "test")  # on which the curve is measured
    selection: str = one_of("last", "best")  # the step whose model the final metrics are of
    metrics_split: str = one_of("test", "validation")  # on which the final metrics are measured
    decay: str = one_of("start", "zero", default="start")  # method.decay of FRoD


@dataclass
class PromptConfig:
    """How a multiple-choice or yes/no question becomes one text (family `reasoning`)."""

    version: int = 1
    template: str = ""  # {column} is replaced by the row's value, {options} by the listed options
    option_columns: list[str] = field(default_factory=list)  # one column per option ...
    options_column: str | None = None  # ... or one column of lists; dots descend: choices.text
    option_labels_column: str | None = None  # names of the options that the label refers to
    truncate: str | None = None  # the column that is cut if the text is too long
    replace: dict[str, str] = field(default_factory=dict)  # regular expression -> replacement


@dataclass
class RankConfig:
    """The question that the options continue (`head=rank`); all else is the prompt's."""

    version: int = 1
    template: str = ""  # as the prompt's, without {options}
    options: list[str] = field(default_factory=list)  # for rows without options: no, yes


@dataclass
class TaskConfig:
    """One benchmark: location of its data, its columns, prompt and metrics."""

    name: str = MISSING
    family: str = one_of("vision", "reasoning", "nlu")
    hub_id: str = MISSING
    hub_config: str = MISSING
    revision: str | None = None  # a commit of the Hub's repository
    train_split: str = "train"
    test_split: str = MISSING  # the labelled split that is evaluated once
    extra_test_splits: dict[str, str] = field(default_factory=dict)  # suffix -> split
    input_columns: list[str] = field(default_factory=list)  # one or two text columns, or the image
    prompt: PromptConfig | None = None
    rank: RankConfig | None = None  # null: not a multiple choice, head=rank is refused
    label_column: str = MISSING
    label_values: list[str] | None = None  # values of labels that are strings, in class order
    num_labels: int = within(1, 100_000)  # 1: regression
    # rows of the public data set's splits, `train` and `test`; estimates of cost alone read them
    rows: dict[str, int] = within(1, MOST, default_factory=dict)
    metrics: list[str] = MISSING
    primary_metric: str = MISSING


@dataclass
class BackboneConfig:
    """A pretrained model and what a method needs to know about it."""

    name: str = MISSING
    hub_id: str = MISSING
    revision: str | None = None
    pooling: str = one_of(*POOLINGS)
    max_length: int = within(0, MOST, default=0)  # tokens to which a text is cut
    image_size: int = within(0, 2**14, default=0)  # pixels per side
    target_modules: list[str] = MISSING
    modules_per_block: int = within(1, MOST)  # number of target modules in each block


@dataclass
class MethodConfig:
    """How the backbone is fine-tuned."""

    name: str = MISSING
    kind: str = one_of("full", "frozen", "bitfit", "peft", "frod", "python")
    # parameter group -> learning rate
    learning_rates: dict[str, float] = within(0)
    sparse_rate: float = within(0, 1, default=0.02)  # frod: share of off-diagonals trained
    regularization: float = within(0, open_ends=True, default=1e-3)  # frod: pi, of the basis
    basis: str = one_of("exact", "peft", "svd", "random", default="exact")  # frod
    # frod: the side of a layer on which its basis is
    shared_side: str = one_of("input", "smaller", default="input")
    # frod: columns scales the steps of S by the columns of V, so that all move W equally far
    rotation_scale: str = one_of("none", "columns", default="none")
    # frod: what weight decay draws lambda to, its start (the layer then goes back to W) or zero
    decay: str = one_of("start", "zero", default="start")
    released_output: bool = False  # frod: the authors' layer, which starts at twice the weight
    # peft: `_target_` and its arguments; without target_modules, those of the backbone
    peft: dict[str, Any] = field(default_factory=dict)
    apply: str | None = None  # python: package.module:function, or path/to/file.py:function
    options: dict[str, Any] = field(default_factory=dict)  # python: arguments of its function
    source: str | None = None  # python: SHA-256 of its function's file; set by a cell


@dataclass
class TrainerConfig:
    """The budget and the optimizer; all of it changes the result and is in the cell's hash."""

    max_steps: int = within(0, MOST)  # optimizer steps; with epochs at most these, and 0: no limit
    # passes over the rows of train; null: max_steps alone
    epochs: float | None = within(0, open_ends=True, default=None)
    batch_rows: int = within(1, MOST)  # rows per forward pass
    accumulation_steps: int = within(1, MOST, default=1)
    eval_batch_rows: int = within(1, MOST, default=128)
    eval_every_steps: int = within(0, MOST)  # with epochs 0: after each of them
    # at most, of the curve's split; null: all
    curve_rows: int | None = within(1, MOST, default=None)
    # rows of train, drawn by seed; null: all
    train_rows: int | None = within(1, MOST, default=None)
    test_rows: int | None = within(1, MOST, default=None)
    schedule: str = one_of("cosine", "linear", "constant", default="cosine")
    warmup_percent: float = within(0, 100, default=6.0)
    weight_decay: float = within(0, default=0.0)
    clip_norm: float | None = within(0, open_ends=True, default=1.0)  # null: no clipping
    mixed_precision: str = one_of("no", "bf16", "fp16", default="no")
    # a batch of texts goes through the model in so many groups of similar length: less padding
    length_groups: int = within(1, MOST, default=1)
    # true: a probe of images computes each row's feature once, if the backbone has no dropout
    cached_features: bool = False
    # true: curve_rows, and test_rows of validation, are taken to the row; false: every n-th row
    # is taken, with a whole n, which can leave half of them (as in older runs)
    exact_rows: bool = False


@dataclass
class TrackerConfig:
    """Where progress is reported besides the record."""

    name: str = one_of("wandb", "none")
    project: str = "frod_bench"
    # null: online if the user is logged in, else offline
    mode: str | None = one_of("online", "offline", "disabled", default=None)


@dataclass
class RuntimeConfig:
    """How a cell is run on this machine; none of it changes the result."""

    # worker processes; 0: one per GPU, without GPUs one per `threads` cores that it may use
    jobs: int = within(0, 4096, default=0)
    threads: int = within(1, 4096, default=1)  # per worker
    device: str = "auto"  # auto | cpu | cuda | cuda:1 ...
    progress: bool = True
    checkpoint_every_steps: int = within(1, MOST, default=50)
    # of training, after which a cell ends with a checkpoint and without a record; null: no limit
    cell_minutes: float | None = within(0, open_ends=True, default=None)
    gradient_checkpointing: bool = False  # recompute activations instead of keeping them


ENGINES = ("local", "ray", "submitit")


@dataclass
class LauncherConfig:
    """The engine that runs the cells of a grid. None of it changes the result or is in a record;
    each engine has the keys of its own file.
    """

    name: str = one_of(*ENGINES, default=ENGINES[0])
    address: str | None = None  # null: start a cluster; auto: the one that runs here; HOST:PORT
    # of a worker or a job; null: by runtime.device
    gpus: float | None = within(0, 1, default=None)
    # local: processes on this machine that stand for jobs
    executor: str = one_of("slurm", "local", default="slurm")
    detach: bool = False  # true: submit and leave; the same command later says what remains
    # wall time of a job; half of it is filled with runs, by their estimates
    job_minutes: int = within(1, 525_600, default=60)
    # of one run; null: as `frod-bench plan` estimates it
    cell_minutes: float | None = within(0, 525_600, open_ends=True, default=None)
    # of a job; null: as `frod-bench plan` estimates it
    memory_gb: float | None = within(0, 100_000, open_ends=True, default=None)
    # that the estimates are for; null: a100-80gb, without a GPU cpu-2
    accelerator: str | None = None
    # before the wall time ends, for the step that is under way and its checkpoint
    notice_sec: int = within(1, 65_535, default=120)
    # further options of sbatch, by their long names: partition, account, ...
    sbatch: dict[str, Any] = field(default_factory=dict)


FIGURE_STYLES = ("screen", "paper")


@dataclass
class FiguresConfig:
    """How a report draws its figures; no part of a cell."""

    # paper: widths and fonts of a paper, captions in .tex files
    style: str = one_of(*FIGURE_STYLES, default=FIGURE_STYLES[0])


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
    launcher: LauncherConfig = field(default_factory=LauncherConfig)
    figures: FiguresConfig = field(default_factory=FiguresConfig)
    learning_rates: Any = None  # family -> method -> group -> learning rate; methods read it
    adapter_sizes: Any = None  # family -> method -> sizes, if the profile has its own
    experiment: Any = None  # the artefact that a grid is run for: name, what its report shows
    seed: int = within(0, 2**31, default=0)
    # by a new linear layer, or by the options' likelihood; auto: rank if the task has options
    head: str = one_of(*HEADS, default="classify")
    # matched: the rank at which LoRA and DoRA train as many parameters as FRoD
    budget: str = one_of("default", "matched", default="default")
    # parameter group, or all -> factor of its learning rate
    rate_factors: dict[str, float] = within(
        0, default_factory=lambda: dict.fromkeys(RATE_FACTORS, 1.0)
    )
    # index into an adapter's sizes, if an experiment lists them
    size: int = within(0, MOST, default=0)
    pretrained: bool = True  # false: the backbone starts from random values
    results_root: str = "results"
    data_root: str | None = None  # null: the Hub
    model_root: str | None = None  # null: the Hub
    save: str = one_of("none", "adapter", default="none")
    plan_only: bool = False

    @property
    def backbone(self) -> BackboneConfig:
        """The backbone of the task's family."""
        return self.backbones[self.task.family]

    @property
    def backbone_path(self) -> str:
        """What `from_pretrained` reads: a folder under `model_root`, or the Hub id."""
        hub_id = self.backbone.hub_id
        return hub_id if self.model_root is None else str(Path(self.model_root) / hub_id)


@cache
def keys() -> tuple[str, ...]:
    """Every key of the schema, with dots."""

    def walk(kind: type, prefix: str) -> Iterator[str]:
        for name, hint in get_type_hints(kind).items():
            yield prefix + name
            if dataclasses.is_dataclass(hint):
                yield from walk(hint, f"{prefix}{name}.")  # type: ignore[arg-type]

    return tuple(walk(Settings, ""))


@cache
def bounds() -> dict[str, Range | tuple[str, ...]]:
    """The range or the choices of every bounded key, with dots; `*` is each name of a mapping."""

    def walk(kind: type, prefix: str) -> Iterator[tuple[str, Range | tuple[str, ...]]]:
        hints = get_type_hints(kind)
        for one in dataclasses.fields(kind):
            name, hint = prefix + one.name, hints[one.name]
            if get_origin(hint) is dict:
                name, hint = f"{name}.*", get_args(hint)[1]
            if "bound" in one.metadata:
                yield prefix + one.name, one.metadata["bound"]
            elif dataclasses.is_dataclass(hint):
                yield from walk(hint, f"{name}.")  # type: ignore[arg-type]

    return dict(walk(Settings, ""))
