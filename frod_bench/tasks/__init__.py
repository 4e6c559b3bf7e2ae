"""A task's configuration -> train, validation and test rows, and their collation."""

from frod_bench.tasks.load import Counts, TaskData, load_task
from frod_bench.tasks.rows import Row, Split

__all__ = ["Counts", "Row", "Split", "TaskData", "load_task"]
