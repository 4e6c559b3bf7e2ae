"""`python -m frod_bench.cache`: the same as `frod-bench cache`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("cache")
