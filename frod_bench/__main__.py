"""The front door: `frod-bench VERB`, the same as `python -m frod_bench VERB`."""

import sys
from importlib import import_module

from frod_bench.cli import help as cli_help
from frod_bench.cli.exits import exit_statuses
from frod_bench.cli.verbs import BY_NAME
from frod_bench.common.errors import InputError, did_you_mean
from frod_bench.common.garbage import collector

# Verb -> its module in jobs/, for the verbs that have no package of their own.
JOBS = {"validate": "run", "verify": "verify", "calibrate": "calibrate"}
JOBS |= {"run": "run", "reproduce": "reproduce", "ls": "ls", "cache": "ls", "archive": "archive"}
JOBS |= {"prune": "prune", "rehearse": "rehearse"}
ROOMS = {"analyze": "analyses", "tune": "tuning"}  # verb -> its package, if the names differ
RESUMES = set(BY_NAME) - {
    "ls",
    "cache",
    "validate",
    "plan",
    "compare",
    "archive",
    "prune",
    "rehearse",
    "verify",
}  # these keep nothing of an interrupted command


def main(verb: str | None = None) -> None:
    """Run `verb`, by default the first word of the command line, and exit with its status."""
    words = sys.argv[1:]
    with exit_statuses(resumes=False):
        if verb is None:
            verb, words = _verb_of(words)
        cli_help.answer(verb, words)
    with exit_statuses(resumes=verb in RESUMES):
        with collector(runs=False):  # only the module of the verb is imported
            if verb in JOBS:
                start = getattr(import_module(f"frod_bench.jobs.{JOBS[verb]}"), verb)
            else:
                start = import_module(f"frod_bench.{ROOMS.get(verb, verb)}.command").start
        start(words)


def _verb_of(words: list[str]) -> tuple[str, list[str]]:
    """Return the verb and its words; the verb is `run` if the line begins with key=value words.

    A request for help, the version or completion is answered here, and ends the process.
    """
    words = words or ["--help"]
    first, *others = words
    if first in BY_NAME:
        return first, others
    if first == "--complete":
        print("\n".join(cli_help.candidates(" ".join(others))))
        sys.exit(0)
    if first == "--completion":
        if others[:1] not in ([], ["bash"]):
            raise InputError(f"--completion {others[0]}: is not supported. Allowed: bash.")
        print(cli_help.BASH_COMPLETION, end="")
        sys.exit(0)
    cli_help.answer(None, words)
    if "=" not in first and not first.startswith(("-", "+", "~")):
        hint = did_you_mean(first, BY_NAME)
        raise InputError(f"{first!r}: is not a verb of frod-bench.{hint}")
    return "run", words


if __name__ == "__main__":
    main()
