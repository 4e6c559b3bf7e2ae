"""Names for readers: how papers write tasks, methods and metrics, and how files spell them.

`label` is for tables, figures and pages; `spelled` is for CSV files and folders, where the names
are those that a user types. What has no entry here, e.g. a task of one's own, keeps its name.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from frod_bench.common.names import MATCHED_ENDING, with_head
from frod_bench.report.keys import FAMILY_KEY, METHOD_KEY, TASK_KEY, Family, Method, Task

if TYPE_CHECKING:  # names alone are asked for by every plan
    import pandas as pd

METHODS = {
    "full": "Full FT",
    "frozen": "Frozen",
    "lora": "LoRA",
    "dora": "DoRA",
    "frod": "FRoD",
    "pissa": "PiSSA",
    "vera": "VeRA",
    "rslora": "rsLoRA",
    "randlora": "RandLoRA",
    "bitfit": "BitFit",
    "frod_peft": "FRoD (PEFT)",
    "frod_released": "FRoD (released)",
    "frod_smaller": "FRoD (smaller side)",
    "adalora": "AdaLoRA",  # of PEFT alone, as the three below
    "delora": "DeLoRA",
    "gralora": "GraLoRA",
    "pvera": "PVeRA",
}
_IN_TEXT = METHODS | {"full": "full fine-tuning", "frozen": "the frozen backbone"}
TASKS = {
    "arc_easy": "ARC-e",
    "arc_challenge": "ARC-c",
    "boolq": "BoolQ",
    "cars": "Cars",
    "cola": "CoLA",
    "dtd": "DTD",
    "eurosat": "EuroSAT",
    "gtsrb": "GTSRB",
    "hellaswag": "HellaSwag",
    "mnist": "MNIST",
    "mnli": "MNLI",
    "mrpc": "MRPC",
    "openbookqa": "OBQA",
    "piqa": "PIQA",
    "qnli": "QNLI",
    "qqp": "QQP",
    "resisc45": "RESISC45",
    "rte": "RTE",
    "siqa": "SIQA",
    "sst2": "SST-2",
    "stsb": "STS-B",
    "sun397": "SUN397",
    "svhn": "SVHN",
    "winogrande": "WinoGrande",
}
FAMILIES = {"nlu": "Language", "reasoning": "Reasoning", "vision": "Vision"}
METRICS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "matthews": "MCC",
    "matthews_correlation": "MCC",
    "pearson": "Pearson",
}
MATCHED = "matched"  # the variant of a method at FRoD's count of trained parameters


def method_named(name: str, variant: str = "") -> Method:
    """The key of a method as a record names it; `lora_matched` is `lora`, variant `matched`."""
    plain = name.removesuffix(MATCHED_ENDING)
    parts = [MATCHED] * (plain != name) + [variant] * bool(variant)
    return Method(plain, ", ".join(parts))


def base_names(frame: "pd.DataFrame") -> "pd.Series[str]":
    """The method of each row as a record names it, such as `lora_matched`, without its settings."""
    is_matched = frame["variant"].str.startswith(MATCHED)
    return frame["method"].mask(is_matched, frame["method"] + MATCHED_ENDING)


def label(key: Task | Family | Method, *, in_text: bool = False) -> str:
    """A task, family or method as a paper writes it in tables and figures, or in a sentence."""
    if isinstance(key, Task):
        return _with_head(TASKS.get(key.task, key.task), key.head)
    if isinstance(key, Family):
        return _with_head(FAMILIES.get(key.family, key.family), key.head)
    text = (_IN_TEXT if in_text else METHODS).get(key.method, key.method)
    text += f" ({key.variant})" if key.variant else ""
    return f"{text} · {key.side}" if key.side else text


def labels_in_text(methods: Iterable[str]) -> str:
    """Several methods in a sentence, such as `LoRA, DoRA`."""
    return ", ".join(label(Method(method), in_text=True) for method in methods)


def metric_label(metric: str) -> str:
    """A metric as a paper writes it."""
    return METRICS.get(metric, metric.replace("_", " "))


def spelled(key: Task | Family | Method) -> str:
    """A task, family or method as CSV files and folders spell it: `boolq_rank`, `lora (r 8)`."""
    if not isinstance(key, Method):
        return with_head(key[0], key.head) if key[0] else ""  # empty: over all tasks
    first, _, rest = key.variant.partition(", ")
    name, variant = key.method, key.variant
    if first == MATCHED:
        name, variant = name + MATCHED_ENDING, rest
    text = f"{name} ({variant})" if variant else name
    return f"{text} · {key.side}" if key.side else text


def csv_frame(frame: "pd.DataFrame") -> "pd.DataFrame":
    """A frame as it is written: `task`, `family`, `method` spelled; `head` and `variant` last."""
    found = frame.copy()
    for columns, kind in ((TASK_KEY, Task), (FAMILY_KEY, Family), (METHOD_KEY, Method)):
        if set(columns) <= set(frame):
            keys = zip(*(frame[column] for column in columns), strict=True)
            found[columns[0]] = [spelled(kind(*key)) for key in keys]
    found = found.drop(columns="side", errors="ignore")
    last = [name for name in ("head", "variant") if name in found]
    return found[[name for name in found if name not in last] + last]


def _with_head(name: str, head: str) -> str:
    return name if head == "classify" else f"{name} ({head})"
