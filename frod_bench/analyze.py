"""`python -m frod_bench.analyze`: the same as `frod-bench analyze`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("analyze", sys.argv[1:])
    from frod_bench.analyses.command import start

    start(sys.argv[1:])
