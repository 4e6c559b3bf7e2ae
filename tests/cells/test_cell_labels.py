"""Labels of cells: short, and different for every cell of a grid."""

import pytest

from frod_bench.cells.grid import compose_cells


@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["task=rte", "method=frod"], "rte/frod/0"),
        (
            ["experiment=tune", "task=rte", "method=lora", "method.learning_rates.head=0.042"],
            "rte/lora/100 (adapter 0.00316, head 0.042)",
        ),
        (
            ["experiment=rate_robustness", "task=rte", "method=lora", "seed=1"],
            "rte/lora/1 (rates × 0.1)",
        ),
        (["experiment=budget_curve", "task=rte", "method=full"], "rte/full/0"),
    ],
)
def test_a_label_names_what_its_experiment_varies(words: list[str], label: str) -> None:
    _, cells = compose_cells(words)
    assert cells[0].label == label
    assert len({cell.label for cell in cells}) == len(cells)
