"""What a search leaves: scores, the audit of its picks, the tables."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from frod_bench.cells.grid import compose_cells
from frod_bench.common.errors import InputError
from frod_bench.common.paths import EXPERIMENTS_DIR, REFERENCE_DIR
from frod_bench.records import store
from frod_bench.report.sensitivity import GRID, TIED, read_search, searched_sensitivity
from frod_bench.tuning import evidence
from frod_bench.tuning.command import picks_in, rates_in, rates_path, write_rates
from frod_bench.tuning.evidence import (
    AUDIT,
    audit,
    mean_of,
    merged,
    pick_rows,
    points_of,
)
from frod_bench.tuning.procedure import Asking, Point, Rules, search, search_variant
from tests.report.factory import make_record

TASKS = ["sst2", "cola", "mrpc", "rte"]


def table(means: dict[Point, float], noise: float, method: str = "lora") -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {"procedure": 3, "family": "nlu", "method": method, "rate_step": point.rate,
         "head_step": point.head, "ratio": point.ratio, "lr_adapter": 0.1, "lr_head": 0.2,
         "lr_lambda": None, "task": task, "seed": seed,
         "points": mean + 10 * number + noise * generator.standard_normal()}
        for point, mean in means.items() for number, task in enumerate(TASKS) for seed in (100, 101)
    )  # fmt: skip


def test_a_pick_that_is_far_ahead_is_picked_again_and_costs_nothing() -> None:
    best = Point(-8, -8, TIED)
    rows = table({best: 60.0, Point(-9, -8, TIED): 50.0, Point(-8, -8, 0.1): 55.0}, noise=0.1)
    assert audit(rows, best) == dict(zip(AUDIT, (100.0, 100.0, 0.0, 0.0), strict=True))


def test_a_tie_is_no_other_pick_and_a_single_run_cannot_be_audited() -> None:
    best = Point(-8, -8)
    rows = table({Point(-10, -8): 60.0, best: 60.0}, noise=0.0)
    assert audit(rows, best)["picked_again_percent"] == 100.0
    single = rows[(rows["task"] == "sst2") & (rows["seed"] == 100)]
    assert all(math.isnan(value) for value in audit(single, best).values())


def test_the_next_rate_is_a_stride_away() -> None:
    rows = table({Point(-10, -8): 60.0, Point(-8, -8): 60.0}, noise=3.0)
    best = Point(-8, -8)
    assert audit(rows, best, stride=2)["within_a_step_percent"] == 100.0
    assert audit(rows, best, stride=1)["within_a_step_percent"] < 100.0


def test_the_ratio_of_a_pick_is_written_as_it_was_asked_for(tmp_path: Path) -> None:
    """Alone in its column, 1 would be read and written again as 1.0."""
    path = tmp_path / "picks.csv"
    lora, frod = Point(-8, -8), Point(-7, -8, 1)
    rows = pd.concat([table({lora: 60.0}, 0.1), table({frod: 61.0}, 0.1, method="frod")])
    pick_rows(rows, {("nlu", "frod"): frod}).to_csv(path, index=False)
    merged(pick_rows(rows, {("nlu", "lora"): lora}), path).to_csv(path, index=False)
    assert list(pd.read_csv(path, dtype=str, keep_default_na=False)["ratio"]) == ["1", ""]


def test_a_table_of_numbers_alone_has_the_points_that_were_asked_for(tmp_path: Path) -> None:
    """As FRoD's in one family: pandas reads a column of 1 and 0.1 as numbers, and of 1 as 1.0."""
    path, frod = tmp_path / "search.csv", Point(-7, -8, 1)
    rows = table({frod: 61.0}, 0.1, method="frod")
    for points in ([frod], [frod, frod._replace(ratio=0.1)], [frod, frod._replace(ratio=TIED)]):
        rows = table(dict.fromkeys(points, 60.0), 0.1, method="frod")
        rows.to_csv(path, index=False)
        read = pd.read_csv(path)
        assert list(dict.fromkeys(points_of(read))) == points
        picks = pick_rows(read, {("nlu", "frod"): frod})
        assert points_of(picks) == [frod]
        assert list(picks["ratio"]) == ["1"]


@pytest.mark.parametrize(
    ("value", "status", "written"),
    [(0.8, "ok", "ok"), (None, "ok", "undefined"), (None, "diverged", "diverged")],
)
def test_a_run_without_a_score_scores_zero_and_says_why(
    monkeypatch: pytest.MonkeyPatch, value: float | None, status: str, written: str
) -> None:
    (cell,) = compose_cells(["task=rte", "method=lora", "seed=0"])[1]
    made = make_record("rte", "lora", 0, value, status)
    monkeypatch.setattr(store, "load", lambda path: made)
    row = evidence.row_of(cell, Point(0, 0, None))
    assert (row["points"], row["status"]) == (80.0 if value else 0.0, written)


def test_a_pick_among_equals_is_a_matter_of_luck() -> None:
    """And what another pick costs is a part of the noise, in points, not more."""
    points = [Point(step, -8) for step in range(-12, -3)]
    rows = table(dict.fromkeys(points, 60.0), noise=2.0)
    means = {p: mean_of(rows[rows["rate_step"] == p.rate]) for p in points}
    best = max(points, key=means.__getitem__)
    found = audit(rows, best)
    assert found["picked_again_percent"] < 70
    assert 0 < found["regret_points"] < found["cost_of_another_pick_points"] < 3.0
    assert found["within_a_step_percent"] >= found["picked_again_percent"]


def test_a_row_of_picks_counts_the_points_that_were_tried() -> None:
    best = Point(-8, -8)
    rows = table({best: 60.0, Point(-9, -8): 50.0, Point(-8, -6): 55.0}, noise=0.1)
    other = table({Point(None, -8): 40.0}, noise=0.1, method="frozen")
    found = pick_rows(pd.concat([rows, other]), {("nlu", "lora"): best})
    assert found["trials"].tolist() == [3]
    assert found[["tasks", "seeds"]].to_numpy().tolist() == [[4, 2]]
    assert found["points"].iloc[0] == pytest.approx(75, abs=0.5)


def test_a_method_that_is_searched_later_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "search.csv"
    first = pd.concat([table({Point(-8, -8): 60.0}, 0.1), table({Point(-8, -8): 1.0}, 0.1, "dora")])
    first.to_csv(path, index=False)
    whole = merged(table({Point(-7, -8): 70.0}, 0.1), path)
    assert whole["method"].value_counts().to_dict() == {"dora": 8, "lora": 8}
    assert set(whole.loc[whole["method"] == "lora", "rate_step"]) == {-7}
    assert len(merged(table({Point(-7, -8): 70.0}, 0.1), tmp_path / "none.csv")) == 8


@pytest.mark.parametrize("columns", [{"trial": 1}, {"procedure": 2}])
def test_a_table_of_another_version_of_the_procedure_is_refused(
    tmp_path: Path, columns: dict[str, int]
) -> None:
    path = tmp_path / "tables" / "search.csv"
    path.parent.mkdir()
    pd.DataFrame([{"family": "nlu", "method": "lora", **columns}]).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"search.csv: was not written by version 3"):
        read_search(path)
    with pytest.raises(InputError, match=r"search.csv: was not written by version 3"):
        searched_sensitivity(tmp_path, "embedded", (), (), {})  # the claims


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.csv"
    table({Point(-8, -8): 60.0}, 0.1).drop(columns="points").to_csv(path, index=False)
    assert len(read_search(path)) == 8
    with pytest.raises(InputError, match=r"search.csv: has no column points\. Move it"):
        read_search(path, GRID)


def test_rates_are_written_beside_those_of_other_methods(tmp_path: Path) -> None:
    path = tmp_path / "embedded.yaml"
    path.write_text("nlu:\n  dora: {adapter: 0.5}\nvision:\n  full: {backbone: 0.25}\n")
    rows = table({Point(-8, -8): 60.0}, 0.1)
    write_rates(pick_rows(rows, {("nlu", "lora"): Point(-8, -8)}), "tune", path)
    assert yaml.safe_load(path.read_text()) == {
        "nlu": {"dora": {"adapter": 0.5}, "lora": {"adapter": 0.1, "head": 0.2}},
        "vision": {"full": {"backbone": 0.25}},
    }
    assert "tune: the rates of lora," in path.read_text().splitlines()[0]  # alone was searched
    write_rates(
        pick_rows(rows.assign(family="vision"), {("vision", "lora"): Point(-8, -8)}), "tune", path
    )
    more = pick_rows(rows.assign(method="vera"), {("nlu", "vera"): Point(-8, -8)})
    write_rates(more, "tune", path)
    picked = pick_rows(rows, {("nlu", "lora"): Point(-8, -8)})
    for _ in range(2):  # each search has one line, however often it is written
        write_rates(picked, "tune_constant", path, "_constant")
    first, second, third = path.read_text().splitlines()[:3]
    assert "tune: the rates of lora, vera," in first  # also what was searched before
    assert "tune_constant: the rates of lora," in second
    assert "search_constant.csv" in second
    assert third == "nlu:"


def test_what_is_said_of_other_rates_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "embedded.yaml"
    by_hand = "# The head's rate of `vision` was not searched."
    path.write_text(f"{by_hand}\nvision:\n  full: {{backbone: 0.25}}\n")
    picked = pick_rows(table({Point(-8, -8): 60.0}, 0.1), {("nlu", "lora"): Point(-8, -8)})
    for _ in range(2):
        write_rates(picked, "tune", path)
        assert path.read_text().splitlines()[1:3] == [by_hand, "vision:"]


def test_what_an_older_search_said_of_rates_that_are_replaced_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    head = "# Written by `python -m frod_bench.tune`: the best of\n# 4 trials.\n"
    picked = pick_rows(table({Point(-8, -8): 60.0}, 0.1), {("nlu", "lora"): Point(-8, -8)})
    for rest, stays in (("lora: {head: 1.0}, frozen: {}", False), ("dora: {head: 1.0}", True)):
        path.write_text(f"{head}nlu: {{{rest}}}\n")
        write_rates(picked, "tune", path)
        assert ("trials" in path.read_text()) == stays
    more = pick_rows(table({Point(-8, -8): 60.0}, 0.1), {("nlu", "lora"): Point(-8, -8)})
    write_rates(more.assign(method="dora"), "tune", path)  # searched one after another
    assert "trials" not in path.read_text()


@pytest.mark.parametrize("text", ["- a list", "nlu: 3", "nlu: ["])
def test_what_is_no_table_of_rates_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "embedded.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"embedded\.yaml: cannot be read as a table of learning"):
        rates_in(path)
    assert path.read_text() == text


def test_rates_are_written_beside_an_empty_family(tmp_path: Path) -> None:
    path = tmp_path / "embedded.yaml"
    path.write_text("vision:\n")
    rows = table({Point(-8, -8): 60.0}, 0.1)
    write_rates(pick_rows(rows, {("nlu", "lora"): Point(-8, -8)}), "tune", path)
    written = yaml.safe_load(path.read_text())
    assert written == {"vision": None, "nlu": {"lora": {"adapter": 0.1, "head": 0.2}}}


def test_rates_of_variants_have_a_line_for_their_experiment(tmp_path: Path) -> None:
    path = tmp_path / "embedded.yaml"
    rows = table({Point(-8, -8): 60.0}, 0.1)
    write_rates(pick_rows(rows, {("nlu", "lora"): Point(-8, -8)}), "tune", path)
    for name in ("lora (r 4)", "lora (r 16)"):
        picks = {("nlu", name): Point(-8, -8)}
        write_rates(pick_rows(rows.assign(method=name), picks), "ranks", path)
    write_rates(pick_rows(rows, {("nlu", "lora"): Point(-8, -8)}), "tune", path)
    first, second, third = path.read_text().splitlines()[:3]
    assert "tune: the rates of lora," in first  # where it was
    assert "ranks: the rates of its variants," in second
    assert third == "nlu:"


def test_rates_that_somebody_wrote_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "paper.yaml").write_text("# The released ones.\n")
    (tmp_path / "old.yaml").write_text("# Written by `python -m frod_bench.tune`: for each\n")
    assert rates_path("paper", tmp_path) == tmp_path / "paper_tuned.yaml"
    assert rates_path("old", tmp_path) == tmp_path / "old.yaml"
    assert rates_path("new", tmp_path) == tmp_path / "new.yaml"


def found_by(
    asking: Asking[Point] | Asking[Point | None], scores: dict[Point, float]
) -> tuple[Point | None, list[Point]]:
    """What a search picks by these scores, and what it asked for."""
    points = next(asking)
    asked = list(points)
    while True:
        try:
            points = asking.send({point: scores[point] for point in points})
        except StopIteration as done:
            return done.value, asked
        asked += points


def test_the_published_runs_give_the_published_picks() -> None:
    """By the procedure alone, from the table of scores."""
    folder = REFERENCE_DIR / "search" / "embedded" / "tables"
    table, picks = (pd.read_csv(folder / name) for name in ("search.csv", "picks.csv"))
    experiment = yaml.safe_load((EXPERIMENTS_DIR / "tune.yaml").read_text())["experiment"]
    rules = Rules.of(experiment)
    heads = picks[picks["method"] == "frozen"].set_index("family")["head_step"]
    known = picks_in(folder / "picks.csv")
    for row in picks.itertuples():
        own = table[(table["family"] == row.family) & (table["method"] == row.method)]
        points = points_of(own)
        scores = {
            point: mean_of(own[[one == point for one in points]]) for point in dict.fromkeys(points)
        }
        groups = [g for g in ("lambda", "rotation", "adapter", "bias", "backbone", "head")
                  if own[f"lr_{g}"].notna().any()]  # fmt: skip
        method, _, is_variant = str(row.method).partition(" (")
        if is_variant:
            searched = search_variant(known[str(row.family), method], rules)
        else:
            searched = search(method, groups, int(heads[row.family]), rules)
        picked, asked = found_by(searched, scores)
        wanted = points_of(picks[picks.index == row.Index])[0]
        assert picked == wanted
        assert picked is not None
        assert scores[picked] == pytest.approx(row.points)
        assert Counter(asked) == Counter(list(scores))  # none more, and none twice
        assert row.trials == len(asked)
