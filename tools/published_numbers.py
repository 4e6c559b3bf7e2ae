"""Write the published numbers of results/reference/ into README.md and eleven pages of docs/.

    python -m tools.published_numbers

What stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced. Nothing in there is
typed by hand: a test fails if the pages and the files differ.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from unittest import mock

import pandas as pd

from frod_bench.compare import command as compare
from frod_bench.report.claims.parameters import PAPER_COUNTS, compositions
from frod_bench.report.claims.parts import suite_tasks
from frod_bench.report.claims_table import SHOWN
from tools import (
    analysis_tables,
    bench_tables,
    differences,
    evidence_hours,
    llama_costs,
    processors,
    real_profile,
    real_rates,
    row_overlap,
    searched_picks,
)

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
# The verdicts at the head of the README.
PROFILES = {"embedded": "Synthetic data", "real": "Real data"}
PAGES = (
    ROOT / "README.md",
    ROOT / "docs" / "reference" / "results.md",
    ROOT / "docs" / "reference" / "real_results.md",
    ROOT / "docs" / "reference" / "small_results.md",
    ROOT / "docs" / "reference" / "analyses_results.md",
    ROOT / "docs" / "explanation" / "method.md",
    ROOT / "docs" / "explanation" / "why.md",
    ROOT / "docs" / "explanation" / "fairness.md",
    ROOT / "docs" / "how-to" / "paper_scale.md",
    ROOT / "docs" / "how-to" / "reproducing.md",
    ROOT / "docs" / "how-to" / "real_data.md",
    ROOT / "docs" / "reference" / "real_rows.md",
)
DEMO = (
    *("profile=real", "task=sst2,qnli", "method=frod,lora"),
    *("results_root=results/reference", "plot=none"),
)

# Claim -> what the paper says, and its parts that are shown (regular expressions), in which words.
# Of several parts that match the first with the worst verdict is shown.
VERDICTS = {
    "accuracy": (
        "matches full fine-tuning in accuracy",
        {
            r"frod (less|minus) full, mean": "FRoD scores {points} points {below} full "
            "fine-tuning ({confidence:.0%} interval {low:+.1f} to {high:+.1f}, margin {margin})"
        },
    ),
    "parameters": (
        "trains 1.72 % of the parameters",
        {
            r"counted on the paper's backbones, without the head": "{mean:.2f} %, counted on the "
            "paper's backbones",
            r"the same, over the \d+ compositions of 20 of 24 tasks": "that number chose these "
            "20 of the 24 tasks (all choices give {low:.2f} to {high:.2f} %)",
        },
    ),
    "convergence": (
        "converges faster than low-rank methods",
        {
            r"steps to target, (lora|dora) over frod": "{rival} needs {mean:.2f} times FRoD's "
            "steps to reach the target ({confidence:.0%} interval {low:.2f} to {high:.2f})",
            r"seconds to target, (lora|dora) over frod": "{rival} {mean:.2f} times FRoD's seconds "
            "({low:.2f} to {high:.2f})",
        },
    ),
    "robustness": (
        "is robust to seeds and learning rates",
        {
            r"spread over seeds, frod (less|minus) \w+": "FRoD's scores spread {points} points "
            "{more} over seeds than {rival}'s ({confidence:.0%} interval {low:+.1f} to "
            "{high:+.1f})",
            r"area over learning rates .+, frod (less|minus) \w+": "at other learning rates it "
            "loses {points} points {fewer} than {rival} ({less_high:+.1f} to {less_low:+.1f})",
        },
    ),
    "expressiveness": (
        "is more expressive than low-rank methods",
        {
            r"least error of full fine-tuning's update .+, frod (less|minus) truncated SVD": "its "
            "updates have a higher effective rank, but with as many values as rank 8 has it can "
            "approach full fine-tuning's update less well: the relative error is {size:.0f} points "
            "{below} a truncated SVD's ({confidence:.0%} interval {low:+.0f} to {high:+.0f}; 3 "
            "tasks)"
        },
    ),
}
RIVALS = {"lora": "LoRA", "dora": "DoRA", "full": "full fine-tuning"}
SAME = "as on the left"
ALLOWED = ", as the claim needs it"  # of a part that is supported where its claim is not
USELESS = "is below the frozen backbone"  # in the note on a reference that gained nothing
FROM_THE_WORST = ("not supported", "undecided at this budget", "supported")
WORDS = {
    "not supported": "no",
    "supported": "yes",
    "undecided at this budget": "undecided",
}


def verdicts() -> str:
    """A row for each claim: what the paper says, and how it came out on each kind of data."""
    tables = [pd.read_csv(REFERENCE / name / "tables/claims.csv") for name in PROFILES]
    heads = [f"{kind}, {_extent(name)}" for name, kind in PROFILES.items()]
    return _verdicts(dict(zip(heads, tables, strict=True)))


EDITIONS = {  # how the learning rates were picked and by which rules is judged -> its claims
    "first search, first rules": "embedded/first_edition/tables/claims.csv",
    "search of all methods, first rules": "first_rules/embedded/tables/claims.csv",
    "search of all methods, second rules": "embedded/tables/claims.csv",
}


def editions() -> str:
    """The verdicts on synthetic data before and after the common search, and the rules' change."""
    return _verdicts({name: pd.read_csv(REFERENCE / path) for name, path in EDITIONS.items()})


def _verdicts(tables: Mapping[str, pd.DataFrame]) -> str:
    """A row for each claim, and a column for each table of claims, by its head."""
    lines = [f"| The paper: FRoD … | {' | '.join(tables)} |", f"| ---{' | ---' * len(tables)} |"]
    for claim, (says, parts) in VERDICTS.items():
        cells = [_verdict(table, claim, parts) for table in tables.values()]
        pairs = zip(cells, ["", *cells], strict=False)
        cells = [SAME if cell == before else cell for cell, before in pairs]
        lines.append(f"| {says} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _extent(profile: str) -> str:
    """How many of the suite's tasks, and how many seeds, the published results have."""
    claims = pd.read_csv(REFERENCE / profile / "tables/claims.csv")
    counted = claims[(claims["claim"] == "accuracy") & claims["n_tasks"].notna()].iloc[0]
    tasks, expected = int(counted["n_tasks"]), int(counted["n_expected"])
    seeds = int(pd.read_csv(REFERENCE / profile / "tables/main.csv")["n_seeds"].max())
    return f"{tasks if tasks == expected else f'{tasks} of {expected}'} tasks, {seeds} seeds"


def _verdict(table: pd.DataFrame, claim: str, parts: Mapping[str, str]) -> str:
    rows = table[table["claim"] == claim]
    if rows.empty:
        return "**Not measured**"
    of_claim = rows[rows["part"].isna()].iloc[0]
    verdict = str(of_claim["verdict"])
    margin = re.search(r"below \+([\d.]+) points", str(of_claim["rule"]))
    for written, word in WORDS.items():
        verdict = verdict.replace(written, word)
    order = rows["verdict"].map({name: at for at, name in enumerate(FROM_THE_WORST)})
    rows = rows[rows["mean"].notna()].assign(order=order).sort_values("order", kind="stable")
    found = {form: rows[rows["part"].str.fullmatch(part, na=False)] for part, form in parts.items()}
    texts = [
        _in_words(of_part.iloc[0], form, margin[1] if margin else "")
        + ALLOWED * (of_part.iloc[0]["verdict"] == "supported" != of_claim["verdict"])
        for form, of_part in found.items()
        if len(of_part)
    ]
    assert texts, f"{claim}: has none of its parts"
    if any(USELESS in text for text in texts):
        verdict += ", by the rule"
    return f"**{verdict.capitalize()}**: {', and '.join(texts)}"


def _in_words(row: pd.Series, form: str, margin: str) -> str:
    numbers = {name: float(row[name]) for name in ("mean", "low", "high", "confidence")}
    mean = numbers["mean"]
    part = str(row["part"])
    of_ratio = re.search(r"(\w+) over frod$", part)
    text = form.format(
        **numbers,
        size=abs(mean),
        points=f"{abs(mean):.1f}" if abs(mean) >= 0.05 else f"{abs(mean):.2f}",
        margin=margin,
        less_high=-numbers["high"],  # of the difference of losses, which areas are below 0
        less_low=-numbers["low"],
        rival=RIVALS.get(of_ratio[1] if of_ratio else part.rsplit(maxsplit=1)[-1], ""),
        below="below" if mean < 0 else "above",
        fewer="more" if mean < 0 else "less",
        more="more" if mean > 0 else "less",
    )
    text = re.sub(r"-(?=\d)", "−", text).replace("90%", "90 %").replace("95%", "95 %")
    text = re.sub(r" \([^()]*[+-]?nan to [+-]?nan[^()]*\)", ", without an interval", text)
    text = re.sub(r"\binf\b", "∞", text)
    useless = re.search(rf"[^;]+ {USELESS} on [^;]+", str(row["note"]))
    return f"{text}; {useless[0].strip().replace(' (rank)', '')}" if useless else text


def demo() -> str:
    """What the README's demo prints, 100 columns wide."""
    out = io.StringIO()
    with (
        contextlib.chdir(ROOT),
        mock.patch.dict(os.environ, {"COLUMNS": "100"}),
        contextlib.redirect_stdout(out),
    ):
        assert compare.main(list(DEMO)) == 0
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    end = next(number for number, line in enumerate(lines, start=1) if line.startswith("└"))
    return "\n".join(["```", *lines[:end], "```"])


def _table(profile: str, name: str) -> Callable[[], str]:
    def read() -> str:
        title, body = (REFERENCE / profile / f"tables/{name}.md").read_text().split("\n", 1)
        return f"**{title.removeprefix('# ')}**\n\n{body.strip()}"

    return read


def _claims(profile: str) -> Callable[[], str]:
    """The table of claims without the rows that are shown and do not decide.

    Two kinds of such rows are kept: the range that the rules name, and what the runs could have
    found.
    """

    def read() -> str:
        lines = _table(profile, "claims")().splitlines()
        kept = (
            line
            for line in lines
            if SHOWN not in line or any(word in line for word in ("compositions", ", smallest "))
        )
        return "\n".join(kept)

    return read


def composition_table() -> str:
    """FRoD's share of the parameters over the compositions of 20 of the 24 tasks, lowest first."""
    counts = pd.read_csv(PAPER_COUNTS)
    found = sorted(compositions(counts, len(suite_tasks("paper20"))), key=lambda item: item[1])
    names = {"clip_vit_b32": "vision", "llama2_7b": "reasoning", "roberta_large": "GLUE"}
    lines = [f"| {' | '.join(names[name] for name in found[0][0])} | % of the backbone |"]
    lines.append("| ---: | ---: | ---: | ---: |")
    for taken, share in found:
        lines.append(f"| {' | '.join(map(str, taken.values()))} | {share:.3f} |")
    return "\n".join(lines)


BLOCKS: dict[str, Callable[[], str]] = {
    "verdicts": verdicts,
    "editions": editions,
    "differences": differences.of_main_table,
    "by family": partial(differences.by_family, "embedded"),
    "by family real": partial(differences.by_family, "real"),
    "by family constant": partial(differences.by_family, "constant_rate/embedded"),
    "matched": differences.at_matched_budget,
    "schedules": differences.between_schedules,
    "all methods": differences.of_all_methods,
    "variants": differences.of_variants,
    "slow learning": differences.of_slow_learning,
    "analysis rates": analysis_tables.rates,
    "analysis budgets": analysis_tables.budgets,
    "analysis shares": analysis_tables.shares,
    "analysis seeds": analysis_tables.seeds,
    "analysis released": analysis_tables.released,
    "analysis updates": analysis_tables.updates,
    "analysis expressible": analysis_tables.expressible,
    "analysis landscapes": analysis_tables.landscapes,
    "curvature": analysis_tables.curvatures,
    "picks": searched_picks.of_main_table,
    "other picks": searched_picks.of_other_methods,
    "real picks": searched_picks.on_real_data,
    "constant picks": searched_picks.without_decay,
    "hours": evidence_hours.table,
    "processors": processors.table,
    "pilot gains": real_profile.pilot_gains,
    "bf16 differences": real_profile.bf16_differences,
    "bf16 at the pick": real_profile.bf16_at_the_pick,
    "real steps": real_profile.step_seconds,
    "rates real": real_rates.of_all_methods,
    "full rate real": real_rates.of_full_fine_tuning,
    "row overlap": row_overlap.table,
    "demo": demo,
    "step times": bench_tables.in_the_readme,
    "bench steps": partial(bench_tables.steps, "AMD"),
    "bench steps before": partial(bench_tables.steps, "Intel"),
    "bench goals": bench_tables.goals,
    "llama costs": llama_costs.table,
    "compositions": composition_table,
    "claims embedded": _claims("embedded"),
    "claims real": _claims("real"),
    "claims small": _claims("small"),
    "main embedded": _table("embedded", "main"),
    "main real": _table("real", "main"),
    "main small": _table("small", "main"),
    "predicted real": _table("real", "predicted"),
}
MARKED = re.compile(r"(<!-- begin ([\w ]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every marked block as the published files give it."""
    return MARKED.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n\n{match[3]}", page)


def main() -> int:
    """Rewrite the pages; returns the exit status."""
    for page, text in {page: filled(page.read_text()) for page in PAGES}.items():
        page.write_text(text)
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
