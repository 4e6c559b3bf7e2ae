"""Consoles that print text unchanged: messages and file names may contain `[word]` and `:key:`.
What a terminal would obey instead of showing it is printed as an escape; secrets are left out.
"""

import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

from frod_bench.common.secrets import redacted

# Control characters, marks of direction and joining, lone surrogates, ends of lines and paragraphs.
OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class PlainConsole(Console):
    """Prints what `shown` makes of every text; styles of rich's own objects stay."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console without markup, emoji and guessed colours; `width` in columns, if it is fixed."""
    return PlainConsole(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def shown(text: str, *, in_a_line: bool = False) -> str:
    """A text as a terminal may show it; `in_a_line` also without line breaks and tabs."""
    kept, spaces = redacted(text), "" if in_a_line else "\n\t"
    lines = [kept] if in_a_line else kept.split("\n")
    if kept.isascii() and all(map(str.isprintable, lines)):
        return kept
    return "".join(
        one if one in spaces or unicodedata.category(one) not in OBEYED else _escaped(one)
        for one in kept
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
