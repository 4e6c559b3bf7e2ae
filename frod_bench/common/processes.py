"""The processes that train a cell together, and the role of this one, by torchrun's variables."""

import os


def count() -> int:
    """The number of processes, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the first of all processes, the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def is_first_here() -> bool:
    """Whether this is the first process on its machine, the one that prints."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
