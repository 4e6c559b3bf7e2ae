"""`python -m frod_bench.prune`: the same as `frod-bench prune`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("prune")
