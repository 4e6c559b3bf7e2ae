"""Pure functions of arrays: intervals, comparisons of methods, and time to a target.

Tables are (tasks x seeds) arrays and curves (seeds x points) arrays. NaN marks a missing value, and
every estimate counts the values behind it. An interval that the data do not determine is NaN, never
zero. docs/explanation/statistics.md lists which function answers which question, and how well, by
simulation.
"""
# ruff: noqa: F401  (what this package exports)

from frod_bench.stats.bootstrap import CONFIDENCE, RESAMPLES, Floats
from frod_bench.stats.curves import (
    area_below_best,
    median_over_seeds,
    median_ratio,
    pareto_front,
    performance_profile,
    resample_onto,
    smooth,
    speedup,
    speedup_over_tasks,
    target_from_reference,
    time_to_target,
)
from frod_bench.stats.estimates import (
    FEW_TASKS,
    FEWEST_SEEDS,
    NOTHING,
    Estimate,
    difference_over_tasks,
    interquartile_mean,
    mean_interval,
    mean_over_tasks,
    seed_range,
    spread_interval,
    spread_over_seeds,
)
from frod_bench.stats.paired import (
    Equivalence,
    McNemar,
    equivalence,
    holm,
    mcnemar,
    merge_p_values,
    paired_difference,
    probability_of_improvement,
    tost,
)
