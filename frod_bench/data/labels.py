"""From the content of a label column to a class number, or a value for regression.

A class (a ClassLabel, "1" and "2", a truth value, a name, the letter of an option) becomes its
position, counted from 0. If the recorded schema names the same classes, the order of the schema
counts. A label that cannot be used (-1 for a hidden one, an answer outside the options) becomes
None.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import ClassLabel, Dataset, Features, Value

from frod_bench.common.errors import InputError
from frod_bench.config.settings import TaskConfig
from frod_bench.data.hub_schema import data_sets, features_of
from frod_bench.data.prompts import descend
from frod_bench.data.source import is_number, is_text

Label = int | float


def read_labels(task: TaskConfig, dataset: Dataset) -> list[Label | None]:
    """Return one class number (or value, for regression) per row; None if it cannot be used.

    Raises InputError if the task does not fit the column's type, or a label is outside the head.
    """
    _check_type(task, dataset.features)
    kind = dataset.features[task.label_column]
    values = dataset[task.label_column][:]
    if task.num_labels == 1:
        # GLUE marks hidden targets with -1, on scales that have no other negative value.
        is_scale = any(value is not None and value < 0 and value != -1 for value in values)
        hidden = (None,) if is_scale else (None, -1)
        targets = [math.nan if value in hidden else float(value) for value in values]
        return [target if math.isfinite(target) else None for target in targets]
    labels: list[Label | None]
    if path := _names_by_row(task):
        root = path.split(".")[0]
        names = [descend({root: value}, path) for value in dataset[root][:]]
        spelled = _spelled(values, kind)
        labels = [_position(value, row) for value, row in zip(spelled, names, strict=True)]
    elif task.label_values is not None:
        labels = [_position(value, task.label_values) for value in _spelled(values, kind)]
    elif is_text(kind):
        known = recorded_names(task)
        labels = [_number_of_name(value, known) for value in values]
    else:
        recorded = _recorded_order(task, kind)
        numbers = [_class_number(value) for value in values]
        labels = [None if number is None else recorded.get(number, number) for number in numbers]
    outside = sorted({x for x in labels if x is not None and not 0 <= x < task.num_labels})
    if outside:
        raise InputError(
            f"task.label_column: {task.label_column!r} of {task.hub_id} contains class "
            f"{outside[0]}, outside the head of {task.num_labels} classes. Allowed: "
            f"{allowed_labels(task)}. Set task.num_labels to the number of classes."
        )
    return labels


def check_orders(task: TaskConfig, splits: Mapping[str, Features]) -> None:
    """Raise InputError if a class number has different names in two splits (name -> columns)."""
    if task.num_labels == 1 or _is_described(task):
        return
    known: dict[str, tuple[int, str]] = {}  # class name -> its number, and the first split with it
    for split, features in splits.items():
        kind = features[task.label_column]
        recorded = _recorded_order(task, kind)
        for number, name in enumerate(kind.names if isinstance(kind, ClassLabel) else []):
            position = recorded.get(number, number)
            expected, first = known.setdefault(name, (position, split))
            if expected != position:
                raise InputError(
                    f"task.label_column: in {task.label_column!r} of {task.hub_id} {name!r} is "
                    f"class {expected} of split {first!r} and class {number} of split {split!r}. "
                    "Write the splits with the same class names in the same order."
                )


def allowed_labels(task: TaskConfig) -> str:
    """Describe the allowed labels, for messages."""
    if task.num_labels == 1:
        return "a finite number"
    if task.label_values is not None:
        return ", ".join(repr(value) for value in task.label_values)
    if path := _names_by_row(task):
        return f"one of the row's {path}"
    if names := recorded_names(task):
        return f"0 to {task.num_labels - 1}, or by name: {', '.join(map(repr, names[:5]))}"
    return f"0 to {task.num_labels - 1}"


def recorded_names(task: TaskConfig) -> list[str]:
    """Return the class names in the recorded schema of the task's data set, if it has any.

    If the configuration is not recorded, those of the data set's other ones if they agree.
    """
    configs = [config for hub_id, config in data_sets() if hub_id == task.hub_id]
    if task.hub_config in configs:
        configs = [task.hub_config]
    found: set[tuple[str, ...]] = set()
    for config in configs:
        kind = features_of(task.hub_id, config).get(task.label_column)
        truth_values = ("False", "True") if kind == Value("bool") else ()
        found.add(tuple(kind.names) if isinstance(kind, ClassLabel) else truth_values)
    return list(found.pop()) if len(found) == 1 else []


def _recorded_order(task: TaskConfig, kind: object) -> dict[int, int]:
    """Map class numbers of a column to the recorded ones; empty unless all names are recorded."""
    recorded = recorded_names(task)
    if not isinstance(kind, ClassLabel) or not set(kind.names) <= set(recorded):
        return {}
    return {number: recorded.index(name) for number, name in enumerate(kind.names)}


def _names_by_row(task: TaskConfig) -> str | None:
    """Return the column that names the options of a row, if the labels refer to it."""
    return None if task.prompt is None else task.prompt.option_labels_column


def _is_described(task: TaskConfig) -> bool:
    """Return whether the task itself names its labels."""
    return task.label_values is not None or _names_by_row(task) is not None


def _spelled(values: Sequence[Any], kind: object) -> Sequence[Any]:
    """Replace class numbers by the names that the column gives them, if it does."""
    if not isinstance(kind, ClassLabel):
        return values
    known = range(kind.num_classes)
    return [kind.names[value] if value in known else None for value in values]


def _position(value: Any, names: Sequence[Any]) -> int | None:
    """Return the index of a value among names, without regard to case if that is unambiguous."""
    name, names = _as_text(value), [_as_text(other) for other in names]
    if name in names:
        return names.index(name)
    alike = [i for i, other in enumerate(names) if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _as_text(value: Any) -> str:
    """Return a label as text, whole numbers without decimals."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _number_of_name(value: Any, names: Sequence[str]) -> int | None:
    """Return the class of a name, or of a number that is written as text."""
    text = str(value).strip()
    digits = text.removesuffix(".0")  # the column may have been floats
    return int(digits) if digits.isdecimal() and text not in names else _position(text, names)


def _class_number(value: Any) -> int | None:
    """Return a class number; None for -1, which marks a hidden label."""
    return int(value) if value is not None and value != -1 and value == value // 1 else None


def _check_type(task: TaskConfig, features: Features) -> None:
    kind = features[task.label_column]
    where = f"task.label_column: {task.label_column!r} of {task.hub_id} (task {task.name})"
    described = _is_described(task)
    if isinstance(kind, ClassLabel) and task.num_labels > 1:
        if not described and kind.num_classes > task.num_labels:
            raise InputError(
                f"task.num_labels: {task.name} has {task.num_labels}, but column "
                f"{task.label_column!r} of {task.hub_id} names {kind.num_classes} classes "
                f"({', '.join(kind.names[:5])}, ...). Set num_labels to {kind.num_classes}."
            )
        return
    if task.num_labels == 1 and not is_number(kind):
        raise InputError(
            f"{where} contains {'text' if is_text(kind) else kind}, but a regression "
            "(num_labels 1) needs a column of numbers."
        )
    if is_text(kind) and not described and not recorded_names(task):
        raise InputError(
            f"{where} contains text. List its values in task.label_values, in class order, or name "
            "a column of numbers."
        )
    if not is_text(kind) and not is_number(kind):
        raise InputError(f"{where} contains {kind}. Name a column of numbers, classes or text.")
