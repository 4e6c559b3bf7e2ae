"""Methods side by side: differences are paired, and predictions are compared row by row."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frod_bench import stats
from frod_bench.records import sources, store
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.keys import Method
from frod_bench.report.paired import end_of_interval, paired_summary, paired_table
from frod_bench.report.predictions import predictions_of
from tests.report.factory import make_record, synthetic_curve, write_record

OURS = Method("frod")
TASKS = ("rte", "dtd")
VALUES = {"full": (0.80, 0.82, 0.84), "frod": (0.81, 0.82, 0.86)}


def write(root: Path, task: str, method: str, seed: int, value: float, rows: Sequence[int]) -> None:
    """A record whose predictions are right on `rows` of 40."""
    path = write_record(root, make_record(task, method, seed, value), synthetic_curve())
    ids = np.arange(40)
    table = {"split": "test", "row_id": ids, "prediction": np.isin(ids, rows) * 1, "label": 1}
    pd.DataFrame(table).to_parquet(store.predictions_path(path))


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    """frod alone is right on 12 rows of each seed, full alone on 2; lora has no predictions."""
    cells = []
    for task in TASKS:
        for seed in range(3):
            write(tmp_path, task, "full", seed, VALUES["full"][seed], range(12))
            write(tmp_path, task, "frod", seed, VALUES["frod"][seed], range(2, 24))
            write_record(tmp_path, make_record(task, "lora", seed, 0.7), synthetic_curve())
            cells += [Cell(task, method, seed) for method in ("full", "frod", "lora")]
    return collect(tmp_path, "embedded", cells).frame


def test_differences_and_tests_of_a_task(frame: pd.DataFrame) -> None:
    summary = paired_summary(frame, OURS, margin=1.0).set_index(["task", "method"])
    row = summary.loc[("rte", "full")]
    expected = stats.mean_interval([1.0, 0.0, 2.0])
    assert row[["mean", "low", "high"]].tolist() == pytest.approx(expected[:3])
    assert row["tost_p"] == pytest.approx(stats.tost([1.0, 0.0, 2.0], 1.0))
    assert row[["n_tested", "only_ours", "only_theirs"]].tolist() == [3, 36, 6]
    p = stats.merge_p_values([2 * (1 + 14 + 91) / 2**14] * 3)  # 2 of 14 tosses, both tails
    assert row["p_value"] == pytest.approx(p)
    assert row["p_holm"] == pytest.approx(2 * p)
    assert summary.loc[("rte", "lora"), "n_tested"] == 0


def test_one_pair_has_no_interval_and_says_so(frame: pd.DataFrame) -> None:
    one = frame[(frame["seed"] == 1) & (frame["task"] == "rte")]
    table = paired_table(paired_summary(one, OURS, 1.0), OURS, "stand-ins")
    by_label = {row.label: row.cells for row in table.rows}
    assert by_label["RTE"][1] == "+12.0 (one pair: no interval)"
    assert by_label["mean difference"][1] == "+12.0 (one task: no interval)"


def test_overall_is_paired_over_tasks_and_seeds(frame: pd.DataFrame) -> None:
    summary = paired_summary(frame, OURS, margin=1.0)
    overall = summary[(summary["scope"] == "overall") & (summary["method"] == "full")]
    by_name = overall.set_index("quantity")["mean"]
    assert by_name["mean difference"] == pytest.approx(1.0)
    assert by_name["probability of improvement"] == pytest.approx(5.5 / 9)


def test_the_tasks_that_a_mean_hangs_on_are_named(tmp_path: Path) -> None:
    """Without dtd full is level with frod, and without rte or cola frod is still ahead."""
    gains, cells = {"rte": 0.0, "cola": 0.001, "dtd": 0.1}, []
    for task, gain in gains.items():
        for seed, noise in enumerate((-0.004, 0.0, 0.004)):
            for method, value in (("full", 0.7), ("frod", 0.7 + gain + noise)):
                write_record(tmp_path, make_record(task, method, seed, value), synthetic_curve())
                cells.append(Cell(task, method, seed))
    summary = paired_summary(collect(tmp_path, "embedded", cells).frame, OURS, 1.0)
    overall = summary[summary["quantity"] == "mean difference on these tasks"]
    assert overall["hangs_on"].tolist() == ["dtd"]
    table = paired_table(summary, OURS, "synthetic")
    by_label = {row.label: row.cells for row in table.rows}
    assert by_label["mean difference on these tasks"][0].startswith("+3.4 [")
    assert table.notes[-1].endswith("says nothing of sizes or margins: Full FT: DTD.")
    level = summary.assign(hangs_on=summary["hangs_on"].replace("dtd", "none"))
    assert paired_table(level, OURS, "synthetic").notes[-1].endswith("margins: Full FT: none.")
    unknown = paired_table(summary.assign(hangs_on=""), OURS, "synthetic")
    assert "Hangs on" not in unknown.notes[-1]


def test_an_end_near_0_shows_on_which_side_it_is() -> None:
    ends = (-0.004, -0.02, 0.03, 0.06, 0.0, -1.25)
    assert [end_of_interval(end) for end in ends] == [
        *("−0.00", "−0.02", "+0.03", "+0.1", "+0.0", "−1.2")
    ]


def test_table_says_what_is_not_there(frame: pd.DataFrame) -> None:
    frame.loc[(frame["task"] == "dtd") & (frame["method"] == "full"), "value"] = np.nan
    table = paired_table(paired_summary(frame, OURS, 1.0), OURS, "stand-ins")
    rows = {row.label: row.cells for row in table.rows}
    assert table.header == ("task", "Full FT", "LoRA")
    assert rows["DTD"][0] == "–"
    assert rows["RTE"][0].startswith("+1.0 ± 2.5 (36 : 6, p = ")
    assert rows["RTE"][1] == "+13.0 ± 6.6"
    assert rows["mean difference"][0] == "+1.0 (one task: no interval)"
    assert rows["mean difference on these tasks"][0].endswith("] (1 of 2 tasks)")


def test_fewer_pairs_than_another_method_has_are_told(frame: pd.DataFrame) -> None:
    is_lost = (frame["task"] == "dtd") & (frame["method"] == "full") & (frame["seed"] == 2)
    frame.loc[is_lost, "value"] = np.nan
    table = paired_table(paired_summary(frame, OURS, 1.0), OURS, "stand-ins")
    rows = {row.label: row.cells for row in table.rows}
    assert "(2 of 3 pairs)" in rows["DTD"][0]
    assert "pairs" not in rows["DTD"][1] + rows["RTE"][0]


def test_other_rows_are_not_compared(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = Path(frame[(frame["method"] == "full") & (frame["task"] == "rte")]["path"].iloc[0])
    (before,) = predictions_of([path])
    assert before is not None
    assert before.hits is not None
    assert before.hits.sum() == 12
    kept = pd.read_parquet(store.predictions_path(path))
    kept.head(10).to_parquet(store.predictions_path(path))
    summary = paired_summary(frame, OURS, 1.0).set_index(["task", "method"])
    assert summary.loc[("rte", "full"), "n_tested"] == 2
    kept.assign(label=kept["label"] * 0.5).to_parquet(store.predictions_path(path))
    (regression,) = predictions_of([path])
    assert regression is not None
    assert regression.hits is None


def test_what_was_read_with_its_record_is_not_read_again(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for those that changed."""
    read: list[Path] = []

    def reading(source: sources.Files, paths: Collection[Path]) -> Iterator[tuple[Path, object]]:
        read.extend(paths)
        return whole(source, paths)

    whole = sources.Files.predictions
    monkeypatch.setattr(sources.Files, "predictions", reading)
    paths = list(map(Path, frame["path"]))
    before = predictions_of(paths)
    assert sum(kept is not None for kept in before) == 12
    lora = [path for path in paths if path.parent.name == "lora"]
    assert set(read) <= set(lora)  # which have none
    read.clear()
    os.utime(store.predictions_path(paths[0]), ns=(0, 0))
    changed = predictions_of(paths)
    assert set(read) - set(lora) == {paths[0]}
    assert [kept and kept.rows for kept in changed] == [kept and kept.rows for kept in before]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is copied")
def test_of_many_records_a_copy_reads_what_this_process_then_knows(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(source: sources.Files, paths: Collection[Path]) -> Iterator[tuple[Path, object]]:
        assert os.getpid() != here
        return whole(source, paths)

    here, whole = os.getpid(), sources.Files.predictions
    told = frame[frame["method"] != "lora"]
    paths = list(map(Path, told["path"]))
    before = predictions_of(paths)
    monkeypatch.setattr(sources.Files, "predictions", elsewhere)
    monkeypatch.setattr("frod_bench.report.collect.FEWEST_FOR_A_COPY", len(paths))
    monkeypatch.setattr("frod_bench.report.predictions._known", {})
    collect(tmp_path, "embedded", [Cell(r.task, r.method, r.seed) for r in told.itertuples()])
    for ours, copied in zip(before, predictions_of(paths), strict=True):
        assert ours is not None
        assert copied is not None
        assert copied.rows == ours.rows
        assert (copied.hits == ours.hits).all()
    with pytest.raises(AssertionError):
        collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])


def test_nothing_beside_ours_is_no_table(frame: pd.DataFrame) -> None:
    assert paired_summary(frame[frame["method"] == "frod"], OURS, 1.0).empty
    assert paired_summary(frame[frame["method"] != "frod"], OURS, 1.0).empty
