"""`python -m frod_bench.verify`: the same as `frod-bench verify`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("verify", sys.argv[1:])
    from frod_bench.jobs.verify import start

    start(sys.argv[1:])
