"""Cells: one training run each. What a composed grid asks for, and which runs are missing."""
