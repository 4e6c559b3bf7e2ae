"""Cost estimates before anything runs: parameters, memory, FLOPs, hours, disk, and what fits.

`frod-bench plan profile=paper suite=paper20` (docs/how-to/paper_scale.md).
"""
