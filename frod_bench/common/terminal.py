"""Consoles that print text unchanged.

Error messages, file names and columns may contain square brackets, which rich would read as markup:
`[word]` would vanish and `[/path]` raise. `:key:` would become a picture.
"""

from rich.console import Console


def plain_console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console without markup, emoji and guessed colours; `width` in columns, if it is fixed."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
