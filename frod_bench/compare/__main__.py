"""`python -m frod_bench.compare`: the same as `frod-bench compare`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("compare", sys.argv[1:])
    from frod_bench.compare.command import start

    start(sys.argv[1:])
