"""What names a version agrees: the package, the changes, and the citation of the last release."""

import re
import tomllib
from pathlib import Path

import yaml

import frod_bench

ROOT = Path(__file__).parents[2]
HEADINGS = re.findall(r"^## (\S+), (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def test_the_package_and_the_newest_changes_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    newest, _ = HEADINGS[0]
    assert frod_bench.__version__ == project["version"] == newest


def test_the_citation_names_the_newest_version_that_is_released() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    released = [(version, date) for version, date in HEADINGS if date != "not released yet"]
    assert (cited["version"], str(cited["date-released"])) == released[0]
