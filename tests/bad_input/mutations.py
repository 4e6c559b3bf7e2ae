"""Strategies that damage a sound file: its bytes, or one value of its JSON."""

import copy
import os
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# More by FUZZ_EXAMPLES=2000, for a night.
FEW = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
ODD_NUMBERS = (0, -1, 1e308, -1e308, float("nan"), float("inf"), 10**30, 2**63, True)
ODD_TEXTS = ("", "..", "../x", "/etc/passwd", "a\0b", "\ud800", "\x1b[2J", "a" * 300, "${x}", "$\\")
ODD = st.sampled_from([None, *ODD_NUMBERS, *ODD_TEXTS])
VALUES = st.recursive(
    ODD | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PIECES = st.binary(max_size=6) | st.sampled_from(
    [b"\xff\xfe", b"\0", b"[" * 3000, b"{" * 3000, b"9" * 5000, b"NaN", b"1e999", b"\n", b"&a [*a]"]
)
# What is done: where (as a share of the size), what is put in, and how much it replaces.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), PIECES, st.sampled_from([0, 1, 8, 10**9])), min_size=1, max_size=3
)
CONTENTS = st.binary(max_size=64) | CHANGES


def damaged(content: bytes, change: bytes | list[tuple[float, bytes, int]]) -> bytes:
    """A file's content after changes, or another content."""
    if isinstance(change, bytes):
        return change
    for share, piece, length in change:
        at = int(share * len(content))
        content = content[:at] + piece + content[at + length :]
    return content


def places(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document, its own included."""
    yield before
    entries = dict(enumerate(document)) if isinstance(document, list) else document
    for key, value in entries.items() if isinstance(entries, dict) else ():
        yield from places(value, (*before, key))


def changed(document: Any, place: float, value: Any) -> Any:
    """A document with another value at one of its places (as a share of all of them); a value that
    is the text `..` removes the old one.
    """
    found = list(places(document))
    path = found[min(int(place * len(found)), len(found) - 1)]
    if not path:
        return value
    made = node = copy.deepcopy(document)
    for key in path[:-1]:
        node = node[key]
    if value == "..":
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return made
