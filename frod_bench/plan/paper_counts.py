"""What FRoD trains on the paper's backbones, as a table that reports read without torch.

    python -m frod_bench.plan.paper_counts

writes it again; a test compares it with what `frod_bench.plan` counts.
"""

import sys

import pandas as pd

from frod_bench.cells.grid import composer, without_hydra
from frod_bench.config.conversion import resolve
from frod_bench.plan.costs import counts_of
from frod_bench.report.paper_counts import COLUMNS, PATH
from frod_bench.report.rules import load_rules


def count() -> pd.DataFrame:
    """A row a task of the rules' suite; `COLUMNS` are its columns."""
    rules = load_rules()
    profile, method = rules.parameters.judged_on_profile, rules.parameters.ours
    rows = []
    with composer() as compose_one:
        common = [f"profile={profile}", f"suite={rules.suite}", f"method={method}"]
        for task in compose_one(common).suite.tasks:
            settings = resolve(without_hydra(compose_one([*common, f"task={task}"])))
            counts = counts_of(settings)
            backbone = settings.backbones[settings.task.family].name
            trained = counts.trained + counts.head
            rows.append((task, backbone, trained, counts.head, counts.backbone))
    return pd.DataFrame(rows, columns=list(COLUMNS))


if __name__ == "__main__":
    count().to_csv(PATH, index=False)
    print(PATH, file=sys.stderr)
