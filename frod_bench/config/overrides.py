"""The words that Hydra reads, checked before it reads them: its grammar allows more than a command
of ours has a meaning for (`~seed`, `task=null`, `seed=range(0)`), and its errors name no remedy.
"""

import functools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.names import LONGEST, MATCHED_ENDING, is_name
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR
from frod_bench.config.settings import keys

MOST_CELLS = 1_000_000
SHOWN = 200  # characters of a word in a message
# What a grid has one of; all else may differ from cell to cell.
OF_A_GRID = (
    *("results_root", "data_root", "model_root", "runtime", "launcher", "tracker", "figures"),
    *("save", "plan_only", "experiment", "suite"),
)
OWN_FILES = ("method", "task")  # groups of which a file can be named by its path
# Groups that every run has one of; of others a profile may have none.
ALWAYS = ("profile", "protocol", "suite", "task", "method", "tracker", "launcher", "experiment")
PLACE = re.compile(r"backbone@backbones\.\w+")  # the only group that is put at several places
SHOWING = ("--cfg", "-c", "--info", "-i", "--hydra-help")  # flags of Hydra's that run nothing
CFG, PACKAGE = ("--cfg", "-c"), ("--package", "-p")
WITH_CFG = ("--resolve", *PACKAGE)
# Keys of Hydra's own: what does the same, and the only values that are allowed. Others would start
# runs without a plan, write files beside the results, or call what a value names.
INSTEAD = {
    "hydra": "; -m starts a grid",
    "hydra.launcher": "; launcher=ray or launcher=submitit names the engine of a grid",
    "hydra.sweeper": "; -m KEY=a,b makes a grid, and frod-bench tune searches learning rates",
    "hydra.mode": "; -m starts a grid",
    "hydra.run": "; results_root=DIR names the folder of results",
    "hydra.searchpath": "; a file of one's own is named by its path, task=path/to/my_task.yaml",
}
UNUSED = {
    "hydra/launcher": ("basic",),
    "hydra/sweeper": ("basic",),
    "hydra/job_logging": ("none", "disabled"),
    "hydra/hydra_logging": ("none", "disabled"),
    "hydra.mode": ("RUN",),
}
# Flags of Hydra's that are followed by one of these words.
CHOICES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
LONG = {"-c": "--cfg", "-i": "--info"}


def read_overrides(words: Iterable[str]) -> list[Override]:
    """Parse overrides. Raises InputError for a word that is not one, for a group or a key that is
    taken away, for a list of choices in brackets, for a choice that is not a name, and for keys of
    Hydra's own.
    """
    found = [_parsed(word) for word in words]
    for override in found:
        word, key = str(override.input_line), override.get_key_element().lstrip("+~")
        _check_key(word, key)
        if _is_hydras(key):
            if override.is_delete() or override.value() not in UNUSED.get(key, ()):
                own = ".".join(key.partition("@")[0].replace("/", ".").split(".")[:2])
                raise InputError(
                    f"{word}: is not used, since the suite plans a grid, starts its runs and names "
                    f"their files itself. Leave it out{INSTEAD.get(own, '')}."
                )
            continue
        if override.is_delete():
            _check_removed(word, key)
            continue
        _check_place(word, key, adds=override.is_add() or override.is_force_add())
        if not override.is_sweep_override():
            _check_choice(word, key, override.value())
    _check_names(found)
    return found


def names_file(value: str) -> bool:
    """Whether a task or a method is named by the path of its file."""
    return "/" in value or value.endswith((".yaml", ".yml"))


def _check_names(found: Sequence[Override]) -> None:
    """Raise InputError if a task or a method is given the name of another one of the suite, under
    which its records would be kept.
    """
    values = {one.get_key_element(): one.value() for one in found if not one.is_delete()}
    for override in found:
        group, _, rest = override.get_key_element().lstrip("+").partition(".")
        if group not in OWN_FILES or rest != "name" or override.is_delete():
            continue
        value = override.value()
        listed = value.list if isinstance(value, ChoiceSweep) else [value]
        for name in map(str, map(_plain, listed)):
            taken = name.removesuffix(MATCHED_ENDING) if group == "method" else name
            is_suites = is_name(taken) and (groups()[group] / f"{taken}.yaml").is_file()
            if is_suites and values.get(group) != name:
                raise InputError(
                    f"{override.input_line}: is taken by a {group} of the suite. Choose that, "
                    f"{group}={taken}, or give another name."
                )


def refuse_grid(overrides: Iterable[Override]) -> None:
    """Raise InputError if one of the words of a single run lists several values."""
    for override in overrides:
        if override.is_sweep_override():
            raise InputError(f"{override.input_line}: is a grid of several runs: start it with -m.")


def without_flags(words: Sequence[str]) -> list[str]:
    """The words without those flags of Hydra's that print something and run nothing, and without
    what follows such a flag. Raises InputError for others: `--config-dir` and its like would
    replace the suite's configuration, and `--experimental-rerun` unpickles a file.
    """
    flags = [word.partition("=")[0] for word in words if word.startswith("-")]
    allowed = (*SHOWING, *WITH_CFG)
    for flag in flags:
        if flag not in allowed:
            raise InputError(f"{flag}: is not a flag of run.{did_you_mean(flag, allowed)}")
        if flag in WITH_CFG and not set(CFG) & set(flags):
            raise InputError(f"{flag}: is read only with --cfg. Add --cfg job, or leave it out.")
    for flag, value in _with_values(words):
        _check_value(flag, value)
    return [word for word in words if word[:1] != "-" and ("=" in word or not flags)]


def value_of(flags: Sequence[str], words: Sequence[str]) -> str | None:
    """What follows one of `flags`, of which the last counts; None without any."""
    found = [value for flag, value in _with_values(words) if flag in flags]
    return found[-1] if found else None


def _with_values(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each word, up to its =, and what is behind that, or else the next word."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, own = word.partition("=")
        yield name, own or following


def _check_value(flag: str, value: str) -> None:
    """Raise InputError if a flag of Hydra's is to show what there is not."""
    if value.startswith("-"):  # the next flag
        value = ""
    choices, said = CHOICES.get(LONG.get(flag, flag), ()), f"{flag} {value}".rstrip()
    if choices and value not in choices and (value or choices == CHOICES["--cfg"]):
        raise InputError(f"{said}: shows nothing.{did_you_mean(value, choices)}")


def check_grid(overrides: Iterable[Override]) -> None:
    """Raise InputError for choices that make no grid: none, too many, ones that cannot be listed,
    or several values of a key that a grid has one of.
    """
    total, most, widest = 1, 0, ""
    for override in overrides:
        if not override.is_sweep_override():
            continue
        word, key = str(override.input_line), override.get_key_element().lstrip("+")
        if key.partition(".")[0] in OF_A_GRID:
            raise InputError(
                f"{word}: a grid has one {key} for all of its runs. Name one, and start a command "
                "for each other."
            )
        value = override.value()
        if isinstance(value, ChoiceSweep):
            for one in value.list:
                _check_choice(word, key, _plain(one))
        count = _count(word, key, value)
        total *= count
        if count > most:
            most, widest = count, word
    if total > MOST_CELLS:
        raise InputError(
            f"{widest}: the grid has {total:,} runs, more than {MOST_CELLS:,}. Name fewer values, "
            "and start several commands if all of them are meant."
        )


def groups() -> dict[str, Path]:
    """The folder of each config group (task, method, ...)."""
    found = {path.name: path for path in CONF_DIR.iterdir() if path.is_dir()}
    return found | {"experiment": EXPERIMENTS_DIR}


@functools.lru_cache(maxsize=4096)
def _parsed(word: str) -> Override:
    try:
        found = OverridesParser.create().parse_override(word)
        if found.is_sweep_override() or not found.is_delete():
            found.value()  # casts such as int(x) fail here
    except (HydraException, RecursionError, ValueError, ArithmeticError) as error:
        if "=" not in word:
            raise InputError(f"{word}: is not key=value. Write {word}=VALUE.") from error
        reason = str(error).splitlines()[0] if isinstance(error, HydraException) else error
        reason = reason or "it has a character that Hydra's grammar does not allow"
        key, _, value = word.partition("=")
        quoted = f"\"{key}='{value}'\""
        raise InputError(
            f"{word[:SHOWN]}: cannot be read as key=value ({str(reason).rstrip('.')}). Put a value "
            f"with special characters in quotes: {quoted[:SHOWN]}."
        ) from error
    return found


def _is_hydras(key: str) -> bool:
    """Whether a key or a group is one of Hydra's own, or goes to a place among them."""
    name, _, place = key.partition("@")
    places = [name, *(one.rpartition("_global_.")[2] for one in place.split(":"))]
    return any(one.replace("/", ".").split(".")[0] == "hydra" for one in places)


def _check_removed(word: str, key: str) -> None:
    top = key.partition(".")[0]
    if key in keys() or key in groups() or top == "rate_factors":
        advice = f"{key}=none" if key in ("tracker", "experiment") else f"{key}=VALUE"
        raise InputError(f"{word}: cannot be left out, every run has it. Set it, {advice}.")


def _check_key(word: str, key: str) -> None:
    """Raise InputError if a key is empty, or has a part that no key and no file can be named."""
    parts = key.replace("@", ".").replace("/", ".").split(".")
    if not all(1 <= len(part.encode()) <= LONGEST for part in parts):
        raise InputError(
            f"{word[:SHOWN]}: there is no such key: each part of a key has 1 to {LONGEST} bytes. "
            "Name one of `frod-bench run --cfg job`."
        )


def _check_place(word: str, key: str, *, adds: bool) -> None:
    """Raise InputError if a group that every run has is added once more, or goes to a place that
    no run reads.
    """
    group, at, _ = key.partition("@")
    if adds and group in ALWAYS:
        raise InputError(f"{word}: every run has one {group}. Choose it, {group}=NAME.")
    if at and not PLACE.fullmatch(key):
        raise InputError(
            f"{word}: goes to a place that no run reads. Leave the @ and what follows out, or put "
            "a backbone at a family, backbone@backbones.nlu=NAME."
        )


def _check_choice(word: str, key: str, value: object) -> None:
    """Raise InputError unless a value of a group is a name, or the path of a file that may be: by
    any other, Hydra would compose a file of another place.
    """
    folder = groups().get(key.partition("@")[0])
    if folder is None:
        return
    if isinstance(value, str) and (is_name(value) or (key in OWN_FILES and names_file(value))):
        return
    if isinstance(value, list):
        listed = ",".join(map(str, map(_plain, value)))
        grid = f"-m {key}={listed}" if listed else f"-m {key}=NAME,NAME"
        raise InputError(f"{word}: is a list. A grid is written {grid}.")
    names = (path.stem for path in folder.glob("*.yaml"))
    raise InputError(f"{word[:SHOWN]}: names no {key}.{did_you_mean(str(value), names)}")


def _plain(value: object) -> object:
    """A value of a list; what is in quotes is an object of Hydra's there."""
    return getattr(value, "text", value)


def _count(word: str, key: str, value: object) -> int:
    """The number of values of a sweep."""
    if isinstance(value, ChoiceSweep):
        return len(value.list)
    example = f"{key}=range(3) is 0, 1 and 2"
    if not isinstance(value, RangeSweep):
        raise InputError(f"{word}: cannot be listed. Name each value, {key}=a,b; {example}.")
    ends = [float(end) for end in (value.start, value.stop, value.step) if end is not None]
    if not all(map(math.isfinite, ends)) or value.step == 0:
        raise InputError(
            f"{word}: is not a range. Give it finite ends, and a step other than 0; {example}."
        )
    start, stop, step = ends
    count = math.ceil((stop - start) / step)
    if count <= 0:
        raise InputError(
            f"{word}: has no value in it, so there is nothing to run. Name some: {example}."
        )
    return count
