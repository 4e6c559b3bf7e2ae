"""Consoles that print text unchanged: messages and file names may contain `[word]` and `:key:`."""

from rich.console import Console


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console without markup, emoji and guessed colours; `width` in columns, if it is fixed."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
