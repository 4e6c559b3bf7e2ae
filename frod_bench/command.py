"""`frod-bench`: a cell or a grid (`run`), `frod-bench verify` or `frod-bench cache`."""

import sys


def main() -> None:
    """Hand the command line on; only what is asked for is imported."""
    if sys.argv[1:2] == ["cache"]:
        from frod_bench import cache_command

        cache_command.main(sys.argv[2:])
    elif sys.argv[1:2] == ["verify"]:
        from frod_bench import verify

        verify.main(sys.argv[2:])
    else:
        from frod_bench import run

        run.main()
