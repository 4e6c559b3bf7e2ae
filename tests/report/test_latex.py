"""LaTeX: every table of a report compiles on NeurIPS's and AAAI's pages, and none is too wide."""

import re
import subprocess
from pathlib import Path

import pytest

from frod_bench.report.asked import Cell
from frod_bench.report.build import write_report
from frod_bench.report.latex import label_of, to_latex
from frod_bench.report.table import Row, Table

PAGES = {
    "neurips": r"\documentclass[10pt]{article}"
    r"\usepackage[textwidth=397pt,textheight=648pt]{geometry}",
    "aaai": r"\documentclass[10pt,twocolumn]{article}"
    r"\usepackage[textwidth=505pt,textheight=648pt,columnsep=29pt]{geometry}\usepackage{times}",
}


def overfull(tables: dict[str, str], page: str, folder: Path) -> list[str]:
    """What pdflatex says of boxes that are too wide; raises if it cannot compile them."""
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.tex").write_text(text)
    body = "\n".join(rf"\typeout{{TABLE {name}}}\input{{{name}}}\clearpage" for name in tables)
    preamble = r"\usepackage[T1]{fontenc}\usepackage{booktabs,array}\hfuzz=0.5pt"
    document = rf"{PAGES[page]}{preamble}\begin{{document}}{body}\end{{document}}"
    (folder / "all.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    found, name = [], ""
    for line in done.stdout.splitlines():
        if line.startswith("TABLE "):
            name = line
        if line.startswith(r"Overfull \hbox"):
            found.append(f"{name}: {line}")
    return found


@pytest.mark.latex
@pytest.mark.parametrize("page", PAGES)
def test_no_table_of_a_report_is_wider_than_the_page(
    experiment: tuple[Path, list[Cell]], tmp_path: Path, page: str
) -> None:
    root, cells = experiment
    out = tmp_path / "embedded"
    report = write_report(root, "embedded", cells, "embedded", parts=["tables"], out_dir=out)
    tables = {path.stem: path.read_text() for path in report.paths if path.suffix == ".tex"}
    assert {"claims", "main", "paired", "parameters", "convergence"} <= tables.keys()
    variants = tuple(f"FRoD (s 0.{n:02}, lambda × {n}, rotation × 10)" for n in range(80))
    rows = [Row("Language", heading=True), Row("CoLA (MCC)", ("83.1 ± 12.4",) * 80)]
    rows.append(Row("mean of Language", ("83.1 [70.2, 90.3]",) * 80, strong=True))
    wide = Table("Ablation: embedded", "Eighty variants.", ("task", *variants), rows)
    tables["wide"] = to_latex(wide, "tab:wide")
    assert overfull(tables, page, tmp_path / page) == []
    labels = re.findall(r"\\label\{(.*?)\}", "".join(tables.values()))
    assert len(labels) == len(set(labels))


def test_many_columns_become_rows_and_many_rows_several_floats() -> None:
    header = ("task", *(f"variant {n}" for n in range(60)))
    best = frozenset({3})
    table = Table("t", "c", header, [Row("RTE", tuple(str(n) for n in range(60)), best=best)])
    text = to_latex(table, "tab:t")
    assert text.count(r"\begin{table}") == 2
    assert r"\label{tab:t}" in text
    assert r"\label{tab:t-2}" in text
    assert r"variant 3 & \textbf{3} \\" in text


def test_an_interval_stands_small_beside_its_number() -> None:
    row = Row("RTE", ("80.0 ± 1.2", "diverged"), best=frozenset({0}))
    text = to_latex(Table("t", "c", ("task", "A", "B"), [row]), "tab:t")
    assert r"RTE & \textbf{80.0}\,{\tiny $\pm$ 1.2} & diverged \\" in text


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("home/me_too/results/embedded/tables", "tab:embedded-main"),
        ("results/small/budget_curve/tables", "tab:small-budget-curve-main"),
        ("home/me_too/rep/tables", "tab:rep-main"),
        ("home/me_too/rep", "tab:rep-main"),
    ],
)
def test_labels_name_profile_and_experiment_or_the_last_folder(
    tmp_path: Path, folder: str, label: str
) -> None:
    assert label_of(tmp_path / folder, "main") == label
