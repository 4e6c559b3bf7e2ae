"""`python -m frod_bench.reproduce`: the same as `frod-bench reproduce`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("reproduce")
