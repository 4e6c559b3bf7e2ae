"""Analyses of trained models: loss landscapes, spectra of updates, what could express them.

They read the cells of experiments that keep trained values (`save=adapter`), see
docs/how-to/analyses.md. Analyses of records alone are in `frod_bench.report.analyses`.
"""
