"""Cells of one task under two heads: rows and means of their own."""

from pathlib import Path
from typing import Any

import pytest

from frod_bench.common.errors import InputError
from frod_bench.compare import command as compare
from frod_bench.records import hashing
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.keys import Method, Run, Task
from frod_bench.report.names import csv_frame
from frod_bench.report.rules import load_rules
from frod_bench.report.tables import summarise
from tests.report.factory import make_record, synthetic_curve, write_record


def headed(method: str, value: float, head: str) -> dict[str, Any]:
    """A record of boolq, seed 0, under a head."""
    made = make_record("boolq", method, 0, value=value)
    made["config"]["head"] = head
    prints = [made["provenance"][f"{what}_fingerprint"] for what in ("data", "backbone")]
    made["cell"]["config_hash"] = hashing.config_hash(hashing.identity(made["config"], *prints))
    return made


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method in ("frod", "full"):
        for head, value in (("classify", 0.6), ("rank", 0.8)):
            write_record(tmp_path, headed(method, value, head), synthetic_curve(final=value))
    return tmp_path


def test_no_score_is_over_both_heads(results: Path) -> None:
    cells = [Cell("boolq", "frod", 0, head=head) for head in ("classify", "rank")]
    got = collect(results, "embedded", cells)
    assert got.warnings == []
    assert got.frame["task"].tolist() == ["boolq", "boolq"]
    assert got.frame["head"].tolist() == ["classify", "rank"]
    assert set(got.curves) == {
        Run(Task("boolq", head), Method("frod"), 0) for head in ("classify", "rank")
    }
    summary = summarise(got.frame)
    scores = summary[summary["primary"] & (summary["scope"] != "overall")]
    means = {(row.scope, row.head): row.mean for row in scores.itertuples(index=False)}
    written = csv_frame(summary)
    assert set(written["task"]) == {"boolq", "boolq_rank", ""}
    assert set(written["family"]) == {"reasoning", "reasoning_rank", ""}
    assert means == pytest.approx(
        {
            ("task", "classify"): 60.0,
            ("task", "rank"): 80.0,
            ("family", "classify"): 60.0,
            ("family", "rank"): 80.0,
        }
    )


def test_what_was_made_under_the_other_head_is_named(results: Path) -> None:
    got = collect(results, "embedded", [Cell("boolq", "frod", 0)])
    assert got.frame["value"].tolist() == [0.6]
    assert "boolq_rank, frod: 1 of other cells" in got.others


def test_a_comparison_is_of_one_head(results: Path) -> None:
    overrides = ["task=boolq", "methods=[frod]", "seeds=[0]", f"results_root={results}"]
    rules = load_rules()
    for head, score in (("classify", "60.0"), ("rank", "80.0")):
        found = compare.compare(compare.parse([*overrides, f"head={head}"]), rules)
        assert found.frame[["task", "head"]].to_numpy().tolist() == [["boolq", head]]
        assert found.frame["score"][0].startswith(score)
        assert found.collected.warnings == []
    with pytest.raises(InputError, match="Did you mean 'rank'"):
        compare.parse([*overrides, "head=rnk"])
