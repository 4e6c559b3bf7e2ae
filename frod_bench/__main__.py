"""The front door: `frod-bench VERB`, the same as `python -m frod_bench VERB`."""

import sys
from importlib import import_module

from frod_bench.cli import completion
from frod_bench.cli import help as cli_help
from frod_bench.cli.arguments import usage_errors
from frod_bench.cli.verbs import BY_NAME
from frod_bench.common.errors import InputError, did_you_mean

# Only the module of the verb that is asked for is imported.
MODULES = {
    "run": "jobs.run",
    "reproduce": "jobs.reproduce",
    "verify": "jobs.verify",
    "report": "report.command",
    "compare": "compare.command",
    "plan": "plan.command",
    "tune": "jobs.tune",
    "calibrate": "jobs.calibrate",
    "analyze": "analyses.command",
    "mirror": "mirror.command",
    "embedded": "embedded.command",
    "bench": "bench.command",
    "cache": "cli.cache",
    "ls": "jobs.listing",
    "validate": "jobs.validate",
}


def main(verb: str | None = None) -> None:
    """Hand the command line on to its verb.

    Args:
        verb: its name, if the module that was started fixes it; None reads it off the first word.
    """
    words = sys.argv[1:]
    if verb is None:
        if not words:
            print(cli_help.overview())
            return
        if words[0] in BY_NAME:
            verb, *words = words
        else:
            _answer(words)
            verb = "run"
    cli_help.answer(verb, words)
    import_module(f"frod_bench.{MODULES[verb]}").start(words)


def _answer(words: list[str]) -> None:
    """Answer what is asked without a verb; refuse a first word that is a misspelt verb."""
    first, *others = words
    if first == "--complete":
        print("\n".join(completion.candidates(*others)))
        sys.exit(0)
    with usage_errors():
        if first == "--completion":
            print(completion.script(*others[:1] or ["bash"]), end="")
            sys.exit(0)
        cli_help.answer(None, words)
        if "=" not in first and not first.startswith(("-", "+", "~")):
            hint = did_you_mean(first, BY_NAME)
            raise InputError(f"{first!r}: is not a verb of frod-bench.{hint}")


if __name__ == "__main__":
    main()
