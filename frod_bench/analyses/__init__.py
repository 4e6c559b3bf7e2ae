"""Into trained models: the loss around them, their updates' spectra, and what could express those.

Reads the cells of an experiment that kept their trained values (`save=adapter`), see
docs/analyses.md. What is made of records alone is in `frod_bench.report`.
"""
