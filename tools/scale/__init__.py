"""Plan, scan and report of thousands of synthetic records, measured: `make bench-scale`."""
