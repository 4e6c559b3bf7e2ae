"""The page as one HTML file: content, style, script and plotly.js."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from frod_bench.report.claims_table import format_part, headline
from frod_bench.report.names import label
from frod_bench.report.numbers import Numbers
from frod_bench.report.page.cells import MEANINGS
from frod_bench.report.page.charts import Chart
from frod_bench.report.page.content import grouped, page_content, verdict_kind

HERE = Path(__file__).parent
NAME = "report.html"


def write_page(numbers: Numbers, out_dir: Path) -> Path:
    """Write `report.html` in `out_dir`; returns its path."""
    out_dir.mkdir(parents=True, exist_ok=True)
    content = page_content(numbers, out_dir)
    text = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=content,
            css=_part("page.css"),
            script=_part("page.js"),
            plotly=get_plotlyjs(),
            curves=as_json(content.curves),
            fronts=as_json(content.fronts),
        )
    )
    path = out_dir / NAME
    path.write_text(text, encoding="utf-8")
    return path


def as_json(charts: Mapping[str, Chart]) -> str:
    """Charts as JSON that is safe inside a script element, whatever their texts contain."""
    plain = {name: chart._asdict() for name, chart in charts.items()}
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c")


def unbroken(text: str) -> list[str]:
    """The parts of a cell's text that stay on one line: it breaks before a bracket only.

    If a cell in a column that a narrow screen hides took a line more, the visible cells of its row
    would be followed by a blank line.
    """
    return re.split(r" (?=\()", text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "format_part": format_part,
        "grouped": grouped,
        "headline": headline,
        "label": label,
        "meanings": MEANINGS,
        "unbroken": unbroken,
        "verdict_kind": verdict_kind,
    }
    return environment


def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
