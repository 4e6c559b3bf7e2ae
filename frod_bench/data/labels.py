"""From what a label column holds to a class number, or a value for regression.

Benchmarks write the same thing in many ways: a ClassLabel, "1" and "2", a truth value, a class's
name, the letter of an option. Each becomes the position of the class, counted from 0, in the order
of the recorded schema where the data set names its classes as that does. A row whose label says
nothing (-1 of a hidden label, an answer that is not among the options) gives None and is counted.
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
    """The label of every row of a split.

    Returns:
        One class number (or value, for regression) a row; None where the label cannot be used.

    Raises:
        InputError: the column is of a kind that the task does not describe, or a label lies
            outside the head.
    """
    _check_type(task, dataset.features)
    kind = dataset.features[task.label_column]
    values = dataset[task.label_column][:]
    if task.num_labels == 1:
        return [_value(value) for value in values]
    labels: list[Label | None]
    if task.prompt is not None and task.prompt.option_labels_column is not None:
        path = task.prompt.option_labels_column
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
        places = _recorded_places(task, kind)
        numbers = [_class_number(value) for value in values]
        labels = [None if number is None else places.get(number, number) for number in numbers]
    _check_range(task, labels)
    return labels


def check_orders(task: TaskConfig, splits: Mapping[str, Features]) -> None:
    """Refuse splits in which a class number means different things.

    Args:
        splits: the columns of each split, by its name.
    """
    if task.num_labels == 1 or _is_described(task):
        return
    known: dict[str, tuple[int, str]] = {}  # class name -> its number, and the split that says so
    for split, features in splits.items():
        kind = features[task.label_column]
        places = _recorded_places(task, kind)
        for number, name in enumerate(kind.names if isinstance(kind, ClassLabel) else []):
            place, first = known.setdefault(name, (places.get(number, number), split))
            if place != places.get(number, number):
                raise InputError(
                    f"task.label_column: in {task.label_column!r} of {task.hub_id} {name!r} is "
                    f"class {place} of split {first!r} and class {number} of split {split!r}. "
                    "Write the splits with the same class names in the same order."
                )


def allowed_labels(task: TaskConfig) -> str:
    """What a label may be, for messages."""
    if task.num_labels == 1:
        return "a finite number"
    if task.label_values is not None:
        return ", ".join(repr(value) for value in task.label_values)
    if task.prompt is not None and task.prompt.option_labels_column is not None:
        return f"one of the row's {task.prompt.option_labels_column}"
    if names := recorded_names(task):
        return f"0 to {task.num_labels - 1}, or by name: {', '.join(map(repr, names[:5]))}"
    return f"0 to {task.num_labels - 1}"


def recorded_names(task: TaskConfig) -> list[str]:
    """What the classes are called in the recorded schema of the task's data set; none where it is
    not recorded, or its labels have no names.

    For a configuration that is not recorded those of the data set's others, where they agree.
    """
    configs = [config for hub_id, config in data_sets() if hub_id == task.hub_id]
    if task.hub_config in configs:
        configs = [task.hub_config]
    kinds = [features_of(task.hub_id, config).get(task.label_column) for config in configs]
    names = {tuple(_names(kind)) for kind in kinds}
    return list(names.pop()) if len(names) == 1 else []


def _names(kind: object) -> Sequence[str]:
    if isinstance(kind, ClassLabel):
        return kind.names
    return ("False", "True") if isinstance(kind, Value) and kind.dtype == "bool" else ()


def _recorded_places(task: TaskConfig, kind: object) -> dict[int, int]:
    """Class number in a column -> in the recorded schema; empty unless all names are recorded."""
    recorded = recorded_names(task)
    if not isinstance(kind, ClassLabel) or not set(kind.names) <= set(recorded):
        return {}
    return {number: recorded.index(name) for number, name in enumerate(kind.names)}


def _is_described(task: TaskConfig) -> bool:
    """Whether the task says what its labels are called."""
    by_row = task.prompt is not None and task.prompt.option_labels_column is not None
    return by_row or task.label_values is not None


def _spelled(values: Sequence[Any], kind: object) -> Sequence[Any]:
    """Class numbers as the names that the column gives them; other values as they are."""
    if not isinstance(kind, ClassLabel):
        return values
    known = range(kind.num_classes)
    return [kind.names[value] if value in known else None for value in values]


def _position(value: Any, names: Sequence[Any]) -> int | None:
    """Where a value stands among names; upper and lower case differ only where they must."""
    name, names = _as_text(value), [_as_text(other) for other in names]
    if name in names:
        return names.index(name)
    alike = [i for i, other in enumerate(names) if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _as_text(value: Any) -> str:
    """A label's spelling, also of digits that were read as numbers."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()


def _number_of_name(value: Any, names: Sequence[str]) -> int | None:
    """The class of a name, or of a number that is written as text."""
    text = str(value).strip()
    digits = text.removesuffix(".0")  # of a column that once held floats
    return int(digits) if digits.isdecimal() and text not in names else _position(text, names)


def _class_number(value: Any) -> int | None:
    """A class number as it is; -1 marks a hidden label."""
    return int(value) if value is not None and value != -1 and value == value // 1 else None


def _value(value: Any) -> float | None:
    """A regression's target; GLUE marks the hidden ones with -1."""
    if value is None or not math.isfinite(value) or value == -1:
        return None
    return float(value)


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
            f"{where} holds {'text' if is_text(kind) else kind}, but a regression (num_labels 1) "
            "needs a column of numbers."
        )
    if is_text(kind) and not described and not recorded_names(task):
        raise InputError(
            f"{where} holds text. Say what it may be in task.label_values, in class order, or name "
            "a column of numbers."
        )
    if not is_text(kind) and not is_number(kind):
        raise InputError(f"{where} holds {kind}. Name a column of numbers, classes or text.")


def _check_range(task: TaskConfig, labels: Sequence[Label | None]) -> None:
    outside = sorted({x for x in labels if x is not None and not 0 <= x < task.num_labels})
    if outside:
        raise InputError(
            f"task.label_column: {task.label_column!r} of {task.hub_id} holds class {outside[0]}, "
            f"outside the head of {task.num_labels} classes. Allowed: {allowed_labels(task)}. "
            "Set task.num_labels to the number of classes."
        )
