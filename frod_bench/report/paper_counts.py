"""What FRoD trains on the paper's backbones: counted from their shapes, so that no run is needed.

`frod_bench.plan.paper_counts` counts and writes the table.
"""

from pathlib import Path

import pandas as pd

PATH = Path(__file__).with_name("paper_counts.csv")
COLUMNS = ("task", "backbone", "trainable", "trainable_head", "backbone_total")


def paper_counts() -> pd.DataFrame:
    """A row a task; `COLUMNS` are its columns, named and counted as in `Collected.frame`."""
    return pd.read_csv(PATH)
