"""The claims as a table: the head of every report, as Markdown, CSV (long) and LaTeX."""

import numpy as np
import pandas as pd
from rich.console import Console

from frod_bench.report.claims.parts import (
    CONSISTENT,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Claim,
    Judged,
    Part,
)
from frod_bench.report.published.words import words_of_others
from frod_bench.report.table import Row, Table, to_rich

HEADER = ("claim", "measured", "rule", "verdict", "profile, protocol")
COLUMNS = (
    *("claim", "part", "unit", "mean", "low", "high", "confidence", "n_tasks", "n_expected"),
    *("published", "note", "rule", "verdict", "holes", "profile", "protocol"),
)
TRACKED = (
    *("claim", "part", "measured", "rule", "verdict", "profile", "protocol"),
    *("mean", "low", "high", "unit", "holes"),
)
SHOWN = "shown, does not decide"
_FROM_THE_WORST = (NOT_SUPPORTED, UNDECIDED, CONSISTENT, SUPPORTED)


def claims_frame(judged: Judged) -> pd.DataFrame:
    """A row per claim with an empty `part`, and below it one per part: `COLUMNS`, and for readers
    `statement`, `title` (of the part) and `measured`.
    """
    rows = []
    for claim in judged.claims:
        base = {"claim": claim.key, "statement": claim.statement}
        own = {"rule": claim.rule, "verdict": claim.verdict, "holes": claim.holes}
        measured = [headline(claim), words_of_others(claim.key, judged.rules)]
        rows.append(base | own | {"measured": "; ".join(filter(None, measured))})
        for part in claim.parts:
            texts = {"part": part.name, "title": part.title, "measured": format_part(part)}
            numbers = part.estimate._asdict() | {"n_tasks": part.estimate.n}
            fields = ("unit", "confidence", "n_expected", "published", "note", "verdict")
            rows.append(base | texts | numbers | {name: getattr(part, name) for name in fields})
    empty = dict.fromkeys(["part", "title", "unit", "note", "rule", "verdict", "holes"], "")
    frame = pd.DataFrame(rows).assign(profile=judged.profile, protocol=judged.protocol)
    return frame.fillna(empty)


def claims_table(judged: Judged, title: str) -> Table:
    """A strong row a claim with its verdict, and under it a row for each thing measured."""
    where = f"{judged.profile}, {judged.protocol}"
    rows = []
    for row in claims_frame(judged).itertuples(index=False):
        texts = (row.measured, row.rule, row.verdict or SHOWN, "" if row.part else where)
        rows.append(Row(row.title or row.statement, texts, strong=not row.part))
    rules = judged.rules
    # The second edition lists what it changed on its own date.
    later = sorted({change.dated for change in rules.changes} - {rules.dated})
    changed = f"; additions of {', '.join(later)} are listed there" if later else ""
    caption = (
        f"Judged on the suite {rules.suite}, seeds {', '.join(map(str, rules.seeds))}, by the "
        f"rules of {rules.file}, fixed on {rules.dated}{changed}; in brackets the interval of "
        "that confidence. A claim with missing runs is undecided, whatever was measured."
        + (f" {rules.limit}" if rules.limit else "")
    )
    notes = [f"{c.statement}, {c.verdict}: {c.holes}." for c in judged.claims if c.holes]
    return Table(f"Claims: {title}", caption, HEADER, rows, notes, prose=True)


def claims_rows(judged: Judged) -> tuple[list[str], list[list[str | float | None]]]:
    """The claims as columns and rows of plain values, for a tracker; NaN if there is no number."""
    frame = claims_frame(judged)
    verdict = frame["verdict"].replace("", SHOWN)
    frame = frame.assign(claim=frame["statement"], part=frame["title"], verdict=verdict)
    return list(TRACKED), frame[list(TRACKED)].to_numpy().tolist()


def show_claims(judged: Judged, title: str, console: Console) -> None:
    """Print the claims with what decides them: the first thing that a report says."""
    rows = []
    for claim in judged.claims:
        deciding = [part for part in claim.parts if part.verdict is not None]
        known = [part for part in deciding if not np.isnan(part.estimate.mean)]
        lines = [f"{part.title}: {format_part(part)}" for part in known]
        if lost := len(deciding) - len(known):
            lines.append(f"{lost} of {len(deciding)} parts: no number (tables/claims.md says why)")
        rows.append(Row(claim.statement, ("\n".join(lines), claim.verdict)))
    header = ("claim", "measured", "verdict")
    console.print(to_rich(Table(f"Claims: {title}", "", header, rows, prose=True)))


def headline(claim: Claim) -> str:
    """What was measured, of the first deciding part with the worst verdict; how many have it."""
    deciding = [part for part in claim.parts if part.verdict is not None]
    worst = min((part.verdict or "" for part in deciding), key=_FROM_THE_WORST.index)
    first, *others = [part for part in deciding if part.verdict == worst]
    words = f"; the first of {1 + len(others)} parts" if others else "; the only part"
    many = f"{words} with this verdict, of {len(deciding)} that decide"
    return f"{first.title}: {format_part(first)}{many if len(deciding) > 1 else ''}"


def format_part(part: Part) -> str:
    """An estimate with its interval, over how many tasks if not of all, and its note."""
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
