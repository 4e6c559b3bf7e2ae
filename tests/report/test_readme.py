"""The README shows the committed table of a real run, not one that someone typed."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_readme_shows_the_committed_main_table() -> None:
    title, body = (ROOT / "results/embedded/tables/main.md").read_text().split("\n", 1)
    shown = (ROOT / "README.md").read_text()
    assert f"**{title.removeprefix('# ')}**" in shown
    assert body.strip() in shown
