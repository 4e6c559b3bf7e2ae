"""`python -m frod_bench.validate`: the same as `frod-bench validate`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("validate", sys.argv[1:])
    from frod_bench.jobs.validate import start

    start(sys.argv[1:])
