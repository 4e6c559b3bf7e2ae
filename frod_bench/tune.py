"""`python -m frod_bench.tune`: the same as `frod-bench tune`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("tune")
