"""One grammar for every command line: `[ACTION] key=value ... [--flag]`.

A verb reads its own keys, by their name or an alias; all other `key=value` words of a verb that
composes a configuration are Hydra's. `--key value` and `--key=value` also mean `key=value`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from frod_bench.cli.exits import keys, unknown_key
from frod_bench.cli.verbs import BY_NAME, Key, Verb
from frod_bench.common import secrets
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.paths import at_home, check_path

MULTIRUN = ("-m", "--multirun")  # allowed and superfluous: these verbs always take a grid
# Keys whose values are paths, or may be, several as a,b.
PATHS = (
    *("results_root", "data_root", "model_root", "folder", "folders", "root", "out", "out_dir"),
    *("against", "task", "method", "published"),
)
AT_HOME = re.compile(r"(?P<before>(?:^|[\[,])[\s'\"]*)(?P<path>~[^\],'\"]*)")  # also of [a,'b']
DIGITS = 10  # of whole numbers


@dataclass
class Arguments:
    """A command line, taken apart; what was not given is absent."""

    actions: list[str] = field(default_factory=list)  # several, if the verb allows it
    values: dict[str, str] = field(default_factory=dict)  # of the verb's own keys, by their name
    flags: set[str] = field(default_factory=set)  # with their dashes
    overrides: list[str] = field(default_factory=list)  # the words for Hydra, in the order given

    @property
    def action(self) -> str | None:
        """The one action; None if none was given."""
        return self.actions[0] if self.actions else None

    def grid(self, experiment: str) -> list[str]:
        """The overrides, with a default experiment."""
        has_one = any(word.startswith("experiment=") for word in self.overrides)
        return self.overrides if has_one else [f"experiment={experiment}", *self.overrides]

    def names(self, key: str) -> list[str] | None:
        """The distinct items of a list, written `a,b` or `[a,b]`; None if it was not given."""
        return list(dict.fromkeys(items(self.values[key]))) if key in self.values else None

    def integers(self, key: str) -> list[int] | None:
        """As `names`, for whole numbers. Raises InputError for anything else."""
        names = self.names(key)
        if names is None:
            return None
        if all(name.isdecimal() and len(name) <= DIGITS for name in names):
            return [int(name) for name in names]
        raise InputError(
            f"{key}={self.values[key]}: is not a whole number or a list of them, e.g. {key}=0,1,2."
        )

    def integer(self, key: str, least: int) -> int | None:
        """A whole number; None if it was not given. Raises InputError for one below `least`."""
        value = self.values.get(key)
        if value is None:
            return None
        if value.isdecimal() and len(value) <= DIGITS and int(value) >= least:
            return int(value)
        raise InputError(f"{key}={value}: must be a whole number of at least {least}.")


def prepared(words: Sequence[str]) -> list[str]:
    """The words with `~` in paths replaced, which a shell does not do after `=`. Raises InputError
    for a secret, and for a home folder that does not exist.
    """
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        secrets.refuse(key if equals else "A word", word)
        if equals and key.lstrip("-+") in PATHS and "~" in value:
            value = _at_home(key, value)
        found.append(f"{key}{equals}{value}")
    return found


def _at_home(key: str, value: str) -> str:
    """The value with `at_home` of each path in it."""
    return AT_HOME.sub(lambda one: one["before"] + at_home(key, one["path"]), value)


def parse(verb_name: str, words: Sequence[str]) -> Arguments:
    """Take a command line apart.

    Raises InputError for an unknown action, key or flag, and names the nearest known one; for a key
    that is given twice, that has no value, or whose value is not allowed; for a value that cannot
    be the path of a folder; and if `prepared` does.
    """
    verb, found, left = BY_NAME[verb_name], Arguments(), prepared(words)
    actions = verb.action.choices
    while left and "=" not in left[0] and not left[0].startswith("-"):
        if not actions or (found.actions and not verb.action.several):
            break
        if left[0] not in actions:
            hint = did_you_mean(left[0], actions)
            raise InputError(f"{left[0]!r}: is not an action of {verb.name}.{hint}")
        found.actions.append(left.pop(0))
    while left:
        word = left.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        is_option = word.startswith("-")
        if word in MULTIRUN and verb.composes:
            continue
        if is_option and any(word == key.name for key in verb.keys):
            found.flags.add(word)
        elif name in verb.own_keys and (equals or (is_option and left)):
            _set(found, verb.own_keys[name], value if equals else left.pop(0))
        elif verb.composes and not is_option and (equals or word.startswith("~")):
            if name.isidentifier() and name not in keys():
                raise InputError(unknown_key(name, list(verb.own_keys)))
            found.overrides.append(word)
        else:
            _refuse(verb, word, name if equals else word)
    for name in set(PATHS) & found.values.keys() - {"task", "method"}:
        for item in items(found.values[name]):
            check_path(name, item)
    return found


def items(value: str) -> list[str]:
    """The items of `a,b` or `[a,b]`, without quotes."""
    return [item.strip(" '\"") for item in value.strip("[]").split(",")]


def _set(found: Arguments, key: Key, value: str) -> None:
    if key.name in found.values:
        raise InputError(f"{key.name}: is given twice. Name it once, {key.name}=VALUE.")
    if not value.strip("[]"):
        raise InputError(f"{key.name}: is empty. Give it a value, {key.name}=VALUE.")
    if value == "null":  # the default
        return
    for item in (items(value) if key.several else [value]) if key.choices else []:
        if item not in key.choices:
            hint = did_you_mean(item, key.choices)
            raise InputError(f"{key.name}={value}: {item!r} is unknown.{hint}")
    found.values[key.name] = value


def _refuse(verb: Verb, word: str, name: str) -> None:
    flags = [key.name for key in verb.keys if key.name.startswith("-")]
    known = [key.name for key in verb.keys if key.name[0].islower()]
    if "=" not in word and not word.startswith("-"):
        hint = f" Write {word}=VALUE." if word in known else did_you_mean(word, known)
        raise InputError(f"{word!r}: is not key=value.{hint}")
    kind, allowed = ("a flag", flags + known) if word.startswith("-") else ("a key", known)
    raise InputError(f"{name!r}: is not {kind} of {verb.name}.{did_you_mean(name, allowed)}")
