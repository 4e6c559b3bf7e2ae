"""Consoles that print text as it is.

An error's message, a file's name or a column may hold square brackets, which rich would read as its
markup: `[word]` would vanish and `[/path]` raise. `:key:` would become a picture.
"""

from rich.console import Console


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console without markup, emoji and guessed colours; `width` in columns, if it is fixed."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
