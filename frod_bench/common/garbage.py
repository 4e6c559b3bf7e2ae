"""Python's garbage collector, which walks through all objects again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector(*, runs: bool) -> Iterator[None]:
    """Let the garbage collector run or rest while the body runs.

    Modules and records have no cycles to collect. For ten thousand records, which are a million
    objects, the collector would take an eighth of the time. Figures have many cycles, and each
    holds its pixels. If the collector runs, it walks only through objects that the body makes: next
    to all other objects, a figure would be too small to start a collection.
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
