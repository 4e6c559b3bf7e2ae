"""`python -m frod_bench.embedded`: the same as `frod-bench embedded`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("embedded", sys.argv[1:])
    from frod_bench.embedded.command import start

    start(sys.argv[1:])
