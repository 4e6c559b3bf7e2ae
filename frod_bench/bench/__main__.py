"""`python -m frod_bench.bench`: the same as `frod-bench bench`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("bench", sys.argv[1:])
    from frod_bench.bench.command import start

    start(sys.argv[1:])
