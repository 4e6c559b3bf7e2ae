"""`python -m frod_bench.challenge`: the same as `frod-bench challenge`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("challenge", sys.argv[1:])
    from frod_bench.challenge.command import start

    start(sys.argv[1:])
