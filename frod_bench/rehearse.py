"""`python -m frod_bench.rehearse`: the same as `frod-bench rehearse`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("rehearse")
