"""`python -m frod_bench.archive`: the same as `frod-bench archive`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("archive")
