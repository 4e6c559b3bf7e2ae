"""Reads a written page back: its tables, charts, links and text."""

import html.parser
import json
from pathlib import Path
from typing import Any

from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.rules import Rules


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


def write_page(
    root: Path,
    cells: list[Cell],
    title: str = "embedded (stand-in data)",
    rules: Rules | None = None,
) -> Page:
    """The page of some cells, read back."""
    report = write_report(root, "embedded", cells, title, parts=["html"], rules=rules)
    assert [path.name for path in report.paths] == ["report.html"]
    return Page(report.paths[0])
