"""How a row of a reasoning task becomes one text.

A prompt is a template with the row's columns in braces and, as `{options}`, the listed options:

    question: Which gas do plants take in?
    A: oxygen
    B: carbon dioxide
    answer:

Options carry letters by their place whatever the data set calls them ("1", "C"), so that class 2
is the third option everywhere. The label is no part of a prompt.
"""

import hashlib
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import PromptConfig, TaskConfig

OPTIONS = "options"  # the one name in a template that is not a column


@dataclass(frozen=True)
class Prompt:
    """A task's prompt, ready to be filled in."""

    config: PromptConfig
    columns: tuple[str, ...]  # those in the template

    @property
    def option_columns(self) -> tuple[str, ...]:
        """The columns that options and their names are read from; dots descend."""
        lists = (self.config.options_column, self.config.option_labels_column)
        return (*self.config.option_columns, *(column for column in lists if column))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides how a prompt reads."""
        canonical = json.dumps(asdict(self.config), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def values(self, row: Mapping[str, Any]) -> dict[str, str]:
        """What stands for every name of the template, in one row."""
        values = {column: self.clean(row[column]) for column in self.columns}
        values[OPTIONS] = "\n".join(
            f"{letter}: {self.clean(option)}"
            for letter, option in zip(string.ascii_uppercase, self.options(row), strict=False)
        )
        return values

    def render(self, values: Mapping[str, str]) -> str:
        """The text of a prompt whose names have these values."""
        return self.config.template.format_map(values)

    def options(self, row: Mapping[str, Any]) -> list[str]:
        """The row's options as the data set has them, in class order; none for yes/no."""
        if self.config.options_column:
            return list(descend(row, self.config.options_column))
        return [row[column] for column in self.config.option_columns]

    def empty_column(self, row: Mapping[str, Any]) -> str | None:
        """Why a row has no question, in words: the first column of the template without text."""
        empty = (column for column in self.columns if not self.clean(row[column]))
        return next((f"empty {column!r}" for column in empty), None)

    def clean(self, value: Any) -> str:
        """A value as text, its marks replaced."""
        text = "" if value is None else str(value)
        for pattern, replacement in self.config.replace.items():
            text = re.sub(pattern, replacement, text)
        return text.strip()


def prompt_of(task: TaskConfig) -> Prompt:
    """The task's prompt, checked.

    Raises:
        InputError: the task has no prompt, its template is not one, it would show the label, or
            the column that gives way is not in it.
    """
    config = task.prompt
    if config is None:
        raise InputError(f"task.prompt: {task.name} is of family reasoning and has no prompt.")
    names = names_in(config.template, "task.prompt.template")
    columns = tuple(name for name in names if name != OPTIONS)
    prompt = Prompt(config, columns)
    if not columns:
        raise InputError(f"task.prompt.template: {config.template!r} names no column in braces.")
    if (OPTIONS in names) != bool(prompt.option_columns):
        raise InputError(
            "task.prompt.template: {options} must be in it exactly when option_columns or "
            f"options_column is set, but it is {config.template!r}."
        )
    if task.label_column in (*columns, *prompt.option_columns):
        raise InputError(f"task.prompt: it would show the label, column {task.label_column!r}.")
    if config.truncate is not None and config.truncate not in columns:
        hint = did_you_mean(config.truncate, columns)
        raise InputError(f"task.prompt.truncate: {config.truncate!r} is not in the template.{hint}")
    return prompt


def names_in(template: str, field: str) -> tuple[str, ...]:
    """The names in a template's braces, each once.

    Raises InputError, naming `field`, where it is no template, or braces hold more than a name.
    """
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise InputError(f"{field}: {template!r}: {error}.") from error
    names: dict[str, None] = {}
    for name, code, conversion in parts:
        if code or conversion or not name or set(name) & set(".["):
            raise InputError(
                f"{field}: {template!r} has braces with more than the name of a column in them, or "
                f"with none ({name!r}). Allowed: {{question}}; no format code, index or attribute."
            )
        names[name] = None
    return tuple(names)


def descend(row: Mapping[str, Any], path: str) -> Sequence[Any]:
    """The list at a dotted path, `choices.text`; empty where the row has none.

    A struct of lists and a list of structs give the same.
    """
    value: Any = row
    for name in path.split("."):
        if isinstance(value, list):
            value = [item[name] for item in value]
        else:
            value = None if value is None else value[name]
    return () if value is None else value
