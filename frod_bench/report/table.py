"""A table as text in cells, and what it is written as: Markdown, LaTeX, CSV and the terminal.

The page renders the same `Table` as HTML (`report/page`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from rich.table import Table as RichTable

NOT_THERE = "–"


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        label: the first column.
        cells: the other columns; none in a heading.
        heading: whether it opens a group.
        strong: whether it is an average, or a summary of the rows around it.
        best: places of the cells whose number is the best of the row.
    """

    label: str
    cells: tuple[str, ...] = ()
    heading: bool = False
    strong: bool = False
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        caption: what it shows, in at most two sentences; what else must be known are `notes`.
        header: names the label column and each column of cells.
        prose: whether cells are sentences, which are wrapped and aligned on the left.
        texts: how many columns of cells, from the left, are names and no numbers.
    """

    title: str
    caption: str
    header: tuple[str, ...]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)
    prose: bool = False
    texts: int = 0


def write_table(table: Table, numbers: pd.DataFrame, out_dir: Path, name: str) -> list[Path]:
    """Write a table as `name` .md, .tex and .csv; `numbers` is the frame behind it."""
    from frod_bench.report.latex import label_of, to_latex

    out_dir.mkdir(parents=True, exist_ok=True)
    texts = {
        "md": to_markdown(table),
        "tex": to_latex(table, label_of(out_dir, name)),
        "csv": numbers.to_csv(index=False, float_format="%.10g", lineterminator="\n"),
    }
    paths = [out_dir / f"{name}.{suffix}" for suffix in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def to_markdown(table: Table) -> str:
    """The table as a Markdown page: title, caption, pipe table, notes."""
    columns = len(table.header)
    lines = [
        f"# {table.title}",
        "",
        table.caption,
        "",
        _pipes(_escaped(name) for name in table.header),
        _pipes(["---"] + ["---" if table.prose else "---:"] * (columns - 1)),
    ]
    for row in table.rows:
        label = f"**{_escaped(row.label)}**" if row.heading or row.strong else _escaped(row.label)
        cells = [
            _best_of(_escaped(cell), "**{}**") if place in row.best else _escaped(cell)
            for place, cell in enumerate(row.cells)
        ]
        lines.append(_pipes([label, *(cells or [""] * (columns - 1))]))
    if table.notes:
        lines += ["", *(f"- {_escaped(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_rich(table: Table) -> RichTable:
    """The table for a terminal, without caption and notes.

    Names stay whole: long texts are wrapped between words, and nothing is cut off. A label that
    repeats the one above is shown once, and another label begins a section.
    """
    shown = RichTable(title=table.title or None, title_justify="left")
    for place, name in enumerate(table.header):
        is_text = place <= table.texts or table.prose
        column = [name, *(_cell(row, place) for row in table.rows)]
        longest = max(len(word) for text in column for word in text.split() or [""])
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


def _cell(row: Row, place: int) -> str:
    texts = (row.label, *row.cells)
    return texts[place] if place < len(texts) else ""


def _best_of(text: str, form: str) -> str:
    """The cell's number in bold, and what follows it as it is."""
    number, space, rest = text.partition(" ")
    return form.format(number) + space + rest


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("\n", " ")
