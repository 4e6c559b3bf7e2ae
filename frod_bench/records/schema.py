"""What a record holds: its types, and the check that a JSON object is one.

The `TypedDict`s below are the schema of version 1: `check` reads them, so that what is documented
and what is enforced cannot part. Keys that a schema does not name are let through, so that a
record may carry more than its readers know.
"""

import types
from dataclasses import dataclass
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Literal,
    TypedDict,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

SCHEMA_VERSION = 1
LARGEST = 1e18  # no number of a run is larger; sums and plots of such numbers stay finite


class RecordError(ValueError):
    """A file or an object that is not a valid record; the message names the field and its value."""


@dataclass(frozen=True)
class AtLeast:
    """Lower bound of a number, inclusive."""

    low: float


@dataclass(frozen=True)
class FileName:
    """A name without folders: the file lies beside its record, wherever that is moved."""


Count = Annotated[int, AtLeast(0)]
Seconds = Annotated[float, AtLeast(0)]
Beside = Annotated[str, FileName()]
Status = Literal["ok", "failed", "diverged"]


class Failure(TypedDict):
    """Why a cell failed or diverged."""

    type: str
    message: str
    where: str  # traceback, or the step at which the loss left the finite numbers


class Cell(TypedDict):
    """One run's name; `config_hash` is `record.config_hash` of `record.identity`."""

    profile: str
    protocol: str
    task: str
    family: str
    method: str
    backbone: str
    seed: Count
    config_hash: str


class Metric(TypedDict):
    """One number of the test split."""

    value: float | None  # null: undefined, as the correlation of constant predictions is
    n: Annotated[int, AtLeast(1)]  # rows it was computed from
    stderr: Annotated[float, AtLeast(0)] | None  # of the rows' sampling, in the value's unit


class Params(TypedDict):
    """Parameter counts (numbers, not tensors)."""

    trainable: Count  # all that an optimizer moves, the head included
    trainable_head: Count  # of them, the task head's
    backbone_total: Annotated[int, AtLeast(1)]  # of the pretrained model, without head or adapter
    extra_frozen: Count  # what the method keeps besides: a basis, projections
    trainable_percent: Annotated[float, AtLeast(0)]  # 100 (trainable - head) / backbone_total


class Time(TypedDict):
    """Wall time, timed apart."""

    setup_sec: Seconds  # from the loaded backbone to the first step: attach, factor, warm caches
    train_sec: Seconds  # steps alone
    eval_sec: Seconds


class Memory(TypedDict):
    """Peaks over the run."""

    peak_rss_bytes: Count
    peak_device_bytes: Count | None  # null: the device is the CPU


class Provenance(TypedDict):
    """What the numbers were made with; apart from the fingerprints none of it is in the hash."""

    code_version: str
    dirty: bool | None  # null: not known, as outside a git clone
    packages: dict[str, str]  # name -> version
    device: str
    dtype: str
    threads: Annotated[int, AtLeast(1)]
    data_fingerprint: str
    backbone_fingerprint: str
    started_at: str  # ISO 8601, UTC


class Record(TypedDict):
    """What a cell leaves. What a failed cell never came to is null."""

    schema_version: int
    status: Status
    error: Failure | None
    cell: Cell
    metrics: dict[str, Metric]  # values lie in the metric's own unit: accuracies in 0..1
    primary_metric: str
    higher_is_better: bool
    params: Params | None
    time: Time | None
    steps: Count
    tokens_or_images: Count
    memory: Memory | None
    predictions: Beside | None
    curve: Beside | None
    provenance: Provenance
    config: dict[str, Any]


class CurvePoint(TypedDict, total=False):
    """One line of a curve; further keys are metrics and `lr_<group>`."""

    step: int  # optimizer steps taken, from 1
    epoch: float
    seconds: float  # of training since the first step, evaluation and set-up left out
    train_loss: float | None
    eval_loss: float | None


def check(value: object, kind: Any, field: str) -> None:
    """Raise RecordError unless `value` (parsed JSON) is a `kind`, one of this module's types."""
    if get_origin(kind) is Annotated:
        _check_annotated(value, kind, field)
    elif is_typeddict(kind):
        _check_fields(value, kind, field)
    elif get_origin(kind) is Literal:
        _expect(value in get_args(kind), value, field, f"one of {', '.join(get_args(kind))}")
    elif get_origin(kind) is types.UnionType or type(None) in get_args(kind):
        if value is not None:  # the only unions here are of one type and None
            check(value, next(k for k in get_args(kind) if k is not type(None)), field)
    elif get_origin(kind) is dict:
        _expect(isinstance(value, dict), value, field, "an object")
        assert isinstance(value, dict)
        for key, item in value.items():
            check(item, get_args(kind)[1], f"{field}.{key}" if field else key)
    elif kind is not Any:
        _check_scalar(value, kind, field)


def _check_annotated(value: object, kind: Any, field: str) -> None:
    base, rule = get_args(kind)
    check(value, base, field)
    if isinstance(rule, AtLeast):
        assert isinstance(value, (int, float))
        _expect(value >= rule.low, value, field, f"at least {rule.low:g}")
    else:
        assert isinstance(value, str)
        plain = value not in ("", ".", "..") and not set(value) & {"/", "\\", "\0"}
        _expect(plain, value, field, "a file name without folders")


def _check_fields(value: object, kind: Any, field: str) -> None:
    _expect(isinstance(value, dict), value, field or "record", "an object")
    assert isinstance(value, dict)
    for name, hint in _fields(kind).items():
        path = f"{field}.{name}" if field else name
        if name not in value:
            raise RecordError(f"{path} is missing.")
        check(value[name], hint, path)


def _check_scalar(value: object, kind: type, field: str) -> None:
    is_bool = isinstance(value, bool)  # a bool is an int in Python, and not in JSON
    if kind is float:
        _expect(isinstance(value, (int, float)) and not is_bool, value, field, "a number")
        limits = f"a finite number up to {LARGEST:g}; null if undefined"
        _expect(is_usable_number(value), value, field, limits)
    elif kind is int:
        _expect(isinstance(value, int) and not is_bool, value, field, "a whole number")
        _expect(is_usable_number(value), value, field, f"a whole number up to {LARGEST:g}")
    elif kind is str:
        check_text(value, field)
    else:
        _expect(isinstance(value, kind), value, field, "a bool")


def is_usable_number(value: object) -> bool:
    """Whether a value is a finite number of a size that sums and plots can hold."""
    return type(value) in (int, float) and abs(value) <= LARGEST  # type: ignore[arg-type]


def check_text(value: object, field: str) -> None:
    """Raise RecordError unless a value is text that can be written as UTF-8."""
    _expect(isinstance(value, str), value, field, "text")
    assert isinstance(value, str)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordError(f"{field} is {value!r}; it must be text in UTF-8.") from None


def _expect(holds: bool, value: object, field: str, wanted: str) -> None:
    if not holds:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise RecordError(f"{field} is {shown}; it must be {wanted}.")


@lru_cache
def _fields(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
