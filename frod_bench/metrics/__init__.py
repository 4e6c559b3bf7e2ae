"""The metrics of the suite, as modules of `evaluate` that are loaded from this folder."""

from frod_bench.metrics.compute import HIGHER_IS_BETTER, MetricValue, check_names, compute

__all__ = ["HIGHER_IS_BETTER", "MetricValue", "check_names", "compute"]
