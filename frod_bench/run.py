"""`python -m frod_bench.run`: the same as `frod-bench run`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("run")
