"""`--help`, `--version` and completion in bash, answered before anything slow is imported."""

import sys
from collections.abc import Sequence
from textwrap import fill

from frod_bench import __version__
from frod_bench.cli.verbs import BY_NAME, VERBS, Key, Verb
from frod_bench.common.paths import CONF_DIR, EXPERIMENTS_DIR

WIDTH = 80
EXIT_STATUSES = (
    "Exit status: 0; 1 if a run failed; 2 for bad input; 130 if interrupted;\n"
    "143 if stopped by SIGTERM or SIGUSR1."
)
# Asks `frod-bench --complete LINE` for the words that can follow.
BASH_COMPLETION = """\
_frod_bench() {
  local IFS=$'\\n'
  COMPREPLY=($(frod-bench --complete "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
complete -o nospace -o default -F _frod_bench frod-bench
"""


def answer(name: str | None, words: Sequence[str]) -> None:
    """Print help of a verb (None: of all) or the version, and exit, if `words` ask for either."""
    if "--version" in words:
        print(f"frod-bench {__version__}")
        sys.exit(0)
    if "-h" in words or "--help" in words:
        print(overview() if name is None else of_verb(BY_NAME[name]))
        sys.exit(0)


def overview() -> str:
    """The help of `frod-bench`: one line per verb."""
    return f"""\
frod-bench VERB [key=value ...]    the same as python -m frod_bench VERB

Reproduce FRoD against LoRA, DoRA and full fine-tuning on 20 benchmarks.

{_table([Key(verb.name, "", verb.purpose) for verb in VERBS])}

frod-bench VERB --help explains a verb; frod-bench --version prints the version.
Without a verb, key=value words are those of run.
Completion in bash: eval "$(frod-bench --completion bash)", e.g. in ~/.bashrc.
{EXIT_STATUSES}"""


def of_verb(verb: Verb) -> str:
    """A verb's help: purpose, examples, keys with their defaults."""
    examples = "\n".join(f"  frod-bench {example}" for example in verb.examples)
    return f"""\
frod-bench {verb.name}: {verb.purpose}

Examples
{examples}

Keys, with their defaults
{_table(verb.keys)}

{EXIT_STATUSES}
More: {verb.more}"""


def _table(keys: Sequence[Key]) -> str:
    column = max(len(key.name) for key in keys) + 4
    lines = []
    for key in keys:
        text = key.meaning + (f" [{key.default}]" if key.default else "")
        name = f"  {key.name}".ljust(column)
        lines.append(fill(text, WIDTH, initial_indent=name, subsequent_indent=" " * column))
    return "\n".join(lines)


def candidates(line: str) -> list[str]:
    """What can replace the last word of `line`, or its value: bash breaks words at `=`."""
    *before, last = line.split(" ")[1:] or [line]
    verb = BY_NAME.get(before[0] if before else "", BY_NAME["run"])
    name, equals, value = last.partition("=")
    if equals:
        done = value[: value.rfind(",") + 1]
        words = [done + known for key in verb.keys if key.name == name for known in _values_of(key)]
        return [word for word in words if word.startswith(value)]
    words = [f"{key.name}=" for key in verb.keys if key.name[0].islower()]
    words += [f"{key.name} " for key in verb.keys if key.name.startswith("-")]
    if not before:
        words = [f"{verb_name} " for verb_name in BY_NAME]
    elif len(before) == 1:
        words += [f"{action} " for action in verb.action.choices]
    return sorted(word for word in words if word.startswith(last))


def _values_of(key: Key) -> list[str]:
    """The choices of a key, or the files of the group of its name."""
    folder = EXPERIMENTS_DIR if key.name == "experiment" else CONF_DIR / key.name
    return list(key.choices) or sorted(path.stem for path in folder.glob("*.yaml"))
