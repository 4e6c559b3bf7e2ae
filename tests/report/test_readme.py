"""README and results page show the published numbers, and not what someone typed."""

import re
from pathlib import Path

import pandas as pd
import pytest

from frod_bench.common.names import with_head
from frod_bench.records import sources
from tools.published_numbers import BLOCKS, PAGES, filled

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"  # what the project publishes; a run writes elsewhere


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_the_published_numbers(page: Path) -> None:
    """If this fails: `python -m tools.published_numbers`, and read the prose around the numbers."""
    text = page.read_text()
    assert set(re.findall(r"<!-- begin ([\w ]+) -->", text)) <= BLOCKS.keys()
    assert filled(text) == text


def test_every_published_block_is_on_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert set(re.findall(r"<!-- begin ([\w ]+) -->", text)) == BLOCKS.keys()


@pytest.mark.parametrize(("profile", "experiments"), [("small", None), ("real", {"main_table"})])
def test_the_committed_records_give_the_table_of_real_results(
    profile: str, experiments: set[str] | None
) -> None:
    scores: dict[tuple[str, str], list[float]] = {}
    for made in sources.opened(REFERENCE / profile).scan()[0]:
        cell, primary = made["cell"], made["primary_metric"]
        if experiments and made["config"]["experiment"]["name"] not in experiments:
            continue
        assert (cell["profile"], cell["protocol"], made["status"]) == (profile, "fair", "ok")
        score = 100 * made["metrics"][primary]["value"]
        task = with_head(cell["task"], made["config"].get("head", "classify"))
        scores.setdefault((task, cell["method"]), []).append(score)
    table = pd.read_csv(REFERENCE / f"{profile}/tables/main.csv")
    rows = table[(table["scope"] == "task") & table["primary"]]
    shown = {(row.task, row.method): (row.mean, row.n_seeds) for row in rows.itertuples()}
    assert shown.keys() == scores.keys()
    for key, values in scores.items():
        assert shown[key] == (pytest.approx(sum(values) / len(values)), len(values))


def test_the_committed_calibration_shows_the_band() -> None:
    """Of all 24 stand-ins, and that pretraining gives what it should."""
    table = pd.read_csv(REFERENCE / "embedded/tables/calibration.csv")
    assert len(table) == 24
    assert table["in_band"].all(), table.loc[~table["in_band"]]
    assert (table["full"] - table["random_full"]).mean() >= 8
