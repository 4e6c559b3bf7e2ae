"""The experiments of the analyses are the grids that docs/how-to/analyses.md counts."""

import re

import pytest

from frod_bench.cells.compose import composer
from frod_bench.cells.grid import compose_cells, expand
from frod_bench.common.paths import PACKAGE_DIR
from frod_bench.report.analyses.kinds import CONVERGENCE, KINDS

DOCS = (PACKAGE_DIR.parent / "docs" / "how-to" / "analyses.md").read_text(encoding="utf-8")


def grid_of(experiment: str) -> list[dict[str, str]]:
    """All combinations of an experiment's choices, those that come to one cell among them."""
    with composer() as compose_one:
        line = [f"experiment={experiment}"]
        base = compose_one(line)
        assert set(base.experiment.figures) <= {CONVERGENCE, *KINDS}
        combinations = expand(base.hydra.sweeper.params, line)
    return [dict(o.split("=", 1) for o in combination) for combination in combinations]


def documented(experiment: str) -> int:
    (count,) = re.findall(rf"^\| `{experiment}` \|.*\| (\d+) \|", DOCS, re.MULTILINE)
    return int(count)


@pytest.mark.parametrize("name", ["ablation", "rate_robustness", "seed_robustness", "budget_curve"])
def test_the_grid_is_as_large_as_documented(name: str) -> None:
    grid = grid_of(name)
    for line in grid:  # what the other test shows to be one cell
        if name == "ablation" and line["method.sparse_rate"] == "0":
            del line["rate_factors.rotation"]
        if name == "budget_curve" and line["method"] in ("full", "frozen"):
            del line["size"]
    assert len({tuple(sorted(line.items())) for line in grid}) == documented(name)


@pytest.mark.parametrize(
    ("words", "cells"),
    [
        ("experiment=ablation method.sparse_rate=0 rate_factors.lambda=1", 1),
        ("experiment=ablation method.sparse_rate=0.02 rate_factors.lambda=1", 4),
        ("experiment=budget_curve method=full", 1),
        ("experiment=budget_curve method=lora", 6),
    ],
)
def test_what_makes_no_difference_is_one_cell(words: str, cells: int) -> None:
    found = compose_cells([*words.split(), "task=rte", "seed=0"])[1]
    assert len(found) == cells
