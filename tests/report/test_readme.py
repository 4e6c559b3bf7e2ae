"""The README shows the committed table of a real run, not one that someone typed."""

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def test_readme_shows_the_committed_main_table() -> None:
    title, body = (ROOT / "results/embedded/tables/main.md").read_text().split("\n", 1)
    shown = (ROOT / "README.md").read_text()
    assert f"**{title.removeprefix('# ')}**" in shown
    assert body.strip() in shown


def test_readme_shows_the_committed_verdicts() -> None:
    lines = (ROOT / "results/embedded/tables/claims.md").read_text().splitlines()
    verdicts = [line for line in lines if line.startswith("| **")]
    assert len(verdicts) == 4
    assert "\n".join(verdicts) in (ROOT / "README.md").read_text()


def test_the_committed_calibration_shows_the_band() -> None:
    """Of all 24 stand-ins, and that pretraining gives what it should."""
    table = pd.read_csv(ROOT / "results/embedded/tables/calibration.csv")
    assert len(table) == 24
    assert table["in_band"].all(), table.loc[~table["in_band"]]
    assert (table["full"] - table["random_full"]).mean() >= 8
