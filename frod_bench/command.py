"""`frod-bench`: a cell or a grid of them (`run`), or `frod-bench cache` (`cache_command`)."""

import sys


def main() -> None:
    """Hand the command line on; only what is asked for is imported."""
    if sys.argv[1:2] == ["cache"]:
        from frod_bench import cache_command

        cache_command.main(sys.argv[2:])
    else:
        from frod_bench import run

        run.main()
