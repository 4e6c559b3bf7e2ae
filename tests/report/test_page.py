"""The page: the tables' numbers in one file that loads nothing, whole in a real browser."""

import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from frod_bench.errors import InputError
from frod_bench.report.__main__ import CHOICES, parse
from frod_bench.report.build import write_report
from frod_bench.report.collect import Cell
from frod_bench.report.curves import Band
from frod_bench.report.page import curve_charts, front_charts
from frod_bench.report.page.write import as_json
from frod_bench.report.panels import Panels
from tests.report.factory import FAMILIES, PRIMARY, make_record, synthetic_curve, write_record

Experiment = tuple[Path, list[Cell]]
CHROMIUM = shutil.which("chromium")


class Page(html.parser.HTMLParser):
    """A page taken apart: the rows of its tables by id, its links, what it would load."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.source = path, path.read_text(encoding="utf-8")
        self.tables: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self.loads: list[str] = []
        self.headers: list[str | None] = []
        self.labels: list[str] = []
        self.scripts: dict[str, str] = {}
        self._table: list[list[str]] | None = None
        self._in_cell = False
        self._script: str | None = None
        self.text = ""
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._table = self.tables.setdefault(given.get("id") or "", [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._in_cell = True
            if tag == "th":
                self.headers.append(given.get("scope"))
        elif tag == "a":
            self.links.append(given.get("href") or "")
        elif tag == "script":
            self._script = given.get("id")
        if label := given.get("aria-label"):
            self.labels.append(label)
        loading = [given.get(name) for name in ("src", "srcset", "data", "poster")]
        loading += [given.get("href")] if tag == "link" else []
        self.loads += [value for value in loading if value]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        elif tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._in_cell and self._table:
            self._table[-1][-1] = f"{self._table[-1][-1]} {data}".strip()
        if self._script:
            self.scripts[self._script] = data
        elif self.lasttag not in ("script", "style"):
            self.text += data

    def row(self, table: str, label: str) -> list[str]:
        """The cells of the row with a label, its words one blank apart."""
        (found,) = [row for row in self.tables[table] if row and row[0] == label]
        return [" ".join(cell.split()) for cell in found[1:]]

    def charts(self, name: str) -> dict[str, Any]:
        """The charts that lie in the page as JSON."""
        return json.loads(self.scripts[name])  # type: ignore[no-any-return]


def write_page(root: Path, cells: list[Cell], title: str = "embedded (stand-in data)") -> Page:
    """The page of some cells, read back."""
    report = write_report(root, "embedded", cells, title, parts=["html"])
    assert [path.name for path in report.paths] == ["report.html"]
    return Page(report.paths[0])


@pytest.fixture(scope="module")
def page(experiment: Experiment) -> Page:
    return write_page(*experiment)


def test_scores_are_those_of_the_main_table(experiment: Experiment, page: Page) -> None:
    root, cells = experiment
    write_report(root, "embedded", cells, "embedded (stand-in data)", parts=["tables"])
    for line in (root / "embedded/tables/main.md").read_text().splitlines():
        label, *texts = [cell.strip("* ") for cell in line.strip("| ").split(" | ")]
        if len(texts) == 4 and label in ("rte", "boolq", "mean of vision", "mean of all tasks"):
            there = [
                text.replace("†", " †").replace("(one task)", "no interval: one task")
                for text in texts
            ]
            assert page.row("main-table", label) == there, label
    assert page.row("main-table", "dtd")[1] == "80.0 no interval: one seed (1 of 3: 2 failed)"
    assert page.row("main-table", "mnist")[1] == "diverged"


def test_other_tables_have_the_markdown_numbers(experiment: Experiment, page: Page) -> None:
    root, cells = experiment
    write_report(root, "embedded", cells, "embedded (stand-in data)", parts=["tables"])
    for name, table in (("parameters", "parameters"), ("convergence", "times")):
        rows = {tuple(row) for row in page.tables[table]}
        lines = (root / f"embedded/tables/{name}.md").read_text().splitlines()
        body = [line for line in lines if line.startswith("|") and "---" not in line]
        for line in body[1:]:
            label, *texts = [cell.strip("* ") for cell in line.strip("| ").split(" | ")]
            if any(texts):
                words = [text.replace("∞", "not reached") for text in texts]
                assert {(label, *texts), (label, *words)} & rows, line


def test_every_cell_is_on_the_map_and_links_to_its_record(
    experiment: Experiment, page: Page
) -> None:
    _, cells = experiment
    assert "cola, lora, seed 1: missing" in page.labels
    assert "dtd, lora, seed 2: failed, RuntimeError: out of luck" in page.labels
    assert "mnist, lora, seed 0: diverged, RuntimeError: out of luck" in page.labels
    assert "rte, frod, seed 0: ok, 80.0 (standard error 2.0)" in page.labels
    assert sum(", seed " in label for label in page.labels) == len(cells)
    records = {link for link in page.links if not link.startswith("#")}
    assert len([link for link in records if link.endswith(".json")]) == len(cells) - 1
    for link in records:
        assert not urlsplit(link).scheme
        assert (page.path.parent / unquote(link)).is_file(), link
    reasons = [row[3:5] for row in page.tables["lost"][1:]]
    assert ("missing", "has no record") in [(what, why[:13]) for what, why in reasons]
    assert ["failed", "RuntimeError: out of luck"] in reasons
    assert len(reasons) == 6


def test_page_loads_nothing(page: Page) -> None:
    assert page.loads == ["data:,"]
    assert "default-src 'none'" in page.source
    style = page.source[page.source.index("<style>") : page.source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_every_header_has_a_scope(page: Page) -> None:
    assert set(page.headers) == {"col", "row", "rowgroup"}


def test_charts_are_plotly_figures_with_captions_and_words(page: Page) -> None:
    curves, fronts = page.charts("curves-data"), page.charts("fronts-data")
    assert {f"{name}/{axis}" for name in ("rte", "all_tasks") for axis in ("steps", "seconds")} <= (
        set(curves)
    )
    assert list(fronts) == ["all tasks", "nlu", "reasoning", "vision"]
    for chart in (*curves.values(), *fronts.values()):
        assert go.Figure(chart["figure"]).data  # raises where plotly knows a property not
        assert chart["caption"]
        assert "frod" in chart["text"]
    traces = curves["rte/steps"]["figure"]["data"]
    lines = {trace["name"]: trace for trace in traces if "dash" in trace.get("line", {})}
    assert lines["frod"]["line"]["color"] == "#D55E00"
    assert "At the end: full 81.0, frod 81.0, frozen" in curves["mnist/steps"]["text"]
    assert "Not drawn: lora (3 diverged)." in curves["mnist/steps"]["caption"]


def test_front_leaves_out_what_is_beaten_or_not_whole() -> None:
    rows = [
        *(("frod", 70.0, 2.0, ""), ("lora", 72.0, 9.0, ""), ("dora", 71.0, 10.0, "")),
        *(("full", 75.0, 100.0, ""), ("frozen", 50.0, 0.0, ""), ("vera", 90.0, 1.0, "1 failed")),
    ]
    base = {"scope": "overall", "family": "", "low": np.nan, "high": np.nan}
    summary = pd.DataFrame(
        [
            base | {"method": m, "mean": mean, "metric": metric, "primary": primary, "holes": holes}
            for m, score, share, holes in rows
            for metric, mean, primary in (
                ("primary", score, True),
                ("trainable, without the head", share, False),
            )
        ]
    )
    points = front_charts.front_points(summary, "overall", "").set_index("method")
    assert set(points.index[points["front"]]) == {"frozen", "frod", "lora", "full"}
    chart = front_charts.front_charts(summary)["all tasks"]
    traces = {trace["name"]: trace for trace in chart.figure["data"]}
    assert traces["vera"]["marker"]["symbol"].endswith("-open")
    assert "error_y" not in traces["frod"]
    assert "interval not available" in traces["frod"]["hovertemplate"]
    assert 0 < traces["frozen"]["x"][0] < 1  # a logarithmic axis has no zero


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    for method in ("full", "frod"):
        write_record(tmp_path, make_record("rte", method, 0), synthetic_curve())
    page = write_page(tmp_path, [Cell("rte", method, 0) for method in ("full", "frod")])
    assert page.row("main-table", "rte") == ["80.0 no interval: one seed"] * 2
    assert page.row("main-table", "mean of all tasks") == ["80.0 no interval: one task"] * 2
    traces = page.charts("curves-data")["rte/steps"]["figure"]["data"]
    assert not any("fill" in trace for trace in traces)


def test_target_that_nothing_reaches_is_told_in_words(tmp_path: Path) -> None:
    """The reference's mean sets a target that two of its three seeds miss, and so does frod."""
    for seed, final in enumerate((0.9, 0.52, 0.52)):
        for method, end in (("full", final), ("frod", 0.55)):
            curve = synthetic_curve(final=end, rate=0.2, seed=seed)
            write_record(tmp_path, make_record("rte", method, seed), curve)
    page = write_page(tmp_path, [Cell("rte", m, s) for m in ("full", "frod") for s in range(3)])
    found = [row[1:] for row in page.tables["times"] if row[0].startswith("rte (")]
    assert found == [["not reached", "not reached"]] * 2  # in steps and in seconds
    chart = page.charts("curves-data")["rte/steps"]
    assert "No method reaches the target." in chart["caption"]
    assert "No method reaches the target." in chart["text"]


def test_undefined_scores_and_missing_curves_leave_a_page(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_record(tmp_path, make_record("cola", "frod", seed, value=None))
    page = write_page(tmp_path, [Cell("cola", "frod", seed) for seed in (0, 1)])
    assert page.row("main-table", "cola (matthews correlation)") == ["undefined"]
    assert "there is none to draw" in page.text
    assert "No method has both" in page.text
    assert "NaN" not in json.dumps(page.tables)


def test_records_that_are_none_leave_a_page_that_says_so(tmp_path: Path) -> None:
    broken = write_record(tmp_path, make_record("rte", "full", 0))
    broken.write_text('{"value": NaN}')
    failed = make_record("rte", "frod", 0, status="failed")
    failed |= dict.fromkeys(("params", "time", "memory", "curve"))
    page = write_page(tmp_path, [Cell("rte", "full", 0)])
    assert page.row("main-table", "rte") == ["unusable"]
    write_record(tmp_path, failed)
    page = write_page(tmp_path, [Cell("rte", method, 0) for method in ("full", "frod")])
    assert page.row("main-table", "rte") == ["unusable", "failed"]
    assert page.row("map", "rte") == ["U", "F"]
    assert page.row("made-with", "records") == ["1 of 2 cells"]


def test_no_records_says_how_to_make_some_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make reproduce-all"):
        write_page(tmp_path, [Cell("rte", "frod", 0)])
    assert list(tmp_path.iterdir()) == []


def test_text_from_records_is_text(tmp_path: Path) -> None:
    made = make_record("rte", "frod", 0, status="failed")
    made["error"]["message"] = "</script><script>alert(1)</script>"
    write_record(tmp_path, made)
    write_record(tmp_path, make_record("rte", "frod", 1), synthetic_curve())
    cells = [Cell("rte", "frod", seed) for seed in (0, 1)]
    page = write_page(tmp_path, cells, "</script><b>title")
    assert "<script>alert" not in page.source
    assert "</script><b>" not in page.source
    assert "</script><b>title" in page.charts("curves-data")["rte/steps"]["text"]


def test_page_of_a_thousand_cells_is_below_eight_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    cells = [Cell(t, f"m{m}", s) for t in FAMILIES for m in range(20) for s in range(10)]
    for cell in cells:
        metric = PRIMARY.get(cell.task, "accuracy")
        curve = synthetic_curve(every=10, seed=cell.seed, metric=metric)
        write_record(tmp_path, make_record(cell.task, cell.method, cell.seed), curve)
    page = write_page(tmp_path, cells)
    assert page.path.stat().st_size < 8e6
    assert len(page.charts("curves-data")) == 12


def test_curves_of_very_many_methods_stay_small() -> None:
    """Two cells each of a hundred methods on five tasks, by steps and by seconds."""
    grid = np.linspace(0.123456, 1234.56, 241)
    band = Band(grid, np.sin(grid), np.sin(grid) - 1, np.sin(grid) + 1, 2)
    bands = {f"m{m}": band for m in range(100)}
    shown = Panels("task", "accuracy (%)", "", {"steps": bands, "seconds": bands})
    charts = curve_charts.curve_charts({f"task{t}": shown for t in range(6)})
    text = as_json(charts)
    assert len(text) < 2.5e6
    assert len(json.loads(text)) == 12


def test_thinned_curve_keeps_its_ends() -> None:
    grid = np.linspace(0, 1, 241)
    band = curve_charts.thinned(Band(grid, grid, grid, grid, 3), 24)
    assert (len(band.grid), band.grid[0], band.grid[-1]) == (24, 0, 1)


def test_each_part_can_be_asked_for_alone_and_loads_only_what_it_needs() -> None:
    assert parse(["html", "seed=0"]) == ("html", ["experiment=main_table", "seed=0"])
    assert CHOICES["html"] == ("html",)
    assert set(CHOICES["all"]) == {"tables", "plots", "html"}
    with pytest.raises(InputError, match="Did you mean 'html'"):
        parse(["htm"])
    code = (
        "import sys; heavy = {'torch', 'matplotlib', 'plotly'};"
        "import frod_bench.report.build; print(*heavy & set(sys.modules), sep='');"
        "import frod_bench.report.page.write; print(*heavy & set(sys.modules), sep='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "plotly"]


Browse = Callable[[Path, str], str]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """browse(page, script) -> the document after the script ran in it; its console is silent."""
    if CHROMIUM is None:
        pytest.skip("no `chromium` on the PATH (Debian's package of that name): no browser to ask")

    def run(path: Path, script: str) -> str:
        probed = tmp_path / "probed.html"
        probe = f"<script>addEventListener('load', () => {{ {script} }});</script>"
        probed.write_text(path.read_text().replace("</body>", f"{probe}</body>"))
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
                *("--enable-logging=stderr", "--virtual-time-budget=1000"),
                *(f"--user-data-dir={tmp_path}/profile", "--dump-dom", probed.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        assert said == []
        return done.stdout

    return run


def test_browser_draws_the_charts_and_says_them(page: Page, browse: Browse) -> None:
    shown = browse(page.path, "")
    assert shown.count('class="main-svg"') >= 2
    buttons = set(re.findall('modebar-btn[^>]*data-title="([^"]*)"', shown))
    assert "Zoom in" in buttons
    assert not any("Share" in button for button in buttons)  # plotly's sends the figure away
    assert '<p class="hidden in-words">mean of 2 tasks' in shown
    assert "<figcaption>Mean over 2 tasks" in shown


def test_browser_sorts_tasks_and_leaves_means(page: Page, browse: Browse) -> None:
    shown = browse(
        page.path,
        "const head = document.querySelectorAll('#main-table .sort');"
        "head[0].click();"  # tasks from a to z
        "document.title = [...document.querySelectorAll('#main-table tbody')[0].rows]"
        ".map((row) => row.cells[0].textContent).join();",
    )
    title = re.search("<title>(.*)</title>", shown)
    assert title
    assert title[1] == "nlu,cola (matthews correlation),rte,mean of nlu"


def test_browser_hides_a_method_and_turns_dark(page: Page, browse: Browse) -> None:
    script = (
        "const box = document.querySelector('.methods input[value=lora]'); box.click();"
        "document.querySelector('.theme input[value=dark]').click();"
        "const plot = document.querySelector('.plot');"
        "document.title = JSON.stringify([plot.data.filter(t => t.visible !== false)"
        ".map(t => t.name), plot.data.find(t => t.name === 'full' && t.mode === 'lines'"
        " && t.line.color).line.color, getComputedStyle(document.body).backgroundColor]);"
    )
    title = re.search("<title>(.*)</title>", browse(page.path, script))
    assert title
    names, color, paper = json.loads(title[1].replace("&quot;", '"'))
    assert set(names) == {"full", "frod", "frozen"}
    assert color == "#f2f2f2"
    assert paper == "rgb(21, 24, 28)"
