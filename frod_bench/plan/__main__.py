"""`python -m frod_bench.plan`: the same as `frod-bench plan`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("plan", sys.argv[1:])
    from frod_bench.plan.command import start

    start(sys.argv[1:])
