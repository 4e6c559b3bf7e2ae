"""Completion in bash: verbs, actions, keys and the names of tasks, methods and other groups.

`frod-bench --completion bash` prints a script that asks `frod-bench --complete LINE` for the words
that can follow. To switch it on: `eval "$(frod-bench --completion bash)"`, e.g. in ~/.bashrc.
"""

from frod_bench.cli.verbs import BY_NAME, Key
from frod_bench.common.errors import InputError
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR

SCRIPT = """\
_frod_bench() {
  local IFS=$'\\n'
  COMPREPLY=($(frod-bench --complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o nospace -o default -F _frod_bench frod-bench
"""


def script(shell: str) -> str:
    """The script for a shell. Raises InputError for any but bash."""
    if shell != "bash":
        raise InputError(f"--completion {shell}: is not supported. Allowed: bash.")
    return SCRIPT


def candidates(line: str) -> list[str]:
    """What can stand in place of the last word of `line`; after a `=`, of what follows it.

    Bash breaks words at `=`, so a value is completed without its key.
    """
    _, *before, last = line.split(" ")
    verb = BY_NAME.get(before[0] if before else "", BY_NAME["run"])
    key, equals, value = last.partition("=")
    if equals:
        done = value[: value.rfind(",") + 1]
        [*known] = (done + name for k in verb.keys if k.name == key for name in values_of(k))
        return [name for name in known if name.startswith(value)]
    words = [f"{k.name}=" for k in verb.keys if k.name[0].islower()]
    words += [f"{k.name} " for k in verb.keys if k.name.startswith("-")]
    if not before:
        words = [f"{name} " for name in BY_NAME]
    elif len(before) == 1:
        words += [f"{action} " for action in verb.actions]
    return sorted(word for word in words if word.startswith(last))


def values_of(key: Key) -> list[str]:
    """The known values of a key: its choices, or the files of the group of its name."""
    folder = EXPERIMENTS_DIR if key.name == "experiment" else CONF_DIR / key.name
    return list(key.choices) or sorted(path.stem for path in folder.glob("*.yaml"))
