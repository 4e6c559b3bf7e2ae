"""The profile `real` and the experiments around its main table, composed and not run."""

from collections.abc import Sequence

from frod_bench.cells.cell import Cell
from frod_bench.cells.grid import compose_cells

REASONING = {"arc_easy", "openbookqa", "siqa", "hellaswag"}
TEN = {"gtsrb", "mnist", "sst2", "qnli", "qqp", "mnli", *REASONING}
METHODS = {"full", "lora", "dora", "frod", "frozen"}


def cells_of(*words: str) -> Sequence[Cell]:
    return compose_cells(["data_root=null", "model_root=null", *words])[1]


def test_the_main_table_ranks_options_and_computes_in_bf16() -> None:
    cells = cells_of("experiment=main_table", "profile=real", "suite=real10", "head=auto")
    assert len(cells) == 10 * 5 * 3
    assert {cell.task for cell in cells} == TEN
    for cell in cells:
        trainer, is_ranked = cell.settings.trainer, cell.task in REASONING
        assert (cell.settings.head == "rank") == is_ranked
        assert ("head" in cell.settings.method.learning_rates) != is_ranked
        assert (trainer.max_steps, trainer.batch_rows) == ((120, 8) if is_ranked else (300, 16))
        assert trainer.curve_rows == (64 if is_ranked else 160)
        assert trainer.mixed_precision == "bf16"
        assert trainer.max_steps % trainer.eval_every_steps == 0


def test_what_runs_before_is_measured_on_validation_with_other_seeds() -> None:
    for name, count in (
        ("tune_real", 6 * 5),
        ("real_pilot", 13 * 2),
        ("bf16_pilot", 3 * 5 * 2 * 3),
    ):
        cells = cells_of(f"experiment={name}")
        assert len(cells) == count
        assert min(cell.seed for cell in cells) >= 100
        for cell in cells:
            assert cell.profile == "real"
            assert cell.settings.protocol.metrics_split == "validation"
            assert (cell.settings.head == "rank") == (cell.settings.task.rank is not None)


def test_the_search_has_two_of_the_ten_tasks_of_each_family() -> None:
    cells = cells_of("experiment=tune_real")
    by_family = {cell.family: {c.task for c in cells if c.family == cell.family} for cell in cells}
    assert all(len(tasks) == 2 and tasks <= TEN for tasks in by_family.values())
    assert len(by_family) == 3
    assert {cell.method for cell in cells} == METHODS


def test_both_precisions_of_the_pilot_have_the_same_rows_and_rates() -> None:
    cells = cells_of("experiment=bf16_pilot")
    by_precision = {
        precision: {
            (c.task, c.method, c.seed): c.settings.method.learning_rates
            for c in cells
            if c.settings.trainer.mixed_precision == precision
        }
        for precision in ("no", "bf16")
    }
    assert by_precision["no"] == by_precision["bf16"]
    assert len({cell.config_hash for cell in cells}) == len(cells)
