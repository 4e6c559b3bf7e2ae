"""Every task of a mirror of the real benchmarks loads from it."""

from pathlib import Path

import pytest

from tests.data.conftest import TASKS, Load, task_config
from tests.machine import REAL_DATA


@pytest.mark.real_data
@pytest.mark.parametrize("name", TASKS)
def test_real_rows_load(name: str, load: Load) -> None:
    task = task_config(name)
    assert REAL_DATA is not None
    if not any((Path(REAL_DATA) / task.hub_id / task.hub_config).glob("*.parquet")):
        pytest.skip(f"{REAL_DATA} has no {task.hub_id} {task.hub_config}")
    data = load(task, data_root=REAL_DATA, train_rows=200, test_rows=200)
    batch = data.collate(list(data.tests["test"])[:8])
    assert len(batch["labels"]) == 8
    assert 100 * data.counts.rows_unusable <= data.counts.rows_read
