"""`python -m frod_bench.calibrate`: the same as `frod-bench calibrate`."""

from frod_bench.__main__ import main

if __name__ == "__main__":
    main("calibrate")
