"""The README shows the committed table of a real run, not one that someone typed."""

from pathlib import Path

import pandas as pd
import pytest

from frod_bench.records import record

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"  # what the project publishes; a run writes elsewhere


@pytest.mark.parametrize("profile", ["small", "embedded"])
def test_readme_shows_the_committed_main_table(profile: str) -> None:
    title, body = (REFERENCE / profile / "tables/main.md").read_text().split("\n", 1)
    shown = (ROOT / "README.md").read_text()
    assert f"**{title.removeprefix('# ')}**" in shown
    assert body.strip() in shown


def test_the_committed_records_give_the_table_of_real_results() -> None:
    scores: dict[tuple[str, str], list[float]] = {}
    for made in record.scan(REFERENCE / "small/records")[0]:
        cell, primary = made["cell"], made["primary_metric"]
        assert (cell["profile"], cell["protocol"], made["status"]) == ("small", "fair", "ok")
        score = 100 * made["metrics"][primary]["value"]
        task = record.headed(cell["task"], made["config"])
        scores.setdefault((task, cell["method"]), []).append(score)
    table = pd.read_csv(REFERENCE / "small/tables/main.csv")
    rows = table[(table["scope"] == "task") & table["primary"]]
    shown = {(row.task, row.method): (row.mean, row.n_seeds) for row in rows.itertuples()}
    assert shown.keys() == scores.keys()
    for key, values in scores.items():
        assert shown[key] == (pytest.approx(sum(values) / len(values)), len(values))


def test_readme_shows_the_committed_verdicts() -> None:
    lines = (REFERENCE / "embedded/tables/claims.md").read_text().splitlines()
    verdicts = [line for line in lines if line.startswith("| **")]
    assert len(verdicts) == 4
    assert "\n".join(verdicts) in (ROOT / "README.md").read_text()


def test_the_committed_calibration_shows_the_band() -> None:
    """Of all 24 stand-ins, and that pretraining gives what it should."""
    table = pd.read_csv(REFERENCE / "embedded/tables/calibration.csv")
    assert len(table) == 24
    assert table["in_band"].all(), table.loc[~table["in_band"]]
    assert (table["full"] - table["random_full"]).mean() >= 8
