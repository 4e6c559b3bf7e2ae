"""Write the published numbers of results/reference/ into README.md and the page of results.

    python -m tools.published_numbers

What stands between `<!-- begin NAME -->` and `<!-- end NAME -->` is replaced. Nothing is typed in
by hand: a test fails if the pages and the files differ.
"""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pandas as pd

from frod_bench.compare import command as compare

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
PROFILES = ("embedded", "small")
PAGES = (ROOT / "README.md", ROOT / "docs" / "reference" / "results.md")
DEMO = (
    *("profile=small", "task=sst2,qnli", "method=frod,lora"),
    *("results_root=results/reference", "plot=none"),
)

# Claim -> what it says, the part that is shown, and how.
VERDICTS = {
    "accuracy": (
        "matches full fine-tuning in accuracy",
        "frod less full, mean",
        "FRoD minus full {mean:+.1f} points, {confidence:.0%} interval [{low:+.1f}, {high:+.1f}]",
    ),
    "parameters": (
        "trains 1.72 % of the parameters",
        "counted on the paper's backbones, without the head",
        "{mean:.2f} %, counted on the paper's backbones",
    ),
    "convergence": (
        "converges faster than low-rank methods",
        "steps to target, lora over frod",
        "LoRA's steps to the target over FRoD's {mean:.2f}, {confidence:.0%} "
        "[{low:.2f}, {high:.2f}]",
    ),
    "robustness": (
        "is robust to seeds and learning rates",
        "spread over seeds, frod less lora",
        "spread over seeds, FRoD minus LoRA {mean:+.1f} points, {confidence:.0%} "
        "[{low:+.1f}, {high:+.1f}]",
    ),
}


def verdicts() -> str:
    """Four rows: what the paper says, and how it came out on synthetic tasks and on real rows."""
    tables = {name: pd.read_csv(REFERENCE / name / "tables/claims.csv") for name in PROFILES}
    lines = [
        "| FRoD … | synthetic: 20 tasks, 3 seeds | real rows: 6 of the 20 tasks, 2 seeds |",
        "| --- | --- | --- |",
    ]
    for claim, (says, part, form) in VERDICTS.items():
        cells = [_verdict(tables[name], claim, part, form) for name in PROFILES]
        lines.append(f"| {says} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _verdict(table: pd.DataFrame, claim: str, part: str, form: str) -> str:
    rows = table[table["claim"] == claim]
    verdict = str(rows[rows["part"].isna()]["verdict"].iloc[0]).removesuffix(" at this budget")
    shown = rows[rows["part"] == part].iloc[0]
    numbers = {name: float(shown[name]) for name in ("mean", "low", "high", "confidence")}
    text = form.format(**numbers).replace("-", "−").replace("90%", "90 %").replace("95%", "95 %")
    return f"**{verdict.replace(' at this budget', '')}**: {text}"


def demo() -> str:
    """What the README's demo prints, 100 columns wide."""
    out = io.StringIO()
    with (
        contextlib.chdir(ROOT),
        mock.patch.dict(os.environ, {"COLUMNS": "100"}),
        contextlib.redirect_stdout(out),
    ):
        assert compare.main(list(DEMO)) == 0
    table = out.getvalue().split("Score: mean over seeds")[0]
    return "```\n" + "\n".join(line.rstrip() for line in table.splitlines()) + "\n```"


def _table(profile: str, name: str) -> Callable[[], str]:
    def read() -> str:
        title, body = (REFERENCE / profile / f"tables/{name}.md").read_text().split("\n", 1)
        return f"**{title.removeprefix('# ')}**\n\n{body.strip()}"

    return read


BLOCKS: dict[str, Callable[[], str]] = {
    "verdicts": verdicts,
    "demo": demo,
    "claims embedded": _table("embedded", "claims"),
    "claims small": _table("small", "claims"),
    "main embedded": _table("embedded", "main"),
    "main small": _table("small", "main"),
}
MARKED = re.compile(r"(<!-- begin ([\w ]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with every marked block as the published files give it."""
    return MARKED.sub(lambda match: f"{match[1]}\n{BLOCKS[match[2]]()}\n\n{match[3]}", page)


def main() -> int:
    """Rewrite the pages; returns the exit status."""
    for page in PAGES:
        page.write_text(filled(page.read_text()))
        print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
