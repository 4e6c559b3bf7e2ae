"""One grammar for every command line: `[ACTION] key=value ... [--flag]`.

A verb's own keys are read here, by their name or an alias; all other `key=value` words of a verb
that composes a configuration are overrides of it, which Hydra checks. `--key value` and
`--key=value` are other spellings of `key=value`.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from frod_bench.cli.verbs import BY_NAME, Key, Verb
from frod_bench.common.errors import InputError, did_you_mean

MULTIRUN = ("-m", "--multirun")  # allowed and superfluous: these verbs always take a grid


@dataclass
class Arguments:
    """A command line, taken apart.

    Attributes:
        actions: the first words, if the verb has actions: one, or several if the verb allows it.
        values: the verb's own keys by their name; a key that was not given is absent.
        flags: the verb's flags that were given, with their dashes.
        overrides: the words for Hydra, in the order given.
    """

    actions: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    overrides: list[str] = field(default_factory=list)

    @property
    def action(self) -> str | None:
        """The one action; None if none was given."""
        return self.actions[0] if self.actions else None

    def names(self, key: str) -> list[str] | None:
        """The distinct items of a list, written `a,b` or `[a,b]`; None if it was not given."""
        return list(dict.fromkeys(items(self.values[key]))) if key in self.values else None

    def integers(self, key: str) -> list[int] | None:
        """As `names`, for whole numbers. Raises InputError for anything else."""
        names = self.names(key)
        if names is None:
            return None
        if all(name.isdecimal() for name in names):
            return [int(name) for name in names]
        raise InputError(
            f"{key}={self.values[key]}: is not a whole number or a list of them, e.g. {key}=0,1,2."
        )

    def integer(self, key: str, least: int) -> int | None:
        """A whole number; None if it was not given. Raises InputError for one below `least`."""
        value = self.values.get(key)
        if value is None or (value.isdecimal() and int(value) >= least):
            return None if value is None else int(value)
        raise InputError(f"{key}={value}: must be a whole number of at least {least}.")


def parse(verb_name: str, words: Sequence[str]) -> Arguments:
    """Take a command line apart.

    Raises InputError for an unknown action, key or flag, with the nearest known one; and for a key
    that is given twice, without a value, or with one that is not a choice.
    """
    verb, found, left = BY_NAME[verb_name], Arguments(), list(words)
    while left and _can_be_action(verb, found, left[0]):
        action = left.pop(0)
        if action not in verb.actions:
            hint = did_you_mean(action, verb.actions)
            raise InputError(f"{action!r}: is not an action of {verb.name}.{hint}")
        found.actions.append(action)
    own = own_keys(verb)
    while left:
        word = left.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        is_option = word.startswith("-")
        if word in MULTIRUN and verb.composes:
            continue
        if is_option and any(word == key.name for key in verb.keys):
            found.flags.add(word)
        elif name in own and (equals or (is_option and left)):
            _set(found, own[name], value if equals else left.pop(0))
        elif verb.composes and not is_option and (equals or word.startswith("~")):
            found.overrides.append(word)
        else:
            _refuse(verb, word, name if equals else word)
    return found


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn bad input into a message and status 2; `exit_statuses` without importing Hydra."""
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def own_keys(verb: Verb) -> dict[str, Key]:
    """The keys that the verb reads itself, by each of their names."""
    return {
        name: key
        for key in verb.keys
        if (key.own or not verb.composes) and key.name.islower() and not key.name.startswith("-")
        for name in (key.name, *key.aliases)
    }


def items(value: str) -> list[str]:
    """The items of `a,b` or `[a,b]`, without quotes."""
    return [item.strip(" '\"") for item in value.strip("[]").split(",")]


def _can_be_action(verb: Verb, found: Arguments, word: str) -> bool:
    room = verb.several_actions or not found.actions
    return bool(verb.actions) and room and "=" not in word and not word.startswith("-")


def _set(found: Arguments, key: Key, value: str) -> None:
    if key.name in found.values:
        raise InputError(f"{key.name}: is given twice. Name it once, {key.name}=VALUE.")
    if not value.strip("[]"):
        raise InputError(f"{key.name}: is empty. Give it a value, {key.name}=VALUE.")
    for item in (items(value) if key.several else [value]) if key.choices else []:
        if item not in key.choices:
            hint = did_you_mean(item, key.choices)
            raise InputError(f"{key.name}={value}: {item!r} is unknown.{hint}")
    if value != "null":
        found.values[key.name] = value


def _refuse(verb: Verb, word: str, name: str) -> None:
    flags = [key.name for key in verb.keys if key.name.startswith("-")]
    known = [key.name for key in verb.keys if key.name[0].islower()]
    if "=" not in word and not word.startswith("-"):
        hint = f" Write {word}=VALUE." if word in known else did_you_mean(word, known)
        raise InputError(f"{word!r}: is not key=value.{hint}")
    kind, allowed = ("a flag", flags + known) if word.startswith("-") else ("a key", known)
    raise InputError(f"{name!r}: is not {kind} of {verb.name}.{did_you_mean(name, allowed)}")
