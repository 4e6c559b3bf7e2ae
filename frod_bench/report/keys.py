"""The typed keys of what a report has rows, columns and groups of. Nothing here imports pandas: a
command that has nothing to report needs these and no frame.
"""

from typing import NamedTuple


class Task(NamedTuple):
    """A row of a table: a task under one head. The same task under two heads is two rows."""

    task: str
    head: str = "classify"


class Family(NamedTuple):
    """A group of tasks under one head, over which means are taken."""

    family: str
    head: str = "classify"


class Method(NamedTuple):
    """A column of a table: a method, a variant of it, and the side if two are compared: a folder, A
    or B, or `here` next to `published`.
    """

    method: str
    variant: str = ""
    side: str = ""


class Run(NamedTuple):
    """One training run of a frame: the key of its curve and its provenance."""

    task: Task
    method: Method
    seed: int


FROZEN = Method("frozen")  # the backbone with a head that is trained on it
TASK_KEY, FAMILY_KEY, METHOD_KEY = (list(key._fields) for key in (Task, Family, Method))
