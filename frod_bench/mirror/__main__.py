"""`python -m frod_bench.mirror`: the same as `frod-bench mirror`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("mirror", sys.argv[1:])
    from frod_bench.mirror.command import start

    start(sys.argv[1:])
