"""Pure functions of arrays: intervals, comparisons of methods, and time to a target.

Tables are (tasks x seeds) arrays and curves (seeds x points) arrays. NaN marks a missing value and
an interval that the data do not determine. docs/explanation/statistics.md says which function
answers which question, and how well.
"""
# ruff: noqa: F401  (what this package exports)

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
    target_from_lowest,
    target_from_reference,
    time_to_target,
)
from frod_bench.stats.estimates import (
    CONFIDENCE,
    FEW_TASKS,
    FEWEST_SEEDS,
    NOTHING,
    RESAMPLES,
    Estimate,
    Floats,
    difference_over_tasks,
    interquartile_mean,
    mean_interval,
    mean_of_these_tasks,
    mean_over_tasks,
    seed_range,
    spread_interval,
    spread_over_seeds,
)
from frod_bench.stats.paired import (
    Equivalence,
    McNemar,
    Resolution,
    decisive_tasks,
    equivalence,
    holm,
    mcnemar,
    mcnemar_of_pairs,
    merge_p_values,
    paired_difference,
    paired_difference_of_these_tasks,
    probability_of_improvement,
    resolution,
    tost,
)
