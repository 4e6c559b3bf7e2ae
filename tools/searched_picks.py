"""Tables of the learning rates that the search picked, and of how sure these picks are."""

from collections.abc import Mapping, Sequence

import pandas as pd

from frod_bench.common.names import with_head
from frod_bench.common.paths import published_search
from frod_bench.report.names import label, method_named
from frod_bench.report.sensitivity import TIED
from frod_bench.report.table import pipes
from frod_bench.tuning.procedure import HEAD, has_rotation, main_group
from tools.differences import AREAS, head

# Searched with one seed.
OTHERS = ("pissa", "rslora", "vera", "randlora", "bitfit", "frod_released", "frod_smaller")
MAIN = ("full", "lora", "dora", "frod", "frozen")  # searched with two seeds, on real data with one
# On real data reasoning is searched where options are ranked by their likelihood, without a head.
REAL_AREAS = {
    with_head(family, "rank") if family == "reasoning" else family: AREAS[family]
    for family in AREAS
}


def of_main_table() -> str:
    """What was picked for the methods of the main table, family by family."""
    return _by_family(MAIN, "embedded", AREAS)


def on_real_data() -> str:
    """The same of the profile `real`."""
    return _by_family(MAIN, "real", REAL_AREAS)


def of_other_methods() -> str:
    """The same of the methods that are searched with one seed; a dash where one has no pick."""
    return _by_family(OTHERS, "embedded", AREAS)


def _by_family(methods: Sequence[str], profile: str, areas: Mapping[str, str]) -> str:
    picks, lines = picks_of(profile), _head(methods)
    for family, name in areas.items():
        rows = {
            f"**{name}**, points": "points",
            "rate; head": "",
            "points tried": "trials",
            "picked again, %": "picked_again_percent",
            "mean cost of redrawn picks": "regret_points",
        }
        for text, column in rows.items():
            keys = ((family, method) for method in methods)
            cells = (_cell(picks.loc[key], column) if key in picks.index else "–" for key in keys)
            lines.append(pipes([text, *cells]))
    return "\n".join(lines)


def without_decay() -> str:
    """Scores at the picks without a decay, and by how much the rates of the search were moved."""
    picks, searched = picks_of("embedded", "picks_constant"), picks_of("embedded")
    methods = [method for method in MAIN if method != "frozen"]
    lines = _head(methods)
    for family, name in AREAS.items():
        cells = []
        for method in methods:
            pick, before = picks.loc[family, method], searched.loc[family, method]
            factor = pick["lr_head"] / before["lr_head"]
            again = pick["picked_again_percent"]
            cells.append(f"{pick['points']:.1f} (x {factor:.2g}; {again:.0f} %)")
        lines.append(pipes([name, *cells]))
    return "\n".join(lines)


def picks_of(profile: str, table: str = "picks") -> pd.DataFrame:
    """The picks of a profile's published search, by family, with its head, and method."""
    path = published_search(profile) / "tables" / f"{table}.csv"
    return pd.read_csv(path).set_index(["family", "method"])


def _head(methods: Sequence[str]) -> list[str]:
    return head("", [label(method_named(method), in_text=True) for method in methods])


def _cell(pick: "pd.Series[float]", column: str) -> str:
    if column:
        digits = 1 if column.endswith("points") else 0
        return f"{pick[column]:.{digits}f}"
    rates = {
        str(name).removeprefix("lr_"): float(value)
        for name, value in pick.items()
        if str(name).startswith("lr_") and not pd.isna(value)
    }
    main = main_group(list(rates))
    rate = "–" if main is None else f"{rates[main]:.1e}"
    if has_rotation(list(rates)):
        ratio = str(pick["ratio"])
        rate += f" ({ratio})" if ratio == TIED else f" (ratio {float(ratio):g})"
    head_rate = f"; {rates[HEAD]:.1e}" if HEAD in rates else ""
    return f"{rate}{head_rate}".replace("e-0", "e-")
