"""Tables of the learning rates that the search picked, and of how sure these picks are."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from frod_bench.common.names import has_settings
from frod_bench.report.names import label, method_named
from frod_bench.tuning.procedure import HEAD, TIED, has_rotation, main_group

TABLES = Path(__file__).parents[1] / "results/reference/search/embedded/tables"
FAMILIES = {"nlu": "language understanding", "reasoning": "reasoning", "vision": "vision"}
MAIN = ("full", "lora", "dora", "frod", "frozen")  # searched with two seeds


def of_main_table() -> str:
    """What was picked for the methods of the main table, family by family."""
    return _table(pd.read_csv(TABLES / "picks.csv"), MAIN)


def of_others() -> str:
    """The same of all other methods, which are searched with one seed."""
    picks = pd.read_csv(TABLES / "picks.csv")
    named = picks["method"][~picks["method"].map(has_settings)]
    return _table(picks, [name for name in dict.fromkeys(named) if name not in MAIN])


def without_decay() -> str:
    """Scores at the picks without a decay, and by how much the rates of the search were moved."""
    picks, searched = (
        pd.read_csv(TABLES / f"picks{schedule}.csv").set_index(["family", "method"])
        for schedule in ("_constant", "")
    )
    methods = [method for method in MAIN if method != "frozen"]
    lines = _head(methods)
    for family, name in FAMILIES.items():
        cells = []
        for method in methods:
            pick, before = picks.loc[family, method], searched.loc[family, method]
            factor = pick["lr_head"] / before["lr_head"]
            again = pick["picked_again_percent"]
            cells.append(f"{pick['points']:.1f} (x {factor:.2g}; {again:.0f} %)")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(methods: Sequence[str]) -> list[str]:
    names = [label(method_named(method), in_text=True) for method in methods]
    return [f"| | {' | '.join(names)} |", f"| ---{' | ---:' * len(names)} |"]


def _table(picks: pd.DataFrame, methods: Sequence[str]) -> str:
    lines = _head(methods)
    for family, name in FAMILIES.items():
        of_family = picks[picks["family"] == family].set_index("method")
        rows = {
            f"**{name}**, points": "points",
            "rate; head": "",
            "points tried": "trials",
            "picked again, %": "picked_again_percent",
            "mean cost of redrawn picks": "regret_points",
        }
        for text, column in rows.items():
            cells = [
                _cell(of_family.loc[method], column) if method in of_family.index else "–"
                for method in methods
            ]
            lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines)


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
    return f"{rate}; {rates[HEAD]:.1e}".replace("e-0", "e-")
