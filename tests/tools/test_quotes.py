"""The sentences that quote published numbers say what the files give."""

import pytest

from tools.quotes.__main__ import QUOTES
from tools.quotes.found import Quote


@pytest.mark.parametrize("quote", QUOTES, ids=str)
def test_a_sentence_says_what_the_published_files_give(quote: Quote) -> None:
    """If this fails, read the sentences around it as well: `python -m tools.quotes`."""
    assert list(quote.faults()) == []


def test_another_number_and_another_finding_are_faults() -> None:
    page = "docs/reference/results.md"
    assert list(Quote(page, "FRoD is {} points behind", lambda: ["99.9"]).faults())
    assert list(Quote(page, "FRoD is", holds=lambda: False).faults())
    assert not list(Quote(page, "FRoD is").faults())
