"""Which settings differ between paired records, by their resolved configurations."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from frod_bench.records import hashing
from frod_bench.records.schema import Record

COLUMNS = ("setting", "ours", "theirs", "pairs")
NOT_THERE = "–"
# Fields of the provenance that are not settings, or are part of the identity. The others are not
# meant to change a result, but may.
_NO_SETTINGS = ("started_at", "data_fingerprint", "backbone_fingerprint")


def differing_settings(pairs: Iterable[tuple[Record, Record]]) -> pd.DataFrame:
    """A row a setting and pair of values: `COLUMNS`, by setting, then the most pairs first.

    Values are text; a setting that one configuration lacks is `–`. Settings are named as on the
    command line (`trainer.max_steps`); where data and backbone lie is not one, what is in them is.
    Of what records were made with (code, packages, device), that which both of them tell.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for ours, theirs in pairs:
        counts.update(_differences(_identity(ours), _identity(theirs)))
        made_with = _differences(_made_with(ours), _made_with(theirs))
        counts.update(found for found in made_with if NOT_THERE not in found)
    rows = [(*key, n) for key, n in counts.items()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values(["setting", "pairs"], ascending=[True, False], ignore_index=True)


def count_differences(ours: Record, theirs: Record) -> int:
    """In how many settings two records differ, what they were made with left out."""
    return sum(1 for _ in _differences(_identity(ours), _identity(theirs)))


def _differences(
    ours: Mapping[str, str], theirs: Mapping[str, str]
) -> Iterable[tuple[str, str, str]]:
    for name in dict.fromkeys([*ours, *theirs]):
        values = ours.get(name, NOT_THERE), theirs.get(name, NOT_THERE)
        if values[0] != values[1]:
            yield name, *values


def _made_with(made: Record) -> dict[str, str]:
    return _flat({k: v for k, v in made["provenance"].items() if k not in _NO_SETTINGS}, "")


def _identity(made: Record) -> dict[str, str]:
    """What is in the hash, as one level of names."""
    prints = made["provenance"]["data_fingerprint"], made["provenance"]["backbone_fingerprint"]
    return _flat(hashing.identity(made["config"], *prints), "")


def _flat(tree: Mapping[str, Any], prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = f"{value:g}" if isinstance(value, float) else str(value)
    return found
