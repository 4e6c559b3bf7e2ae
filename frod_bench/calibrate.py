"""`python -m frod_bench.calibrate`: the same as `frod-bench calibrate`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("calibrate", sys.argv[1:])
    from frod_bench.jobs.calibrate import start

    start(sys.argv[1:])
