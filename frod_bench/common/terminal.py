"""Consoles that print text as it is.

An error's message, a file's name or a column may hold square brackets, which rich would read as its
markup: `[word]` would vanish and `[/path]` raise. `:key:` would become a picture.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console without markup, emoji and guessed colours; `width` in columns, if it is fixed."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1
) -> Table:
    """Return a table for a terminal; the first `texts` columns are left-aligned, numbers right."""
    found = Table(title=title, title_justify="left")
    for number, name in enumerate(header):
        is_text = number < texts
        found.add_column(
            name, justify="left" if is_text else "right", overflow="fold" if is_text else "ellipsis"
        )
    for row in rows:
        found.add_row(*row)
    return found
