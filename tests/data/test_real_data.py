"""Every task that a real mirror holds loads from it.

Set FROD_BENCH_REAL_DATA to a data root with real rows of the benchmarks; without it, skipped.
"""

import os
from pathlib import Path

import pytest

from tests.data.conftest import TASKS, Load, task_config

ROOT = os.environ.get("FROD_BENCH_REAL_DATA")


@pytest.mark.skipif(ROOT is None, reason="FROD_BENCH_REAL_DATA is not set")
@pytest.mark.parametrize("name", TASKS)
def test_real_rows_load(name: str, load: Load) -> None:
    task = task_config(name)
    assert ROOT is not None
    if not any((Path(ROOT) / task.hub_id / task.hub_config).glob("*.parquet")):
        pytest.skip(f"{ROOT} has no {task.hub_id} {task.hub_config}")
    data = load(task, data_root=ROOT, train_rows=200, test_rows=200)
    batch = data.collate(list(data.tests["test"])[:8])
    assert len(batch["labels"]) == 8
    assert 100 * data.counts.rows_unusable <= data.counts.rows_read
