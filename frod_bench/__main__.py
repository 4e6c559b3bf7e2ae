"""The front door: `frod-bench VERB`, the same as `python -m frod_bench VERB`."""

import sys

from frod_bench.cli import help as cli_help
from frod_bench.cli.verbs import BY_NAME
from frod_bench.common.errors import did_you_mean


def main() -> None:
    """Hand the command line on to its verb; only what is asked for is imported."""
    words = sys.argv[1:]
    if not words:
        print(cli_help.overview())
        return
    verb = words[0] if words[0] in BY_NAME else None
    cli_help.answer(verb, words)
    if verb is None:
        _refuse_unknown(words[0])
        verb = "run"
    else:
        words = words[1:]
    _start(verb, words)


def _refuse_unknown(word: str) -> None:
    """A word that is neither a verb nor an override nor a flag is a misspelt verb."""
    if "=" not in word and not word.startswith(("-", "+", "~")):
        hint = did_you_mean(word, BY_NAME)
        print(f"error: {word!r}: is not a verb of frod-bench.{hint}", file=sys.stderr)
        sys.exit(2)


def _start(verb: str, words: list[str]) -> None:  # noqa: PLR0912  (a branch for each verb)
    match verb:
        case "run":
            from frod_bench.jobs.run import start
        case "reproduce":
            from frod_bench.jobs.reproduce import start
        case "verify":
            from frod_bench.jobs.verify import start
        case "tune":
            from frod_bench.jobs.tune import start
        case "calibrate":
            from frod_bench.jobs.calibrate import start
        case "ls":
            from frod_bench.jobs.listing import start
        case "validate":
            from frod_bench.jobs.validate import start
        case "report":
            from frod_bench.report.command import start
        case "compare":
            from frod_bench.compare.command import start
        case "plan":
            from frod_bench.plan.command import start
        case "analyze":
            from frod_bench.analyses.command import start
        case "mirror":
            from frod_bench.mirror.command import start
        case "embedded":
            from frod_bench.embedded.command import start
        case "bench":
            from frod_bench.bench.command import start
        case _:
            from frod_bench.cli.cache import start
    start(words)


if __name__ == "__main__":
    main()
