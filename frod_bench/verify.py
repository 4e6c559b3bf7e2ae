"""`python -m frod_bench.verify`: the same as `frod-bench verify`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("verify")
