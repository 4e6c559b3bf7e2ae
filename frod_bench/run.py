"""`python -m frod_bench.run`: the same as `frod-bench run`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("run", sys.argv[1:])
    from frod_bench.jobs.run import start

    start(sys.argv[1:])
