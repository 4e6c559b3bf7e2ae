"""What a record says of a task's rows, its prompt and its metrics."""

from pathlib import Path

import pytest

from frod_bench.data.hub_schema import features_of
from frod_bench.data.prompts import prompt_of
from frod_bench.records import store
from frod_bench.training import runner
from tests.conftest import MakeCell
from tests.data.conftest import sample_row, task_config, write_mirror


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("boolq", {"accuracy"}),
        ("mrpc", {"f1", "accuracy"}),
        ("qqp", {"f1", "accuracy"}),
    ],
)
def test_a_record_counts_unusable_and_cut_rows(
    name: str, metrics: set[str], make_cell: MakeCell, tmp_path: Path
) -> None:
    task = task_config(name)
    features = features_of(task.hub_id, task.hub_config)
    rows = [sample_row(task, features, i) for i in range(120)]
    text = "passage" if name == "boolq" else task.input_columns[0]
    train = [
        {**row, text: "a long text " * 300 if i < 60 else row[text]} for i, row in enumerate(rows)
    ]
    train[100] = {**train[100], text: " "}
    write_mirror(tmp_path / "data", task, {task.train_split: train, task.test_split: rows})
    cell = make_cell(f"task={name}", "method=frozen", f"data_root={tmp_path}/data")
    assert runner.execute(cell).status == "ok"
    document = store.load(cell.record_path)
    counts = document["data_counts"]
    assert counts["rows_read"] == 240
    assert counts["rows_unusable"] == 1
    assert 0 < counts["sequences_cut"] <= 60
    digest = None if task.prompt is None else prompt_of(task).digest
    assert counts["prompt_digest"] == digest
    assert set(document["metrics"]) == metrics
