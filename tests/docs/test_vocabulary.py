"""Docs, docstrings, comments and messages use the standard words of the field."""

import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "frod_bench").rglob("*.py"),
    *(ROOT / "tools").rglob("*.py"),
]
INSTEAD_OF = {
    r"stand-ins?\b": "synthetic data",
    r"\bbeside (it|them)\b": "next to it, with it",
    r"\bat hand\b|\bto be had\b": "available",
    r"\bgoes on from\b": "resumes from",
    r"\b(?<![Tt]here )(is|are|was|were) no (?!longer\b|more\b|less\b)[a-z]+": "is not a",
    r"\b(is|are|be) told (below|too|once|on|in|to|of)\b": "is reported",
    r"\b(is|are|was|were) not there\b|\b(which|that) are there\b": "missing, existing",
    r"\blies? (beside|here|there|among)\b|\bwhere (it|they) lies?\b": "is",
    r"\b[Ww]here there (is|are) (no|none|nothing)\b": "if there is no",
    r", say[.,)]": "e.g.",
    r"\ba (cell|task|method) a (cell|task|method|seed)\b": "one per",
}
EXEMPT = {
    'synthetic data "stand-in"',  # the title in records of versions before 0.2.0
    "stand-in data",
    "two misses are no ratio",  # in the published tables
}


@functools.cache
def prose(path: Path) -> tuple[tuple[int, str], ...]:
    """Numbers and lines of a page, or of the comments and strings of a module."""
    text = path.read_text("utf-8")
    return tuple(enumerate(text.splitlines(), 1) if path.suffix == ".md" else quoted(text))


def quoted(text: str) -> Iterator[tuple[int, str]]:
    """Iterate over numbers and lines of a module's comments and strings."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


@pytest.mark.parametrize("odd", INSTEAD_OF)
def test_standard_words_are_used(odd: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in prose(path)
        if re.search(odd, line) and not any(words in line for words in EXEMPT)
    ]
    assert not found, f"write {INSTEAD_OF[odd]!r}:\n" + "\n".join(found)
