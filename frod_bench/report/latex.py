"""A table as LaTeX floats that fit NeurIPS's page (397 pt) and AAAI's (505 pt, columns of 238).

Nothing is scaled. A table that is too wide is first set with its intervals below the numbers, then
turned (methods as rows) if it has very many columns, then split into panels; one that is too long
becomes several floats. Widths are estimated from the characters, on the safe side.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from frod_bench.report.table import Row, Table

COLUMN_PT, PAGE_PT = 232.0, 392.0  # of AAAI's column and NeurIPS's text, with a margin
GAP_PT = 6.0  # between columns: twice \tabcolsep
MOST_COLUMNS = 12  # beyond it a table with fewer rows than columns is turned
MOST_LINES = 48  # of a float, header and notes left out
NEEDS = "% Needs \\usepackage{booktabs, array}."
_NARROW, _WIDE = set(" .,;:'|!ijltfI()[]"), set("mwABCDEFGHKLMNOPQRSTUVWXYZ%±×∞–−<>=+†&@λ")
_SYMBOLS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$",
    "†": r"$^\dagger$", "×": r"$\times$", "∞": r"$\infty$", "–": "--", "−": "$-$", "<": r"$<$",
    ">": r"$>$", "λ": r"$\lambda$", "·": r"$\cdot$", "…": r"\dots{}", "≥": r"$\geq$",
    "≤": r"$\leq$", "|": r"$|$", "→": r"$\to$",
}  # fmt: skip


def label_of(out_dir: Path, name: str, kind: str = "tab") -> str:
    """A label that no other report has: profile, experiment and name, from the folders."""
    folders = out_dir.resolve().parts[-3:-1]
    return f"{kind}:" + "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part) for part in (*folders, name))


def to_latex(table: Table, label: str) -> str:
    """The table as one or more floats; `label` is the first one's, the others' are numbered."""
    if len(table.header) - 1 > MOST_COLUMNS and len(_lines_of(table)) < len(table.header):
        table = _turned(table)
    parts = list(_parts(table))
    floats = []
    for number, (part, body) in enumerate(parts, start=1):
        is_last = number == len(parts)
        caption = table.caption if number == 1 else "(continued)"
        kind = "table" if not table.prose and _width(part) <= COLUMN_PT else "table*"
        floats.append(
            "\n".join(
                [
                    rf"\begin{{{kind}}}",
                    r"\centering\footnotesize\setlength{\tabcolsep}{3pt}",
                    rf"\caption{{{latex_text(f'{table.title}. {caption}')}}}",
                    rf"\label{{{label if number == 1 else f'{label}-{number}'}}}",
                    *body,
                    *(_notes(table.notes) if is_last else []),
                    rf"\end{{{kind}}}",
                ]
            )
        )
    return "\n\n".join([NEEDS, *floats]) + "\n"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    for note in notes:
        yield rf"\par\smallskip{{\sloppy\raggedright\scriptsize {latex_text(note)}\par}}"


def _parts(table: Table) -> Iterator[tuple[Table, list[str]]]:
    """Pieces of the table that fit a float each, with their lines."""
    for piece in _cut(table):
        panels = [piece] if table.prose else _panels(piece)
        body: list[str] = []
        for number, panel in enumerate(panels):
            body += [r"\par\medskip"] * (number > 0)
            body += _prose(panel) if table.prose else _tabular(panel)
        yield max(panels, key=_width), body


def _cut(table: Table) -> Iterator[Table]:
    """The table in pieces of at most `MOST_LINES` lines, all panels counted."""
    per_row = _height if table.prose else _panel_height
    rows: list[Row] = []
    used = 0
    for row in table.rows:
        lines = per_row(table, row)
        if rows and used + lines > MOST_LINES:
            yield replace(table, rows=rows)
            rows, used = [], 0
        rows.append(row)
        used += lines
    yield replace(table, rows=rows)


def _panel_height(table: Table, row: Row) -> int:
    return len(_panels(table)) * (2 if any(map(_detail, row.cells)) and _is_stacked(table) else 1)


def _height(table: Table, row: Row) -> int:
    widths = _prose_widths(table)
    texts = (row.label, *row.cells)
    pairs = zip(texts, widths, strict=False)
    return max(ceil(1.15 * _pt(text) / (width * PAGE_PT)) for text, width in pairs)


def _panels(table: Table) -> list[Table]:
    """The table, or its columns in panels of equal size that are narrow enough."""
    columns = len(table.header) - 1
    for panels in range(1, columns + 1):
        size = ceil(columns / panels)
        found = [
            _columns(table, range(at, min(at + size, columns))) for at in range(0, columns, size)
        ]
        if all(_width(panel) <= PAGE_PT for panel in found):
            return found
    return [_columns(table, [place]) for place in range(columns)]


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


def _tabular(table: Table) -> list[str]:
    """A table of numbers."""
    columns, stacked = len(table.header), _is_stacked(table)
    aligned = "l" + "l" * table.texts + "r" * (columns - 1 - table.texts)
    widths = _bodies(table)
    heads = [_wrapped(name, width) for name, width in zip(table.header, widths, strict=True)]
    lines = [
        rf"\begin{{tabular}}{{@{{}}{aligned}@{{}}}}",
        r"\toprule",
        _ampersands(_stack(head, "l" if place == 0 else "r") for place, head in enumerate(heads)),
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if row.heading:
            lines += [r"\addlinespace"] * (number > 0)
            text = rf"\textit{{{latex_text(row.label)}}}"
            lines.append(rf"\multicolumn{{{columns}}}{{@{{}}l@{{}}}}{{{text}}} \\")
            continue
        label = _stack(_wrapped(row.label, widths[0]), "l")
        cells = [
            _number(cell, bold=place in row.best, detail=not stacked)
            for place, cell in enumerate(row.cells)
        ]
        lines.append(_ampersands([rf"\textbf{{{label}}}" if row.strong else label, *cells]))
        details = [_tiny(_detail(cell)) for cell in row.cells]
        if stacked and any(details):
            lines.append(_ampersands(["", *details]))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _prose(table: Table) -> list[str]:
    """A table of sentences."""
    columns = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{width:.3f}\linewidth}}"
        for width in _prose_widths(table)
    )
    lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule"]
    lines += [_ampersands(map(latex_text, table.header)), r"\midrule"]
    for row in table.rows:
        texts = [latex_text(text) for text in (row.label, *row.cells)]
        lines.append(
            _ampersands([rf"\textbf{{{texts[0]}}}" if row.strong else texts[0], *texts[1:]])
        )
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _prose_widths(table: Table) -> list[float]:
    """Shares of the line: what the longest word needs, and the rest by how much text there is."""
    columns = [
        [name, *((row.label, *row.cells)[place] for row in table.rows if place <= len(row.cells))]
        for place, name in enumerate(table.header)
    ]
    needed = [1.2 * max(_pt(word) for text in column for word in text.split() or [""])
              for column in columns]  # fmt: skip
    texts = [max(map(_pt, column)) ** 0.5 for column in columns]
    room = PAGE_PT - GAP_PT * (len(columns) - 1)
    spare = max(0.0, room - sum(needed))
    return [
        min(1.0, room / sum(needed)) * need / PAGE_PT + spare * text / sum(texts) / PAGE_PT
        for need, text in zip(needed, texts, strict=True)
    ]


def _is_stacked(table: Table) -> bool:
    """Whether intervals go below the numbers: if they do not fit next to them."""
    return _inline_width(table) > (COLUMN_PT if _inline_width(table) < PAGE_PT / 2 else PAGE_PT)


def _width(table: Table) -> float:
    return sum(_bodies(table)) + GAP_PT * (len(table.header) - 1)


def _inline_width(table: Table) -> float:
    return sum(_bodies(table, stacked=False)) + GAP_PT * (len(table.header) - 1)


def _bodies(table: Table, *, stacked: bool | None = None) -> list[float]:
    """Width of each column in points."""
    stacked = _is_stacked(table) if stacked is None else stacked
    rows = [row for row in table.rows if not row.heading]
    widths = [_least([table.header[0], *(row.label for row in rows)])]
    for place, name in enumerate(table.header[1:]):
        cells = [_split(row.cells[place]) for row in rows]
        join = max if stacked else _beside
        body = max((join(_pt(number, 1.2), _pt(rest, 0.85)) for number, rest in cells), default=0)
        words = max((_pt(word, 1.05) for word in name.split()), default=0)
        widths.append(max(body, words))
    return widths


def _beside(number: float, rest: float) -> float:
    return number + (rest + 2 if rest else 0)


def _least(labels: Sequence[str]) -> float:
    """Width of the column of labels: at most 110 pt, then they are wrapped."""
    word = max(_pt(word, 1.2) for label in labels for word in label.split() or [""])
    return max(word, min(110.0, max(_pt(label, 1.2) for label in labels)))


def _split(cell: str) -> tuple[str, str]:
    """A cell's number, and what stands smaller beside or below it."""
    if (at := re.search(r" (?=[±\[(])", cell)) and re.match(r"[+−-]?[\d∞]", cell):
        return cell[: at.start()], cell[at.end() :]
    return cell, ""


def _detail(cell: str) -> str:
    return _split(cell)[1]


def _number(cell: str, *, bold: bool, detail: bool) -> str:
    number, rest = map(latex_text, _split(cell))
    text = rf"\textbf{{{number}}}" if bold else number
    return rf"{text}\,{_tiny(_detail(cell))}" if rest and detail else text


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
    escaped = [
        f"{{}}{latex_text(line)}" if line[:1] in "[*" else latex_text(line) for line in lines
    ]
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
    return "".join(_SYMBOLS.get(character, character) for character in text)
