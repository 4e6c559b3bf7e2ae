"""`python -m frod_bench.reproduce`: the same as `frod-bench reproduce`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("reproduce", sys.argv[1:])
    from frod_bench.jobs.reproduce import start

    start(sys.argv[1:])
