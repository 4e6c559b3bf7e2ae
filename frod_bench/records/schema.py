"""What a record holds: its types, which pydantic enforces, and the check that a JSON object is a
record. Further keys are allowed. Version 2 added `files`, `data_counts` and `provenance.processes`.
"""

import functools
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from frod_bench.common.names import RULE, is_name
from frod_bench.records.hashing import Hashes

SCHEMA_VERSION = 2  # of the records that this code writes
READABLE_VERSIONS = (1, 2)
THEN = ", then "  # between the machines that a resumed run was made on
LARGEST = 1e18  # no number of a run is larger; sums and plots of such numbers stay finite


class RecordError(ValueError):
    """A file or an object that is not a valid record; the message names the field and its value."""


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("printable text")
    return value


def _file_name(value: str) -> str:
    if value in (".", "..") or not {"/", "\\", "\0"}.isdisjoint(value):
        raise ValueError("a file name without folders")
    return value


Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
NotNegative = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=0)]  # a text with a bound is also checked to fit UTF-8
Printable = Annotated[Text, AfterValidator(_printable)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FileName = Annotated[Text, AfterValidator(_file_name)]  # in the record's folder
Status = Literal["ok", "failed", "diverged"]


class Failure(TypedDict):
    """Why a run failed or diverged."""

    type: Text
    message: Text
    where: Text  # traceback, or the step at which the loss was no longer finite


class Cell(TypedDict):
    """The name of one run; `config_hash` is `hashing.config_hash` of `hashing.identity`."""

    profile: Text
    protocol: Text
    task: Text
    family: Text
    method: Text
    backbone: Text
    seed: Count
    config_hash: Text


class Metric(TypedDict):
    """One metric on the test split."""

    value: Number | None  # null: undefined, in older records; 0 by convention since
    n: Positive  # rows it was computed from
    stderr: NotNegative | None  # from the sampling of rows, in the metric's unit


class Params(TypedDict):
    """Parameter counts (numbers, not tensors)."""

    trainable: Count  # all that an optimizer updates, the head included
    trainable_head: Count  # of them, the task head's
    backbone_total: Positive  # of the pretrained model, without head and adapter
    extra_frozen: Count  # what the method adds and does not train: a basis, projections
    trainable_percent: NotNegative  # 100 (trainable - head) / backbone_total


class Time(TypedDict):
    """Wall time in seconds."""

    setup_sec: NotNegative  # from the loaded backbone to the first step: attach, factor, warm up
    train_sec: NotNegative  # steps alone
    eval_sec: NotNegative


class Memory(TypedDict):
    """Peak memory of the process during the run, without what its earlier runs have freed."""

    peak_rss_bytes: Count
    peak_device_bytes: Count | None  # null: the device is the CPU


class DataCounts(TypedDict):
    """What became of the rows that were read."""

    rows_read: Count
    rows_unusable: Count  # without a known label, or without input
    sequences_cut: Count  # to the backbone's maximum length
    prompt_digest: NotRequired[Text | None]  # of the template; null: the task has no prompt


class FileDigest(TypedDict):
    """Size and content of a file when it was written."""

    bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Files(TypedDict):
    """The files that a run wrote besides its record; null: it wrote none of this kind."""

    curve: FileDigest | None
    predictions: FileDigest | None
    adapter: FileDigest | None  # the trained values, kept under `adapters/` with save=adapter


class Provenance(TypedDict):
    """What the numbers were made with; only the fingerprints are part of the hash."""

    code_version: Text
    dirty: bool | None  # null: not known, as outside a git clone
    # part of the code that computes numbers -> digest of what it does, without comments
    code: NotRequired[dict[Text, Text]]
    packages: dict[Text, Text]  # name -> version
    device: Text
    processor: NotRequired[Text]  # by its own name; of a resumed run all that it was made on
    accelerator: NotRequired[Text]  # the same of a GPU, if it trained on one
    dtype: Text
    threads: Positive
    processes: NotRequired[Positive]  # that trained together; always in version 2
    data_fingerprint: Text
    backbone_fingerprint: Text
    started_at: Text  # ISO 8601, UTC


class Record(TypedDict):
    """The result of one run. What a failed run did not reach is null."""

    schema_version: int
    status: Status
    error: Failure | None
    cell: Cell
    metrics: dict[Printable, Metric]  # values in the metric's own unit: accuracies in [0, 1]
    primary_metric: Printable
    higher_is_better: bool
    params: Params | None
    time: Time | None
    steps: Count
    tokens_or_images: Count
    memory: Memory | None
    data_counts: NotRequired[DataCounts | None]  # always in version 2
    files: NotRequired[Files]  # always in version 2
    predictions: FileName | None
    curve: FileName | None
    provenance: Provenance
    config: dict[str, Any]


class CurvePoint(TypedDict, total=False):
    """One line of a curve; further keys are metrics and `lr_<group>`."""

    step: int  # optimizer steps taken; the first line, before any, is 0
    epoch: float
    seconds: float  # of training since the first step, without evaluation and set-up
    train_loss: float | None
    eval_loss: float | None


class _Profile(TypedDict):
    title: Printable


class _Protocol(TypedDict):
    curve_split: Printable
    metrics_split: NotRequired[Printable]
    selection: NotRequired[Text]


class _Method(TypedDict):
    learning_rates: dict[Text, Finite]


class _Trainer(TypedDict, total=False):
    curve_rows: Count | None
    schedule: Text


class _Experiment(TypedDict):
    name: NotRequired[Text]


class _ReadByReports(TypedDict):
    """What reports read of a configuration besides the cell."""

    profile: _Profile
    protocol: _Protocol
    method: _Method
    trainer: _Trainer
    head: NotRequired[Literal["classify", "rank"]]
    pretrained: NotRequired[bool]
    experiment: NotRequired[_Experiment | None]
    rate_factors: NotRequired[dict[Text, Finite]]
    trial: NotRequired[Finite]


def validate(record: object, hashes: Hashes | None = None) -> None:
    """Raise RecordError, which names the field and its value, unless `record` is a valid record.
    Of many records with equal configurations, `hashes` knows those that it has seen.
    """
    if not isinstance(record, dict):
        raise RecordError(f"a record is a JSON object, and this is {type(record).__name__}.")
    version = record.get("schema_version")
    if version not in READABLE_VERSIONS:
        readable = " and ".join(map(str, READABLE_VERSIONS))
        raise RecordError(f"schema_version is {version!r}; this code reads {readable}.")
    try:
        _adapter().validate_python(record, strict=True)
    except ValidationError as error:
        raise RecordError(_first_message(error)) from None
    made = cast(Record, record)
    if version != 1:
        _check_version_2(made)
    _check_status(made)
    _check_percent(made)
    _check_cell(made, hashes or Hashes())


def outcome_of(record: Record) -> str:
    """A record's status, or `undefined` for a run that is ok and has no value of its primary
    metric, as the correlation of constant predictions has none.
    """
    primary = record["metrics"].get(record["primary_metric"])
    is_undefined = record["status"] == "ok" and primary is not None and primary["value"] is None
    return "undefined" if is_undefined else record["status"]


def is_usable_number(value: object) -> bool:
    """Whether a value is a finite number of a size that sums and plots can hold."""
    return type(value) in (int, float) and abs(value) <= LARGEST  # type: ignore[arg-type]


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


@functools.cache
def _config_adapter() -> TypeAdapter[_ReadByReports]:
    return TypeAdapter(_ReadByReports)


def _first_message(error: ValidationError, *parents: str) -> str:
    """The first problem in words such as "params.trainable is True; it must be a valid integer"."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, (*parents, *first["loc"])))
    if first["type"] == "missing":
        return f"{field} is missing."
    shown = repr(first["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    wanted = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    wanted = "text in UTF-8" if first["type"] == "string_unicode" else wanted
    return f"{field} is {shown}; it must be {wanted}."


def _check_version_2(record: Record) -> None:
    for name, holder in (
        ("data_counts", record),
        ("files", record),
        ("provenance.processes", record["provenance"]),
    ):
        if name.split(".")[-1] not in holder:
            raise RecordError(f"{name} is missing.")
    for kind in ("curve", "predictions"):
        if (record[kind] is None) != (record["files"][kind] is None):
            raise RecordError(f"{kind} and files.{kind}: both or neither must be null.")


def _check_status(record: Record) -> None:
    status = record["status"]
    if (status == "failed" and record["error"] is None) or (status == "ok" and record["error"]):
        raise RecordError(f"error is {record['error']!r}, although status is {status!r}.")
    if status == "failed":
        return
    for name in ("params", "time", "memory", "curve"):
        if record[name] is None:
            raise RecordError(f"{name} is null, although status is {status!r}.")
    if status == "ok" and record["primary_metric"] not in record["metrics"]:
        has = ", ".join(record["metrics"]) or "none"
        raise RecordError(f"primary_metric {record['primary_metric']!r} is not in metrics ({has}).")


def _check_percent(record: Record) -> None:
    """The percentage follows from the counts, so that all readers understand it alike."""
    params = record["params"]
    if params is None:
        return
    if params["trainable_head"] > params["trainable"]:
        raise RecordError(
            f"params.trainable_head is {params['trainable_head']}, "
            f"more than params.trainable, {params['trainable']}."
        )
    percent = 100.0 * (params["trainable"] - params["trainable_head"]) / params["backbone_total"]
    if abs(params["trainable_percent"] - percent) > 1e-6 * max(1.0, percent):
        raise RecordError(
            f"params.trainable_percent is {params['trainable_percent']}; "
            f"the counts give {percent:.6f}."
        )


def _check_cell(record: Record, hashes: Hashes) -> None:
    """The cell and its hash follow from the configuration."""
    cell, config, provenance = record["cell"], record["config"], record["provenance"]
    fingerprints = provenance["data_fingerprint"], provenance["backbone_fingerprint"]
    try:
        expected = {
            "profile": config["profile"]["name"],
            "protocol": config["protocol"]["name"],
            "task": config["task"]["name"],
            "family": config["task"]["family"],
            "method": config["method"]["name"],
            "backbone": config["backbones"][config["task"]["family"]]["name"],
            "seed": config["seed"],
            "config_hash": hashes.of(config, *fingerprints),
        }
        _config_adapter().validate_python(config, strict=True)
    except ValidationError as error:
        raise RecordError(_first_message(error, "config")) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RecordError(f"config is not a composed configuration ({error!r}).") from error
    for name in ("profile", "protocol", "task", "family", "method", "backbone"):
        if not is_name(cell[name]):
            raise RecordError(f"cell.{name} is {cell[name]!r}; it {RULE}.")
    for name, value in expected.items():
        if cell[name] != value:  # type: ignore[literal-required]
            shown = cell[name]  # type: ignore[literal-required]
            raise RecordError(f"cell.{name} is {shown!r}; its configuration says {value!r}.")
