"""Tests mirror the rooms of frod_bench."""

import gc

# Most of what a test process holds are modules, which stay: looking through all of them for
# garbage, again and again, took a sixth of its time. What is young is still looked through.
gc.set_threshold(50_000, 10, 1_000)
