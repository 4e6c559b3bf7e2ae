"""`python -m frod_bench.insight`: the same as `frod-bench analyze`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("analyze")
