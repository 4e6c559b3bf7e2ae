"""A grid of cells, planned whole and run in worker processes."""
