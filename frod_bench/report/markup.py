"""A table as text in cells, and its renderings: Markdown and LaTeX (booktabs)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    "–": "--",
    "−": "$-$",
    "<": r"$<$",
    ">": r"$>$",
}


@dataclass(frozen=True)
class Row:
    """A line of a table; `heading` opens a group and has no cells, `strong` is an average."""

    label: str
    cells: tuple[str, ...] = ()
    heading: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `header` names the label column and each column of cells."""

    title: str
    caption: str
    header: tuple[str, ...]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)
    prose: bool = False  # cells are sentences: they are wrapped, and stand on the left


def to_markdown(table: Table) -> str:
    """The table as a Markdown page: title, caption, pipe table, notes."""
    columns = len(table.header)
    lines = [
        f"# {table.title}",
        "",
        table.caption,
        "",
        _pipes(_markdown(name) for name in table.header),
        _pipes(["---"] + ["---" if table.prose else "---:"] * (columns - 1)),
    ]
    for row in table.rows:
        label = f"**{_markdown(row.label)}**" if row.heading or row.strong else _markdown(row.label)
        cells = [_markdown(cell) for cell in row.cells] or [""] * (columns - 1)
        lines.append(_pipes([label, *cells]))
    if table.notes:
        lines += ["", *(f"- {_markdown(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def to_latex(table: Table, label: str) -> str:
    """The table as a LaTeX float; needs the packages booktabs and array."""
    columns = len(table.header)
    lines = [
        "% needs \\usepackage{booktabs, array}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex(table.title + '. ' + table.caption)}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{_columns(table)}}}",
        r"\toprule",
        _ampersands(_latex(name) for name in table.header),
        r"\midrule",
    ]
    for number, row in enumerate(table.rows):
        if row.heading:
            lines += [r"\addlinespace"] * (number > 0)
            lines.append(rf"\multicolumn{{{columns}}}{{l}}{{\textit{{{_latex(row.label)}}}}} \\")
        else:
            name = rf"\textbf{{{_latex(row.label)}}}" if row.strong else _latex(row.label)
            lines.append(_ampersands([name, *(_latex(cell) for cell in row.cells)]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {_latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _columns(table: Table) -> str:
    columns = len(table.header)
    if not table.prose:
        return "l" + "r" * (columns - 1)
    width = 0.9 / columns
    return rf"*{{{columns}}}{{>{{\raggedright\arraybackslash}}p{{{width:.2f}\linewidth}}}}"


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("\n", " ")


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
