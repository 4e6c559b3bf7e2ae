"""`python -m frod_bench.ls`: the same as `frod-bench ls`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("ls", sys.argv[1:])
    from frod_bench.jobs.listing import start

    start(sys.argv[1:])
