"""`python -m frod_bench.cache`: the same as `frod-bench cache`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("cache", sys.argv[1:])
    from frod_bench.cli.cache import start

    start(sys.argv[1:])
