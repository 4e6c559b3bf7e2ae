"""`python -m frod_bench.tune`: the same as `frod-bench tune`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("tune", sys.argv[1:])
    from frod_bench.jobs.tune import start

    start(sys.argv[1:])
