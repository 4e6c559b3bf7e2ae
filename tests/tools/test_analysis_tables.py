"""The short tables of the analyses say what their published files say, found another way."""

import csv
import math
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tools import analysis_tables, differences
from tools.differences import REFERENCE, hangs_on

FOLDER = REFERENCE / "embedded"


def rows_of(table: str) -> dict[str, list[str]]:
    """First cell of each row -> the others; rows of one name keep the last."""
    lines = [line.strip("| ").split(" | ") for line in table.replace("|  |", "| |").split("\n")]
    return {name: cells for name, *cells in lines[2:]}


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float:
    return float(text.split(" [", maxsplit=1)[0].replace("−", "-"))


def test_an_area_is_the_mean_of_a_row_minus_the_best_of_each_task() -> None:
    scores = defaultdict(list)
    for line in lines_of(FOLDER / "rate_robustness/tables/rate_curve.csv"):
        if line["scope"] == "task" and line["quantity"] == "score":
            scores[line["method"], line["task"]].append(float(line["mean"]))
    areas = {key: statistics.mean(row) - max(row) for key, row in scores.items()}
    tasks = {task for _, task in areas}
    shown = rows_of(analysis_tables.rates())
    for name, method in (("LoRA", "lora"), ("DoRA", "dora"), ("full fine-tuning", "full")):
        own = [areas[method, task] for task in tasks]
        distance = statistics.mean(areas["frod", task] - areas[method, task] for task in tasks)
        assert number(shown[name][7]) == pytest.approx(statistics.mean(own), abs=0.06)
        assert number(shown[name][9]) == pytest.approx(distance, abs=0.06)


def test_the_best_of_a_share_is_the_largest_mean_over_its_tasks() -> None:
    means = defaultdict(list)
    for line in lines_of(FOLDER / "ablation/tables/heat_map.csv"):
        if line["scope"] == "task":
            setting = (line["sparse_rate"], line["lambda_factor"], line["rotation_factor"])
            means[setting].append(float(line["mean"]))
    shown = rows_of(analysis_tables.shares())
    for share, cells in shown.items():
        found = {s: statistics.mean(of) for s, of in means.items() if s[0] == share}
        best = max(found, key=lambda setting: found[setting])
        assert float(cells[1]) == pytest.approx(found[best], abs=0.06)
        assert cells[2] == f"× {float(best[1]):g}"
        assert int(cells[4]) == len(found)


def test_an_eigenvalue_is_the_geometric_mean_over_starts() -> None:
    logs, families = defaultdict(list), differences.AREAS
    for line in lines_of(FOLDER / "curvature/tables/curvature.csv"):
        if line["coordinates"] == "adapter" and line["is_sound"] == "True":
            logs[line["family"], line["method"]].append(math.log(float(line["eigenvalue"])))
    shown = rows_of(analysis_tables.curvatures())
    for family, name in families.items():
        cells = shown[f"{name}: largest eigenvalue"]
        for method, cell in zip(analysis_tables.METHODS, cells[:-1], strict=True):
            expected = math.exp(statistics.mean(logs[family, method]))
            assert float(cell) == pytest.approx(expected, rel=0.006)


def test_every_analysis_has_a_row_for_each_method_that_it_compares() -> None:
    names = {"full fine-tuning", "LoRA", "DoRA", "FRoD"}
    assert set(rows_of(analysis_tables.rates())) == names
    assert {row.split(", ")[1] for row in rows_of(analysis_tables.updates())} == names
    assert len(rows_of(analysis_tables.budgets())) == 20
    assert len(rows_of(analysis_tables.expressible())) == 9
    assert len(rows_of(analysis_tables.landscapes())) == 3
    assert list(rows_of(analysis_tables.released()))[:2] == ["FRoD", "FRoD (released)"]
    assert number(rows_of(analysis_tables.seeds())["FRoD minus it"][0]) < 0


def gains(**of_tasks: float) -> pd.DataFrame:
    """Three seeds per task, close to its mean."""
    spread = np.array([-0.5, 0.0, 0.5])
    return pd.DataFrame({task: mean + spread for task, mean in of_tasks.items()}).T


def test_a_difference_hangs_on_the_task_that_makes_it() -> None:
    assert hangs_on(gains(rte=0.1, cola=-0.1, gtsrb=9.0)) == "GTSRB"
    assert hangs_on(gains(rte=3.0, cola=3.5, gtsrb=4.0)) == "none"
    # 0 is inside as long as the two cancel.
    assert hangs_on(gains(rte=3.0, cola=-3.0, gtsrb=0.0)) == "RTE, CoLA"


def test_a_difference_that_lacks_a_run_is_not_said_to_hang_on_a_task() -> None:
    holed = gains(rte=0.1, cola=-0.1, gtsrb=9.0)
    holed.iloc[0, 0] = np.nan
    assert not hangs_on(holed)


def test_a_ranked_task_keeps_its_name_and_scores_that_never_vary_say_nothing() -> None:
    level = pd.DataFrame({"arc_easy_rank": [9.0] * 3, "rte": [-8.0] * 3}).T
    assert not hangs_on(level)  # without an interval
    assert hangs_on(gains(rte=0.1, siqa_rank=9.0, cola=-0.1)) == "SIQA (rank)"


def test_every_task_of_a_family_counts_in_it_under_whichever_head() -> None:
    """The older runs on real data have reasoning under two heads."""
    lines = differences.by_family("small").split("\n")
    assert "| reasoning |" in lines[0]
    cells = rows_of("\n".join(lines))["full fine-tuning"]
    whole, nlu, reasoning, vision = (number(cells[at]) for at in (0, 2, 3, 4))
    assert whole == pytest.approx((4 * nlu + 3 * reasoning + 2 * vision) / 9, abs=0.1)


def test_an_end_near_0_shows_its_sign() -> None:
    assert differences.with_interval(0.8, -0.012, 1.6) == "+0.8 [−0.01, +1.6]"
    assert differences.with_interval(-0.9, -1.7, -0.004) == "−0.9 [−1.7, −0.00]"
    assert differences.with_interval(2.0, math.nan, math.nan) == "+2.0"


def test_the_means_by_family_average_to_the_whole() -> None:
    cells = rows_of(differences.by_family("embedded"))["LoRA"]
    whole, nlu, reasoning, vision = (number(cells[at]) for at in (0, 2, 3, 4))
    assert whole == pytest.approx((4 * nlu + 8 * reasoning + 8 * vision) / 20, abs=0.1)
