"""The generated pages of docs/reference/ agree with their sources."""

import pytest

import frod_bench.frod
from frod_bench.cli.exits import keys
from frod_bench.cli.verbs import BY_NAME
from tools.reference_pages import PAGES, REFERENCE, configuration, frod_api


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_tool_writes(name: str) -> None:
    shown = (REFERENCE / name).read_text(encoding="utf-8")
    assert shown == PAGES[name](), "run python -m tools.reference_pages"


def test_every_key_of_the_schema_is_documented() -> None:
    page = configuration()
    for key in keys():
        shown = key.replace("backbones.", "backbones.<family>.")
        assert f"`{shown}`" in page, key


def test_every_key_has_a_meaning() -> None:
    page, _, _ = configuration().partition("## Files of conf/")
    without = [line.split("|")[1].strip() for line in page.splitlines() if line.endswith("|  |")]
    assert not without


def test_every_public_name_of_frod_is_documented() -> None:
    page = frod_api()
    for name in frod_bench.frod.__all__:
        assert f"## `{name}`" in page
        assert getattr(frod_bench.frod, name).__doc__, name


def test_every_verb_is_documented() -> None:
    page = PAGES["command_line.md"]()
    assert all(f"\n## {name}\n" in page for name in BY_NAME)
