"""Errors that a user can fix, and the parts of their messages."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class InputError(ValueError):
    """Bad input: exit status 2. The message names the field, its value, what is allowed and what to
    do; nothing has been written when it is raised.
    """


class CellsRefused(InputError):  # noqa: N818  (as CellsFailed)
    """Bad input of some cells of a grid; the others ran, and there may be much to report."""


class DoesNotFitError(InputError):
    """A method finds nothing in a backbone that it could train; in others it does."""


class NeedsValuesError(InputError):
    """A method is set up from the values of weights, and a plan has shapes alone."""


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """End of a message about an unknown `name`: the nearest allowed name, and all of them."""
    names = sorted(allowed)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{hint} Allowed: {', '.join(names)}."


def input_error_behind(error: BaseException | None) -> InputError | None:
    """The InputError that led to an error: OmegaConf wraps what a resolver raises, and keeps it as
    the context only.
    """
    while error is not None and not isinstance(error, InputError):
        error = error.__context__
    return error


class CellsFailed(RuntimeError):  # noqa: N818  (a result, not a programming error)
    """Some runs failed or diverged; each has a record with the reason. Exit status 1."""


class Detached(Exception):  # noqa: N818  (neither an error)
    """The command leaves its runs to jobs that do not need it. Exit status 0, and no report."""


class Lack(NamedTuple):
    """Something that is missing in a folder for data or backbones."""

    where: str
    what: str
    advice: str


class MissingInputError(InputError):
    """Everything that is missing in the folders for data or backbones, in one message."""

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
