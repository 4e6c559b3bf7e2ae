"""The comparison of the two sides that the shared basis can be on is at equal budgets."""

import pytest

from frod_bench.cells.grid import compose_cells
from frod_bench.records import hashing
from frod_bench.training import runner
from tests.conftest import MakeCell

TASKS = {"nlu": "rte", "reasoning": "boolq", "vision": "eurosat"}


def trained(made: runner.Ready) -> int:
    params = made.prepared.params
    return int(params["trainable"] - params["trainable_head"])


@pytest.mark.parametrize("family", TASKS)
def test_both_sides_train_as_many_values_of_the_backbone(make_cell: MakeCell, family: str) -> None:
    task = f"task={TASKS[family]}"
    ours, papers = (
        runner.make_ready(make_cell(task, f"method={method}"))
        for method in ("frod_smaller", "frod")
    )
    assert abs(trained(ours) / trained(papers) - 1) < 0.02
    assert ours.cell.settings.method.shared_side == "smaller"
    assert len(ours.prepared.groups["lambda"]) == len(papers.prepared.groups["lambda"])
    scales = [sum(p.numel() for p in made.prepared.groups["lambda"]) for made in (ours, papers)]
    assert scales[0] < scales[1]  # it is the smaller side that was taken


def test_the_experiment_compares_the_two() -> None:
    _, cells = compose_cells(["experiment=shared_side", "suite=smoke"])
    assert {made.method for made in cells} == {"frod", "frod_smaller"}
    assert len(cells) == 3 * 2 * 3


def test_the_papers_side_leaves_the_hash_unchanged(
    make_cell: MakeCell,
) -> None:
    base = make_cell("task=rte", "method=frod")
    method = {k: v for k, v in base.config["method"].items() if k != "shared_side"}
    prints = (base.data_fingerprint, base.backbone_fingerprint)
    older = hashing.identity(base.config | {"method": method}, *prints)
    assert hashing.config_hash(older) == base.config_hash
    smaller = make_cell("task=rte", "method=frod", "method.shared_side=smaller")
    assert smaller.config_hash != base.config_hash
