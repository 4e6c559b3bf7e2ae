"""The page as one HTML file: what it shows of a report's numbers, style, script and plotly.js."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from frod_bench.common import atomic
from frod_bench.report import style, tables
from frod_bench.report.claims.parts import NOT_SUPPORTED, SUPPORTED
from frod_bench.report.claims_table import claims_table, format_part, headline
from frod_bench.report.convergence import convergence_table
from frod_bench.report.frame import method_of, methods_in, tasks_in
from frod_bench.report.keys import Method
from frod_bench.report.names import label
from frod_bench.report.numbers import Numbers
from frod_bench.report.page import records
from frod_bench.report.page.charts import Chart, curve_charts, dash, front_charts
from frod_bench.report.paired import paired_table
from frod_bench.report.published.table import published_table
from frod_bench.report.published.words import words_of_others
from frod_bench.report.table import NOT_THERE, Row, Table

HERE = Path(__file__).parent


class Score(NamedTuple):
    """A score in the main table; `value` sorts it, and is None if there is no number."""

    mean: str
    interval: str
    holes: str
    value: float | None


def write_page(numbers: Numbers, out_dir: Path, *, others: bool = True) -> Path:
    """Write `report.html` in `out_dir`, with what others measured if asked for; return its path."""
    out_dir.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "as_json": as_json,
        "format_part": format_part,
        "grouped": grouped,
        "headline": headline,
        "label": label,
        "score_of": score_of,
        "meanings": records.MEANINGS,
        "unbroken": unbroken,
        "words_of_others": words_of_others,
        "verdict_kinds": {SUPPORTED: "good", NOT_SUPPORTED: "bad"},
    }
    text = environment.get_template("page.html.jinja").stream(
        page=page_content(numbers, out_dir, others=others),
        css=(HERE / "page.css").read_text(encoding="utf-8"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
        plotly=get_plotlyjs(),
    )
    path = out_dir / "report.html"
    with atomic.replacing(path) as partial:  # whole, ten thousand runs take 60 MB
        text.dump(str(partial), encoding="utf-8")
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


def grouped(table: Table) -> list[tuple[str, list[tuple[Row, bool]]]]:
    """(heading, rows) of each group of a table; a heading may be empty.

    With each row whether it stays where it is when the others are sorted: from the first strong
    row of a group on, rows stay below it.
    """
    groups: list[tuple[str, list[tuple[Row, bool]]]] = [("", [])]
    for row in table.rows:
        rows = groups[-1][1]
        if row.heading:
            groups.append((row.label, []))
        else:
            rows.append((row, row.strong or any(is_fixed for _, is_fixed in rows)))
    return [(heading, rows) for heading, rows in groups if rows]


def page_content(numbers: Numbers, page_dir: Path, *, others: bool = True) -> dict[str, Any]:
    """What the page in `page_dir` shows of an experiment, by the names in the template."""
    frame, collected = numbers.collected.frame, numbers.collected
    title, rules = numbers.title, numbers.rules
    ours = numbers.ours
    methods = ours_second(methods_in(numbers.summary), ours, Method(rules.accuracy.reference))
    summary = _in_order(methods, numbers.summary)
    scores = itertools.groupby(tables.score_lines(summary), lambda line: line.group)
    curves = curve_charts(numbers.panels, numbers.losses)
    runs = records.run_lines(frame, page_dir)
    statuses = Counter(frame["status"])
    files = sorted((page_dir / "tables").glob("*.csv"))
    return {
        "title": title,
        "facts": {
            "runs with a score": f"{statuses['ok']} of {len(frame)}",
            "tasks": str(len(tasks_in(frame))),
            "methods": ", ".join(map(label, methods_in(numbers.summary))),
            "seeds": ", ".join(map(str, sorted(set(frame["seed"])))),
            "protocol": ", ".join(sorted(set(frame["protocol"].dropna()))),
        },
        "warnings": collected.warnings,
        "judged": numbers.judged,
        "claims_caption": claims_table(numbers.judged, title).caption,
        "methods": methods,
        "score_groups": [(group or "all tasks", list(lines)) for group, lines in scores],
        "score_caption": tables.main_caption(numbers.split),
        "score_notes": tables.hole_notes(summary),
        "paired": paired_table(numbers.pairs, ours, title, numbers.split)
        if len(numbers.pairs)
        else None,
        "swatches": [_swatch(method) for method in methods],
        "curves": curves,
        "curve_names": {name.split("/")[0]: chart.label for name, chart in curves.items()},
        "quantities": list(dict.fromkeys(name.split("/")[1] for name in curves)),
        "times": convergence_table(
            numbers.times,
            rules.convergence,
            title,
            methods=methods,
            missed="not reached",
            constant=numbers.moot_targets,
            mixed=numbers.mixed_machines,
        ),
        "fronts": front_charts(numbers.summary),
        "costs": _costs_table(summary, title),
        "parameters": tables.parameter_table(_in_order(methods, numbers.parameters), title),
        "predicted": numbers.predicted[0] if numbers.predicted else None,
        "others_measured": published_table(numbers.others, rules, title, numbers.curve_split)
        if others
        else None,
        "map": records.run_map(runs, methods),
        "counts": {name: statuses[name] for name in records.MEANINGS if name in statuses},
        "runs": runs,
        "made_with": records.provenance_table(collected, title),
        "inputs": records.inputs_table(collected, title),
        "others": collected.others,
        "files": [records.relative(path, page_dir) for path in files],
    }


def ours_second(methods: Sequence[Method], ours: Method, reference: Method) -> list[Method]:
    """The methods with `ours` after the reference, since a narrow screen shows two columns.

    Without the reference ours is the first.
    """
    others = [method for method in methods if method != ours]
    at = others.index(reference) + 1 if reference in others else 0
    return [*others[:at], *([ours] if ours in methods else []), *others[at:]]


def _in_order(methods: Sequence[Method], frame: pd.DataFrame) -> pd.DataFrame:
    """A long frame with its rows in the order of the methods."""
    order = [methods.index(method_of(row)) for row in frame.itertuples(index=False)]
    return frame.iloc[np.argsort(order, kind="stable")]


def score_of(number: Any) -> Score:
    """A row of the summary in parts; if an interval is unavailable it says why."""
    if number is None:
        return Score(NOT_THERE, "", "", None)
    mean, interval, holes = (part.strip() for part in tables.score_text(number))
    if np.isnan(number.mean):
        return Score("", "", mean, None)
    if np.isnan(number.low):
        interval = f"no interval: {tables.too_few(number)}"
    return Score(mean, interval, holes, float(number.mean))


def _costs_table(summary: pd.DataFrame, title: str) -> Table:
    lines = tables.cost_lines(summary)
    columns = zip(*(tables.cost_texts(line.numbers) for line in lines), strict=True)
    methods = methods_in(summary)
    rows = [Row(label(method), own) for method, own in zip(methods, columns, strict=bool(lines))]
    caption = (
        "Means over the runs. Seconds and memory were measured once, so they have no interval, and "
        "seconds compare if one kind of machine made the runs; peak memory includes what the "
        "worker process kept from earlier runs."
    )
    header = ("method", *(line.label for line in lines))
    return Table(f"Costs: {title}", caption, header, rows)


def _swatch(method: Method) -> dict[str, str]:
    """How a method is drawn, for the legend."""
    look = style.of_method(method)
    gaps = dash(look).replace("px", "").replace("solid", "none")
    colors = {"light": look.color, "dark": look.color_on_dark}
    return {"method": label(method), **colors, "dash": gaps}
