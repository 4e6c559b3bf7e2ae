"""A table as LaTeX floats that fit NeurIPS's page (397 pt) and AAAI's (505 pt, columns of 238).

Nothing is scaled. A table with very many columns, and fewer rows, is first turned (methods as
rows). A table that is too wide is then set with its intervals below the numbers, and split into
panels if it is still too wide. One that is too long becomes several floats. Widths are estimated
from the characters, on the safe side.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from frod_bench.common.paths import CONF_DIR
from frod_bench.report.table import Row, Table

COLUMN_PT, PAGE_PT = 232.0, 392.0  # of AAAI's column and NeurIPS's text, with a margin
GAP_PT = 6.0  # between columns: twice \tabcolsep
MOST_COLUMNS = 12  # beyond it a table with fewer rows than columns is turned
MOST_LINES = 48  # of a float, header and notes left out
KINDS = ("tables", "figures")  # folders of a report
NEEDS = "% Needs \\usepackage{booktabs, array}."
_WITH_DETAIL = re.compile(r"([+−-]?[\d∞].*?) ([±\[(].*)", re.DOTALL)  # a number, and its interval
_NARROW, _WIDE = set(" .,;:'|!ijltfI()[]"), set("mwABCDEFGHKLMNOPQRSTUVWXYZ%±×∞–−<>=+†&@λ")
_SYMBOLS = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "†": r"$^\dagger$", "×": r"$\times$", "∞": r"$\infty$", "–": "--", "−": "$-$", "<": r"$<$",
    ">": r"$>$", "λ": r"$\lambda$", "·": r"$\cdot$", "…": r"\dots{}", "≥": r"$\geq$",
    "≤": r"$\leq$", "|": r"$|$", "→": r"$\to$",
})  # fmt: skip


def label_of(out_dir: Path, name: str, kind: str = "tab") -> str:
    """A label of the report's folder and `name`: `tab:small-budget-curve-main` if that folder is in
    one named after a profile, `tab:mine-main` if it is anywhere else.
    """
    folder = out_dir.resolve()
    if folder.name in KINDS:
        folder = folder.parent
    of_profile = (CONF_DIR / "profile" / f"{folder.parent.name}.yaml").exists()
    parts = (*[folder.parent.name] * of_profile, folder.name, name)
    return f"{kind}:" + "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part) for part in parts)


def to_latex(table: Table, label: str) -> str:
    """The table as one or more floats; `label` is the first one's, the others' are numbered."""
    if len(table.header) - 1 > MOST_COLUMNS and len(_lines_of(table)) < len(table.header):
        table = _turned(table)
    floats = []
    pieces = list(_pieces(table))
    for number, piece in enumerate(pieces, start=1):
        panels = [piece] if table.prose else _panels(piece)
        fits_column = not table.prose and max(map(_width, panels)) <= COLUMN_PT
        kind = "table" if fits_column else "table*"
        caption = table.caption if number == 1 else "(continued)"
        notes = map(latex_text, table.notes if number == len(pieces) else ())
        lines = [
            rf"\begin{{{kind}}}",
            r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
            rf"\caption{{{latex_text(f'{table.title}. {caption}')}}}",
            rf"\label{{{label if number == 1 else f'{label}-{number}'}}}",
            "\n\\par\\medskip\n".join(map(_prose if table.prose else _numbers, panels)),
            *(rf"\par\smallskip{{\sloppy\raggedright\scriptsize {note}\par}}" for note in notes),
            rf"\end{{{kind}}}",
        ]
        floats.append("\n".join(lines))
    return "\n\n".join([NEEDS, *floats]) + "\n"


def _pieces(table: Table) -> Iterator[Table]:
    """The table in pieces of at most `MOST_LINES` lines, all panels counted."""
    rows: list[Row] = []
    used = 0
    for row, height in zip(table.rows, _heights(table), strict=True):
        if rows and used + height > MOST_LINES:
            yield replace(table, rows=rows)
            rows, used = [], 0
        rows.append(row)
        used += height
    yield replace(table, rows=rows)


def _heights(table: Table) -> list[int]:
    """Lines that each row takes in all panels."""
    if not table.prose:
        panels, stacked = len(_panels(table)), _is_stacked(table)
        return [panels * (2 if stacked and any(map(_detail, r.cells)) else 1) for r in table.rows]
    widths = [width * PAGE_PT for width in _prose_widths(table)]
    return [
        max(ceil(1.15 * _pt(text) / width) for text, width in zip(texts, widths, strict=False))
        for texts in ((row.label, *row.cells) for row in table.rows)
    ]


def _panels(table: Table) -> list[Table]:
    """The table, or its columns in panels of equal size that are narrow enough."""
    columns = len(table.header) - 1
    found = [table]
    for panels in range(1, columns + 1):
        size = ceil(columns / panels)
        found = [
            _columns(table, range(at, min(at + size, columns))) for at in range(0, columns, size)
        ]
        if all(_width(panel) <= PAGE_PT for panel in found):
            break
    return found


def _columns(table: Table, places: Sequence[int]) -> Table:
    """The table with some of its columns of cells."""
    rows = [
        replace(
            row,
            cells=tuple(row.cells[place] for place in places if row.cells),
            best=frozenset(new for new, old in enumerate(places) if old in row.best),
        )
        for row in table.rows
    ]
    header = (table.header[0], *(table.header[place + 1] for place in places))
    return replace(table, header=header, rows=rows)


def _turned(table: Table) -> Table:
    """The table with its columns as rows; a heading is added to labels that occur twice."""
    lines = _lines_of(table)
    labels = [row.label for _, row in lines]
    header = [
        f"{heading}: {row.label}" if labels.count(row.label) > 1 else row.label
        for heading, row in lines
    ]
    rows = [
        Row(
            name,
            tuple(row.cells[place] for _, row in lines),
            best=frozenset(new for new, (_, row) in enumerate(lines) if place in row.best),
        )
        for place, name in enumerate(table.header[1:])
    ]
    return replace(table, header=("", *header), rows=rows)


def _lines_of(table: Table) -> list[tuple[str, Row]]:
    """Each row that is not a heading, with the heading above it."""
    found, heading = [], ""
    for row in table.rows:
        if row.heading:
            heading = row.label
        else:
            found.append((heading, row))
    return found


def _numbers(table: Table) -> str:
    """A table of numbers."""
    columns, stacked = len(table.header), _is_stacked(table)
    widths = _widths(table, stacked=stacked)
    heads = [_wrapped(name, width) for name, width in zip(table.header, widths, strict=True)]
    head = [_stack(head, "l" if place == 0 else "r") for place, head in enumerate(heads)]
    lines = []
    for number, row in enumerate(table.rows):
        if row.heading:
            lines += [r"\addlinespace"] * (number > 0)
            text = rf"\textit{{{latex_text(row.label)}}}"
            lines.append(rf"\multicolumn{{{columns}}}{{@{{}}l@{{}}}}{{{text}}} \\")
            continue
        label = _stack(_wrapped(row.label, widths[0]), "l")
        cells = [_bold(label) if row.strong else label]
        details = [_tiny(_detail(cell)) for cell in row.cells]
        for place, (cell, detail) in enumerate(zip(row.cells, details, strict=True)):
            text = latex_text(_split(cell)[0])
            text = _bold(text) if place in row.best else text
            cells.append(rf"{text}\,{detail}" if detail and not stacked else text)
        lines.append(_ampersands(cells))
        if stacked and any(details):
            lines.append(_ampersands(["", *details]))
    return _tabular("l" + "l" * table.texts + "r" * (columns - 1 - table.texts), head, lines)


def _prose(table: Table) -> str:
    """A table of sentences."""
    columns = [
        rf">{{\raggedright\arraybackslash}}p{{{width:.3f}\linewidth}}"
        for width in _prose_widths(table)
    ]
    lines = []
    for row in table.rows:
        label = latex_text(row.label)
        texts = [_bold(label) if row.strong else label, *map(latex_text, row.cells)]
        lines.append(_ampersands(texts))
    return _tabular("".join(columns), map(latex_text, table.header), lines)


def _tabular(columns: str, head: Iterable[str], lines: Iterable[str]) -> str:
    return "\n".join(
        [
            rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
            r"\toprule",
            _ampersands(head),
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _prose_widths(table: Table) -> list[float]:
    """Shares of the line: what the longest word needs, and the rest by how much text there is."""
    columns = [table.column(place) for place in range(len(table.header))]
    needed = [
        1.2 * max(_pt(word) for text in column for word in text.split()) for column in columns
    ]
    texts = [max(map(_pt, column)) ** 0.5 for column in columns]
    room = PAGE_PT - GAP_PT * (len(columns) - 1)
    spare = max(0.0, room - sum(needed))
    return [
        min(1.0, room / sum(needed)) * need / PAGE_PT + spare * text / sum(texts) / PAGE_PT
        for need, text in zip(needed, texts, strict=True)
    ]


def _is_stacked(table: Table) -> bool:
    """Whether intervals go below the numbers: if they do not fit next to them."""
    width = _sum(_widths(table, stacked=False))
    return width > (COLUMN_PT if width < PAGE_PT / 2 else PAGE_PT)


def _width(table: Table) -> float:
    return _sum(_widths(table, stacked=_is_stacked(table)))


def _sum(widths: Sequence[float]) -> float:
    return sum(widths) + GAP_PT * (len(widths) - 1)


def _widths(table: Table, *, stacked: bool) -> list[float]:
    """Width of each column in points; labels wider than 110 pt are wrapped."""
    rows = [row for row in table.rows if not row.heading]
    labels = [table.header[0], *(row.label for row in rows)]
    word = max(_pt(word, 1.2) for label in labels for word in label.split() or [""])
    widths = [max(word, min(110.0, max(_pt(label, 1.2) for label in labels)))]
    for place, name in enumerate(table.header[1:]):
        found = [_pt(word, 1.05) for word in name.split()]
        for row in rows:
            number, rest = _split(row.cells[place])
            parts = _pt(number, 1.2), _pt(rest, 0.85)
            found.append(max(parts) if stacked else sum(parts) + (2 if rest else 0))
        widths.append(max(found, default=0))
    return widths


def _split(cell: str) -> tuple[str, str]:
    """A cell's number, and what is set smaller beside or below it."""
    found = _WITH_DETAIL.fullmatch(cell)
    return (found[1], found[2]) if found else (cell, "")


def _detail(cell: str) -> str:
    return _split(cell)[1]


def _bold(text: str) -> str:
    return rf"\textbf{{{text}}}"


def _tiny(text: str) -> str:
    return rf"{{\tiny {latex_text(text)}}}" if text else ""


def _wrapped(text: str, width: float) -> list[str]:
    """Words in lines of at most `width` points."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if lines[-1] and _pt(joined, 1.2) > width:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def _stack(lines: Sequence[str], side: str) -> str:
    escaped = [("{}" if line[:1] in "[*" else "") + latex_text(line) for line in lines]
    joined = r" \\ ".join(escaped)
    return joined if len(lines) == 1 else rf"\shortstack[{side}]{{{joined}}}"


def _pt(text: str, scale: float = 1.0) -> float:
    """Width of a text in points, in Computer Modern of 8 pt."""
    sizes = (2.7 if c in _NARROW else 6.4 if c in _WIDE else 4.4 for c in text)
    return scale * sum(sizes)


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def latex_text(text: str) -> str:
    """A text as LaTeX that prints it."""
    return text.translate(_SYMBOLS)
