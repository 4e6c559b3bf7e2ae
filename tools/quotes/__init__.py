"""Sentences of the pages that quote what the published runs show.

Tables in the pages are written by `tools.published_numbers`. The sentences around them are written
by hand, and quote numbers, too. Many of these have an entry here that says what the published files
give for them, so that a test fails if new runs no longer support a sentence.
"""
