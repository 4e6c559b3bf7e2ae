"""Prompts: how a row of a reasoning task becomes one text.

A prompt is a template with columns of the row in braces and, as `{options}`, the listed options:

    question: Which gas do plants take in?
    A: oxygen
    B: carbon dioxide
    answer:

Options get letters by their position, whatever the data set calls them. If a language model ranks
options (`head=rank`), the question is rendered without them, and each continues it.
"""

import hashlib
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.config.settings import PromptConfig, RankConfig, TaskConfig

OPTIONS = "options"  # the one name in a template that is not a column


@dataclass(frozen=True)
class Prompt:
    """A task's prompt, ready to be filled in."""

    config: PromptConfig
    columns: tuple[str, ...]  # named in the template

    @property
    def option_columns(self) -> tuple[str, ...]:
        """The columns of the options and of their names; dots descend."""
        lists = (self.config.options_column, self.config.option_labels_column)
        return (*self.config.option_columns, *(column for column in lists if column))

    @property
    def columns_read(self) -> tuple[str, ...]:
        """All columns of the data set that the prompt needs."""
        roots = (column.split(".")[0] for column in self.option_columns)
        return tuple(dict.fromkeys((*self.columns, *roots)))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the text of a prompt."""
        return digest_of(asdict(self.config))

    def values(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return the text that replaces each name of the template, for one row."""
        values = {column: self.clean(row[column]) for column in self.columns}
        values[OPTIONS] = "\n".join(
            f"{letter}: {self.clean(option)}"
            for letter, option in zip(string.ascii_uppercase, self.options(row), strict=False)
        )
        return values

    def render(self, values: Mapping[str, str]) -> str:
        """Return the prompt, given the texts for its names."""
        return self.config.template.format_map(values)

    def options(self, row: Mapping[str, Any]) -> list[str]:
        """Return the options of a row as they are stored, in class order; none for yes/no."""
        if self.config.options_column:
            return list(descend(row, self.config.options_column))
        return [row[column] for column in self.config.option_columns]

    def empty_column(self, row: Mapping[str, Any]) -> str | None:
        """Name the first column of the template that has no text, if there is one."""
        empty = (column for column in self.columns if not self.clean(row[column]))
        return next((f"empty {column!r}" for column in empty), None)

    def clean(self, value: Any) -> str:
        """Return a value as text, with the marks of `replace` substituted."""
        text = "" if value is None else str(value)
        for pattern, replacement in self.config.replace.items():
            text = re.sub(pattern, replacement, text)
        return text.strip()


def prompt_of(task: TaskConfig) -> Prompt:
    """Return the task's prompt. Raises InputError if it is missing, invalid or shows the label."""
    config = task.prompt
    if config is None:
        raise InputError(
            f"task.prompt: task {task.name} is of family reasoning but has no prompt. Give it a "
            "template."
        )
    names = names_in(config.template, "task.prompt.template")
    columns = tuple(name for name in names if name != OPTIONS)
    prompt = Prompt(config, columns)
    if not columns:
        raise InputError(
            f"task.prompt.template: {config.template!r} names no column. Put one in braces, e.g. "
            "{question}."
        )
    if (OPTIONS in names) != bool(prompt.option_columns):
        raise InputError(
            f"task.prompt.template: {config.template!r} must contain {{options}} if option_columns "
            "or options_column is set, and only then."
        )
    if task.label_column in (*columns, *prompt.option_columns):
        raise InputError(
            f"task.prompt: would show the label, {task.label_column!r}. Remove that column."
        )
    if config.truncate is not None and config.truncate not in columns:
        hint = did_you_mean(config.truncate, columns)
        raise InputError(f"task.prompt.truncate: {config.truncate!r} is not in the template.{hint}")
    for mark in config.replace:
        try:
            re.compile(mark)
        except (re.error, RecursionError, OverflowError) as error:
            raise InputError(
                f"task.prompt.replace: {mark!r} is not a regular expression ({error}). Correct it."
            ) from error
    return prompt


@dataclass(frozen=True)
class RankPrompt:
    """A task's question without the options, and the source of the options."""

    question: Prompt
    config: RankConfig

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the text of question and options."""
        return digest_of({"question": asdict(self.question.config), "rank": asdict(self.config)})

    def options(self, row: Mapping[str, Any]) -> list[str]:
        """Return the row's options in class order."""
        if self.config.options:
            return list(self.config.options)
        return [self.question.clean(option) for option in self.question.options(row)]


def rank_prompt_of(task: TaskConfig) -> RankPrompt:
    """Return the task's question and options. Raises InputError if `task.rank` does not fit."""
    rank = task.rank
    if rank is None or task.prompt is None or task.num_labels < 2:
        raise InputError(
            f"head=rank: task {task.name} is not multiple choice (it has no task.rank). "
            "Allowed for it: classify. Set head=classify, or describe its options in task.rank."
        )
    listed = prompt_of(task)
    config = replace(task.prompt, template=rank.template, version=rank.version)
    columns = names_in(rank.template, "task.rank.template")
    question = replace(listed, config=config, columns=columns)
    if bool(rank.options) == bool(listed.option_columns):
        raise InputError(
            f"task.rank.options={list(rank.options)} of task {task.name}: a task needs them if its "
            "rows have no options of their own, and only then. Add or remove them."
        )
    if rank.options and len(rank.options) != task.num_labels:
        raise InputError(
            f"task.rank.options={list(rank.options)}: {len(rank.options)} options for the "
            f"{task.num_labels} classes of task {task.name}. Give one per class, in class order."
        )
    known = set(listed.columns)
    if not question.columns or not set(question.columns) <= known:
        raise InputError(
            f"task.rank.template={rank.template!r}: must name columns of task.prompt.template "
            f"({', '.join(sorted(known))}) in braces, and not the options."
        )
    if task.prompt.truncate is not None and task.prompt.truncate not in question.columns:
        raise InputError(
            f"task.prompt.truncate={task.prompt.truncate!r}: is not in task.rank.template. Name "
            f"one of its columns ({', '.join(question.columns)})."
        )
    return RankPrompt(question, rank)


def names_in(template: str, field: str) -> tuple[str, ...]:
    """Return the names in a template's braces. Raises InputError if these contain anything else."""
    try:
        parts = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise InputError(
            f"{field}: {template!r} is not a valid template ({error}). Write {{{{ for a brace."
        ) from error
    for name, code, conversion in parts:
        if code or conversion or not name or set(name) & set(".["):
            raise InputError(
                f"{field}: {template!r} has braces with {name!r} in them. Allowed is the name of a "
                "column, e.g. {question}, without format code, index or attribute."
            )
    return tuple(dict.fromkeys(name for name, _, _ in parts if name))


def descend(row: Mapping[str, Any], path: str) -> Sequence[Any]:
    """Return the list at a dotted path into a struct of lists or a list of structs, or nothing."""
    value: Any = row
    for name in path.split("."):
        if isinstance(value, list):
            value = [item[name] for item in value]
        else:
            value = None if value is None else value[name]
    return () if value is None else value


def digest_of(parts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain values, independent of the order of their keys."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
