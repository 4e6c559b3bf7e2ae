"""Where the learning rates of a table come from: what a search tried and what it picked.

Warnings name the methods whose rates no search has tried, and the runs with other rates than the
picked ones.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from frod_bench.common.names import with_head, without_head
from frod_bench.common.paths import published_search
from frod_bench.records.schema import Record
from frod_bench.report.keys import FROZEN, Family
from frod_bench.report.names import base_names, spelled
from frod_bench.report.sensitivity import read_search

PICKS_TABLE = Path("tables/picks.csv")  # in a results folder
RATE = "lr_"  # begins the columns of rates in it
CONSTANT = "constant"  # the schedule whose picks are in a table of their own
SEARCHES = "tune"  # begins the names of experiments that search; pilots have the same protocol
LAYERED = "frod"  # the kind of methods that have FRoD's layer
LEAST_RATES = 2  # of a search: a run at one rate, such as a pilot's, picks nothing
ALIKE = 0.01  # relative; tables of rates and of picks are rounded to three digits

Rates = Mapping[str, float]
Key = tuple[str, str, str]  # family, head, method


def searched(records: Iterable[Record], picks: pd.DataFrame | None) -> pd.DataFrame:
    """family, head and method of what a search of learning rates has tried, by its runs or by its
    table of picks.
    """
    tried: dict[Key, set[tuple[tuple[str, float], ...]]] = {}
    for record in filter(_is_of_search, records):
        cell, config = record["cell"], record["config"]
        key = cell["family"], config.get("head", "classify"), cell["method"]
        rates: Rates = config["method"]["learning_rates"]
        tried.setdefault(key, set()).add(tuple(sorted(rates.items())))
    found = {key for key, rates in tried.items() if len(rates) >= LEAST_RATES}
    if picks is not None:
        pairs = zip(picks["family"], picks["method"], strict=True)
        found |= {(*without_head(family), method) for family, method in pairs}
    return pd.DataFrame(sorted(found), columns=["family", "head", "method"])


def _is_of_search(record: Record) -> bool:
    """Whether a search asked for a run; the first procedure's are numbered trials."""
    return record["cell"]["protocol"] == "tune" and "trial" not in record["config"]


def _experiment(record: Record) -> str:
    """The name of a run's experiment; empty if an older record does not say."""
    return str(record["config"].get("experiment", {}).get("name", ""))


def picks_of(results_dir: Path, profile: str) -> pd.DataFrame | None:
    """The picks of the search in a results folder, else of the profile's published one; None if
    there is neither. Raises InputError as `read_search`.
    """
    for folder in (results_dir, published_search(profile)):
        if (folder / PICKS_TABLE).exists():
            return read_search(folder / PICKS_TABLE, ("family", "method"))
    return None


def rates_of_pick(row: "pd.Series[Any]") -> dict[str, float]:
    """The learning rates in a row of a table of picks, by group of parameters."""
    named = {name.removeprefix(RATE): row[name] for name in row.index if name.startswith(RATE)}
    return {group: float(rate) for group, rate in named.items() if not pd.isna(rate)}


def untuned(frame: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Warnings of methods whose learning rates no trials picked, one of all if there are none."""
    if trials.empty:
        return [
            "No search of learning rates is in this folder, and none of this profile is published: "
            "the rates are another profile's, the paper's or common practice."
        ]
    tuned = set(zip(trials["family"], trials["head"], trials["method"], strict=True))
    lost: dict[str, list[str]] = {}
    keys = list(zip(frame["family"], frame["head"], base_names(frame), strict=True))
    # A method that trains nothing has no rate. The frozen backbone that ranks options is one, which
    # is known even if its run is missing.
    idle = {key for key, count in zip(keys, frame["trainable"], strict=True) if count == 0}
    idle |= {key for key in keys if key[1:] == ("rank", FROZEN.method)}
    for family, head, name in dict.fromkeys(keys):
        if (family, head, name) not in tuned | idle:
            lost.setdefault(spelled(Family(family, head)), []).append(name)
    return [
        f"Learning rates of {', '.join(methods)} were not tuned in {family} (no trial of "
        "experiment=tune is of them): they are another method's, another head's or common practice."
        for family, methods in lost.items()
    ]


def unlike_picks(
    frame: pd.DataFrame, records: Iterable[Record], picks: pd.DataFrame | None
) -> list[str]:
    """Warnings about methods whose runs in `frame` have other learning rates than the picked ones.

    Such runs were made before the search, or with another table of rates. Variants of methods and
    runs without a decay are left out, because they have their own picks.
    """
    if picks is None:
        return []
    picked = {(row["family"], row["method"]): rates_of_pick(row) for _, row in picks.iterrows()}
    used = {r["cell"]["config_hash"]: r["config"]["method"]["learning_rates"] for r in records}
    plain = frame[frame["variant"].eq("") & ~frame["schedule"].eq(CONSTANT)]
    lines: dict[str, None] = {}
    for row in plain.itertuples(index=False):
        key = with_head(str(row.family), str(row.head)), str(row.method)
        ours, theirs = used.get(str(row.config_hash)), picked.get(key)
        if ours is not None and theirs is not None and not _alike(ours, theirs):
            lines[
                f"Learning rates of {row.method} in {spelled(Family(row.family, row.head))} are "
                f"{_text(ours)}, and the search picked {_text(theirs)} ({PICKS_TABLE})."
            ] = None
    return list(lines)


def unlike_code(frame: pd.DataFrame, records: Iterable[Record]) -> list[str]:
    """A warning if runs of the search in a folder were computed by other code than the runs in
    `frame` of the same family, head and method, as far as records say. The layer is FRoD's alone.
    """
    hashes = set(frame["config_hash"].dropna())
    used: dict[Key, set[frozenset[tuple[str, str]]]] = {}
    asked: dict[Key, set[frozenset[tuple[str, str]]]] = {}
    for record in records:
        cell, config, code = record["cell"], record["config"], record["provenance"].get("code", {})
        key = cell["family"], config.get("head", "classify"), cell["method"]
        if config["method"].get("kind") != LAYERED:
            code = {part: digest for part, digest in code.items() if part != "layer"}
        if cell["config_hash"] in hashes:
            used.setdefault(key, set()).add(frozenset(code.items()))
        elif _is_of_search(record) and _experiment(record).startswith(SEARCHES):
            asked.setdefault(key, set()).add(frozenset(code.items()))
    parts = {
        part
        for key in used.keys() & asked
        for one, other in itertools.product(map(dict, used[key]), map(dict, asked[key]))
        for part in one.keys() & other
        if one[part] != other[part]
    }
    if not parts:
        return []
    return [
        "Learning rates were searched by other code than that of these runs "
        f"({', '.join(sorted(parts))} differ), so that another one might be picked now."
    ]


def _alike(ours: Rates, theirs: Rates) -> bool:
    """Whether rates agree wherever both have one, but for rounding."""
    both = set(ours) & set(theirs)
    return all(math.isclose(ours[group], theirs[group], rel_tol=ALIKE) for group in both)


def _text(rates: Rates) -> str:
    return ", ".join(f"{group} {rate:.2g}" for group, rate in sorted(rates.items()))
