"""The rows of the table, by what they are of."""

from tests.bad_input.cases import (
    adapters,
    data,
    launchers,
    overrides,
    own_files,
    results,
    verbs,
)

ALL = (
    *overrides.CASES,
    *launchers.CASES,
    *verbs.CASES,
    *own_files.CASES,
    *data.CASES,
    *results.CASES,
    *adapters.CASES,
)
