"""`--help` and `--version` of every command, answered before anything slow is imported."""

import sys
from collections.abc import Sequence
from textwrap import wrap

from frod_bench import __version__
from frod_bench.cli.verbs import BY_NAME, VERBS, Key, Verb

WIDTH = 80
HELP, VERSION = {"-h", "--help"}, {"--version"}
EXIT_STATUSES = "Exit status: 0; 1 if a run failed; 2 for bad input; 130 if interrupted."


def answer(name: str | None, words: Sequence[str]) -> None:
    """Print help or version and exit with status 0, if `words` ask for either.

    Args:
        name: the verb; None is the front door.
    """
    asked = set(words)
    if asked & VERSION:
        print(f"frod-bench {__version__}")
        sys.exit(0)
    if asked & HELP:
        print(overview() if name is None else of_verb(BY_NAME[name]))
        sys.exit(0)


def overview() -> str:
    """The help of `frod-bench`: one line per verb."""
    return "\n".join(
        [
            "frod-bench VERB [key=value ...]    the same as python -m frod_bench VERB",
            "",
            "Reproduce FRoD against LoRA, DoRA and full fine-tuning on 20 benchmarks.",
            "",
            *_table([Key(verb.name, "", verb.purpose) for verb in VERBS]),
            "",
            "frod-bench VERB --help explains a verb; frod-bench --version prints the version.",
            "Without a verb, key=value words are those of run.",
            'Completion in bash: eval "$(frod-bench --completion bash)", e.g. in ~/.bashrc.',
            EXIT_STATUSES,
        ]
    )


def of_verb(verb: Verb) -> str:
    """A verb's help: purpose, examples, keys with their defaults."""
    return "\n".join(
        [
            f"frod-bench {verb.name}: {verb.purpose}",
            "",
            "Examples",
            *(f"  {example}" for example in verb.examples),
            "",
            "Keys, with their defaults",
            *_table(verb.keys),
            "",
            f"{EXIT_STATUSES}",
            f"More: {verb.more}",
        ]
    )


def _table(keys: Sequence[Key]) -> list[str]:
    column = max(len(key.name) for key in keys) + 4
    lines = []
    for key in keys:
        text = key.meaning + (f" [{key.default}]" if key.default else "")
        first, *others = wrap(text, WIDTH - column)
        lines.append(f"  {key.name:<{column - 2}}{first}")
        lines += [" " * column + other for other in others]
    return lines
