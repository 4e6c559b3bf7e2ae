"""Analyses of the cells of an experiment: one kind of figure each, with the numbers behind it."""
