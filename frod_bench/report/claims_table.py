"""The claims as a table: the head of every report, as Markdown, CSV (long) and LaTeX."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from frod_bench.report.claims import NOT_SUPPORTED, SUPPORTED, UNDECIDED, Claim, Judged, Part
from frod_bench.report.rules import Rules
from frod_bench.report.table import Row, Table, to_rich, write_table

HEADER = ("claim", "measured", "rule", "verdict", "profile, protocol")
COLUMNS = (
    *("claim", "part", "unit", "mean", "low", "high", "confidence", "n_tasks", "n_expected"),
    *("published", "note", "rule", "verdict", "holes"),
)


def write_claims(judged: Judged, out_dir: Path, title: str) -> list[Path]:
    """Write `claims` as .md, .csv and .tex under `out_dir`; returns the paths."""
    return write_table(claims_table(judged, title), claims_frame(judged), out_dir, "claims")


def claims_table(judged: Judged, title: str) -> Table:
    """A strong row a claim with its verdict, and under it a row for each thing measured."""
    where = f"{judged.profile}, {judged.protocol}"
    rows: list[Row] = []
    for claim in judged.claims:
        cells = (headline(claim), claim.rule, claim.verdict, where)
        rows.append(Row(claim.statement, cells, strong=True))
        for part in claim.parts:
            verdict = part.verdict or "shown, does not decide"
            rows.append(Row(part.title, (format_part(part), "", verdict, "")))
    rules = judged.rules
    seeds = ", ".join(map(str, rules.seeds))
    caption = (
        f"Judged on the suite {rules.suite}, seeds {seeds}, by the rules of conf/claims.yaml, "
        f"fixed on {rules.dated}{_changed(rules)}; in brackets the interval of that confidence. A "
        "claim with missing runs is undecided, whatever was measured."
    )
    notes = [f"{c.statement}, {c.verdict}: {c.holes}." for c in judged.claims if c.holes]
    return Table(f"Claims: {title}", caption, HEADER, rows, notes, prose=True)


def claims_frame(judged: Judged) -> pd.DataFrame:
    """Every number behind the table, a row a part; a claim's own row has an empty `part`."""
    rows: list[dict[str, Any]] = []
    for claim in judged.claims:
        own = {"rule": claim.rule, "verdict": claim.verdict, "holes": claim.holes}
        rows.append({"claim": claim.key, "part": "", **own})
        for part in claim.parts:
            numbers = part.estimate._asdict()
            row = {"claim": claim.key, "part": part.name, "n_tasks": numbers.pop("n"), **numbers}
            for name in ("unit", "confidence", "n_expected", "published", "note"):
                row[name] = getattr(part, name)
            rows.append(row | {"verdict": part.verdict or ""})
    where = {"profile": judged.profile, "protocol": judged.protocol}
    return pd.DataFrame(rows, columns=list(COLUMNS)).assign(**where)


def claims_rows(judged: Judged) -> tuple[list[str], list[list[str | float | None]]]:
    """The table as columns and rows of plain values: a row a claim, and under it one a part.

    What was measured stands as text, and once more as mean, low and high; NaN if there is none.
    """
    columns = ["claim", "part", "measured", "rule", "verdict", "profile", "protocol"]
    rows: list[list[str | float | None]] = []
    for claim in judged.claims:
        where = [judged.profile, judged.protocol]
        said = [claim.statement, "", headline(claim), claim.rule, claim.verdict]
        rows.append([*said, *where, None, None, None, "", claim.holes])
        for part in claim.parts:
            verdict = part.verdict or "shown, does not decide"
            mean, low, high, _ = part.estimate
            said = [claim.statement, part.title, format_part(part), "", verdict]
            rows.append([*said, *where, mean, low, high, part.unit, ""])
    return [*columns, "mean", "low", "high", "unit", "holes"], rows


def show_claims(judged: Judged, title: str, console: Console) -> None:
    """Print the claims with what decides them: the first thing that a report says."""
    rows = []
    for claim in judged.claims:
        lines = [f"{p.title}: {format_part(p)}" for p in claim.parts if p.verdict is not None]
        rows.append(Row(claim.statement, ("\n".join(lines), claim.verdict)))
    header = ("claim", "measured", "verdict")
    console.print(to_rich(Table(f"Claims: {title}", "", header, rows, prose=True)))


def headline(claim: Claim) -> str:
    """What was measured, of the deciding part with the worst verdict, and of how many it is."""
    deciding = [part for part in claim.parts if part.verdict is not None]
    weakest = min(deciding, key=lambda part: _FROM_THE_WORST.index(part.verdict or ""))
    many = f"; the weakest of {len(deciding)} parts that decide" if len(deciding) > 1 else ""
    return f"{weakest.title}: {format_part(weakest)}{many}"


_FROM_THE_WORST = (NOT_SUPPORTED, UNDECIDED, SUPPORTED)


def format_part(part: Part) -> str:
    """An estimate with its interval, over how many tasks where not of all, and its note."""
    mean, low, high, n = part.estimate
    if np.isnan(mean):
        words = ["no number"]
    else:
        words = [f"{_number(mean, part.unit)} {part.unit}{_interval(part, low, high)}"]
        if n < part.n_expected:
            words.append(f"{n} of {part.n_expected} tasks")
    if part.note:
        words.append(part.note)
    if part.published is not None:
        words.append(f"released loss curves, one task: {part.published:g} ×")
    return "; ".join(words)


def _interval(part: Part, low: float, high: float) -> str:
    if np.isnan(low):
        return " (interval not available)"
    ends = f"[{_number(low, part.unit)}, {_number(high, part.unit)}]"
    if part.confidence is None:  # a count has no sampling error
        return "" if low == high else f", range {ends}"
    return f", {100 * part.confidence:g} % {ends}"


def _number(value: float, unit: str) -> str:
    if np.isinf(value):
        return "∞"
    text = f"{value:,.0f}" if unit == "parameters" else f"{round(value, 2) + 0.0:.2f}"
    return text.replace("-", "−")


def _changed(rules: Rules) -> str:
    dates = sorted({change.dated for change in rules.changes})
    return f"; additions of {', '.join(dates)} are listed there" if dates else ""
