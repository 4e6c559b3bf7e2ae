"""A table of texts, and what it is written as: Markdown, LaTeX, CSV and the terminal."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.table import Table as RichTable

from frod_bench.common import atomic

NOT_THERE = "–"


@dataclass(frozen=True)
class Row:
    """A line of a table; one that opens a group is a `heading`, and has no cells."""

    label: str  # the first column
    cells: tuple[str, ...] = ()  # the other columns
    heading: bool = False
    strong: bool = False  # an average, or a summary of the rows around it
    best: frozenset[int] = frozenset()  # places of the cells whose number is the best of the row


@dataclass(frozen=True)
class Table:
    """A table; `header` names the column of labels and each column of cells."""

    title: str
    caption: str  # what it shows, in a few sentences
    header: tuple[str, ...]
    rows: Sequence[Row]
    notes: Sequence[str] = ()  # what else must be known
    prose: bool = False  # cells are sentences, which are wrapped and aligned on the left
    texts: int = 0  # how many columns of cells, from the left, are names and no numbers

    def column(self, place: int) -> list[str]:
        """A column's name and its texts."""
        lines = [(row.label, *row.cells) for row in self.rows]
        return [self.header[place], *(line[place] for line in lines if place < len(line))]


def write_table(table: Table, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write a table as `name` .md, .tex and .csv; `numbers` is the frame behind it."""
    from frod_bench.report.latex import label_of, to_latex

    texts = {
        out_dir / f"{name}.md": to_markdown(table),
        out_dir / f"{name}.tex": to_latex(table, label_of(out_dir, name)),
        out_dir / f"{name}.csv": numbers.to_csv(
            index=False, float_format="%.10g", lineterminator="\n"
        ),
    }
    for path, text in texts.items():
        atomic.write_text(path, text)
    return list(texts)


def to_markdown(table: Table) -> str:
    """The table as a Markdown page: title, caption, pipe table, notes."""
    columns = len(table.header) - 1
    rules = ["---", *(["---" if table.prose else "---:"] * columns)]
    lines = [f"# {table.title}", "", table.caption, "", pipes(table.header), pipes(rules)]
    for row in table.rows:
        label = f"**{row.label}**" if row.heading or row.strong else row.label
        cells = [
            re.sub("^[^ ]*", r"**\g<0>**", cell) if place in row.best else cell
            for place, cell in enumerate(row.cells)
        ]
        lines.append(pipes([label, *(cells or [""] * columns)]))
    if table.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_rich(table: Table) -> RichTable:
    """The table for a terminal, without caption and notes; nothing is cut off.

    A label that repeats the one above is shown once, and another label begins a section.
    """
    shown = RichTable(title=table.title or None, title_justify="left")
    for place, name in enumerate(table.header):
        is_text = place <= table.texts or table.prose
        longest = max(len(word) for text in table.column(place) for word in text.split() or [""])
        shown.add_column(
            name, justify="left" if is_text else "right", overflow="fold", min_width=longest
        )
    sections = table.prose or len({row.label for row in table.rows}) < len(table.rows)
    above = None
    for row in table.rows:
        if above is not None and sections and row.label != above:
            shown.add_section()
        repeats = row.label == above and bool(row.cells)
        shown.add_row("" if repeats else row.label, *row.cells)
        above = row.label
    return shown


def pipes(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("\n", " ")
