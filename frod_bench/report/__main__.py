"""`python -m frod_bench.report`: the same as `frod-bench report`."""

import sys

from frod_bench.cli.help import answer

if __name__ == "__main__":
    answer("report", sys.argv[1:])
    from frod_bench.report.command import start

    start(sys.argv[1:])
