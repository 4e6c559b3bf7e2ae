"""The collector of cycles, which walks through all objects again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector(*, runs: bool) -> Iterator[None]:
    """Let the collector run or rest. Modules and records have no cycles to collect: of the time of
    ten thousand records, which are a million objects, it takes an eighth. Figures have many, each
    with its pixels: while it runs, it walks through what is made within, and not through the rest,
    beside which it would find a figure too small to look for.
    """
    was_enabled = gc.isenabled()
    (gc.enable if runs else gc.disable)()
    freezes = runs and not gc.get_freeze_count()
    if freezes:
        gc.freeze()
    try:
        yield
    finally:
        if freezes:
            gc.unfreeze()
        (gc.enable if was_enabled else gc.disable)()
