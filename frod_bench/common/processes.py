"""How many processes train a cell together, and which of them this is, by torchrun's variables.

Read before torch is imported. One process alone has none of these variables, and is the first.
"""

import os


def count() -> int:
    """How many processes there are, on all machines."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this is the one that writes: the first of all."""
    return os.environ.get("RANK", "0") == "0"


def is_first_here() -> bool:
    """Whether this is the one that talks: the first on its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
