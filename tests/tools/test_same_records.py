"""The tool that compares runs bit for bit sees each kind of difference, and no time."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from frod_bench.records import store
from frod_bench.training import runner
from tests.conftest import MakeCell
from tools import same_records


@pytest.fixture
def folders(make_cell: MakeCell, tmp_path: Path) -> tuple[Path, Path]:
    """Two results folders with the same run."""
    cell = make_cell("task=rte", "method=frozen")
    runner.execute(cell)
    other = tmp_path / "other/embedded"
    shutil.copytree(cell.results_dir, other)
    return cell.results_dir, other


def record_in(folder: Path) -> Path:
    (path,) = (folder / "records").rglob("*.json")
    return path


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def compared(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    return same_records.main(list(map(str, folders))), capsys.readouterr().out


def test_times_and_places_are_not_compared(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def change(record: Any) -> None:
        record["time"]["train_sec"] += 1
        record["memory"]["peak_rss_bytes"] += 1
        record["provenance"]["started_at"] = "2020-01-01T00:00:00+00:00"
        record["config"]["runtime"]["jobs"] = 7

    edit(record_in(folders[1]), change)
    curve = store.curve_path(record_in(folders[1]))
    lines = [json.loads(line) for line in curve.read_text().splitlines()]
    curve.write_text("".join(json.dumps(line | {"seconds": 9.5}) + "\n" for line in lines))
    status, told = compared(folders, capsys)
    assert status == 0, told
    assert told.startswith("1 of 1 runs in")


def change_metric(record: Path) -> None:
    def change(content: Any) -> None:
        metric = content["metrics"]["accuracy"]
        metric["value"] = math.nextafter(metric["value"], 2)

    edit(record, change)


def change_curve(record: Path) -> None:
    path = store.curve_path(record)
    path.write_text(path.read_text().replace('"train_loss": 0.', '"train_loss": 1.', 1))


def cut_curve(record: Path) -> None:
    path = store.curve_path(record)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def change_predictions(record: Path) -> None:
    path = store.predictions_path(record)
    table = pq.read_table(path)
    place = table.schema.get_field_index("prediction")
    pq.write_table(table.set_column(place, "prediction", pc.add(table["prediction"], 1)), path)


def lose_predictions(record: Path) -> None:
    pq.write_table(pa.table({}), store.predictions_path(record))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_metric, "metrics of the record is"),
        (change_curve, "train_loss of the point"),
        (cut_curve, "points"),
        (change_predictions, "the predictions differ"),
        (lose_predictions, "the predictions differ"),
    ],
)
def test_what_differs_is_named(
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    words: str,
) -> None:
    change(record_in(folders[1]))
    status, told = compared(folders, capsys)
    assert status == 1
    assert words in told
    assert "0 of 1 runs" in told


def test_a_run_that_the_first_folder_lacks_differs(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    record_in(folders[0]).unlink()
    status, told = compared(folders, capsys)
    assert (status, "is not in the first folder" in told) == (1, True)


def test_nothing_is_not_equal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compared((tmp_path, tmp_path), capsys)[0] == 1
    assert same_records.main([]) == 2
