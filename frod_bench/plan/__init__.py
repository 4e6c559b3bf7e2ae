"""What cells will cost, before any weight is there: parameters, memory, FLOPs, hours, and whether
they fit. `python -m frod_bench.plan profile=paper suite=paper20` (docs/paper_scale.md)."""
