"""`python -m frod_bench.ls`: the same as `frod-bench ls`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("ls")
