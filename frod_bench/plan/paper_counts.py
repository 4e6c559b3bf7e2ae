"""The table of what FRoD trains on the paper's backbones, which reports read without torch.

`python -m frod_bench.plan.paper_counts` writes it again; a test compares it with the plan's counts.
"""

import sys

import pandas as pd

from frod_bench.plan.cells import grid_of
from frod_bench.plan.costs import counts_of
from frod_bench.report.claims.parameters import PAPER_COUNTS
from frod_bench.report.rules import load_rules

ALL = "all24"  # every task that the released scripts touch
COLUMNS = ("task", "backbone", "trainable", "trainable_head", "backbone_total")


def count() -> pd.DataFrame:
    """Return one row per task of the released scripts, with the columns `COLUMNS`."""
    rule = load_rules().parameters
    profile, method = rule.judged_on_profile, rule.ours
    rows = []
    for cell in grid_of([f"profile={profile}", f"suite={ALL}", f"method={method}"]).cells:
        settings, counts = cell.settings, counts_of(cell.settings)
        backbone = settings.backbones[settings.task.family].name
        trained = counts.trained + counts.head
        rows.append((settings.task.name, backbone, trained, counts.head, counts.backbone))
    return pd.DataFrame(rows, columns=list(COLUMNS))


if __name__ == "__main__":
    count().to_csv(PAPER_COUNTS, index=False)
    print(PAPER_COUNTS, file=sys.stderr)
