"""What the metric modules tell `evaluate` of themselves."""

import inspect

import datasets
import evaluate

CLASSES = "class numbers"
VALUES = "values"


def metric_info(metric: evaluate.Metric, of: str = CLASSES) -> evaluate.MetricInfo:
    """Describe a metric of two columns, one entry per row: class numbers, or values."""
    column = datasets.Value("int64" if of == CLASSES else "float64")
    return evaluate.MetricInfo(
        description=inspect.getdoc(metric) or "",
        citation="",
        inputs_description=f"predictions and references: {of}, one per row.",
        features=datasets.Features({"predictions": column, "references": column}),
        # Values stay lists: the array format of `datasets` rounds them to float32.
        format="numpy" if of == CLASSES else None,
    )
