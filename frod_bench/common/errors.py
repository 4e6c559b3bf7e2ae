"""Errors that a user can mend, and the words they are told in."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class InputError(ValueError):
    """Bad input: one message that names the field, its value, what is allowed and what to do.

    The command line turns it into exit status 2; nothing has been written when it is raised.
    """


class CellsRefused(InputError):  # noqa: N818  (as CellsFailed)
    """The input of some of a grid's cells is bad, the others ran: there may be much to report."""


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """End of a message about an unknown `name`: the nearest allowed name, and all of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Allowed: {', '.join(names)}."


class CellsFailed(RuntimeError):  # noqa: N818  (a result, told in its own words)
    """Some cells did not end well; each has a record that says why. Exit status 1."""


class Lack(NamedTuple):
    """What a folder that was named for data or backbones lacks."""

    where: str
    what: str
    advice: str


class MissingInputError(InputError):
    """Folders that were named for data or backbones lack some; all of it in one message."""

    def __init__(self, lacks: Iterable[Lack]) -> None:
        self.lacks = tuple(dict.fromkeys(lacks))
        by_place: dict[tuple[str, str], list[str]] = {}
        for lack in self.lacks:
            by_place.setdefault((lack.where, lack.advice), []).append(lack.what)
        super().__init__(
            " ".join(
                f"{where}: has no {'; no '.join(whats)}. {advice}"
                for (where, advice), whats in by_place.items()
            )
        )
