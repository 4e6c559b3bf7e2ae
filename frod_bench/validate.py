"""`python -m frod_bench.validate`: the same as `frod-bench validate`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("validate")
