"""Tables: the numbers are right, and a hole is never averaged over in silence."""

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from frod_bench import stats
from frod_bench.report.asked import Cell
from frod_bench.report.collect import collect
from frod_bench.report.frame import split_of
from frod_bench.report.latex import to_latex
from frod_bench.report.table import Row, Table, to_markdown, to_rich, write_table
from frod_bench.report.tables import (
    main_caption,
    main_table,
    parameter_summary,
    parameter_table,
    summarise,
)
from tests.report.factory import make_record, rehash, synthetic_curve, write_record

Experiment = tuple[Path, list[Cell]]


@pytest.fixture(scope="module")
def frame(experiment: Experiment) -> pd.DataFrame:
    root, cells = experiment
    return collect(root, "embedded", cells).frame


def write_tables(
    frame: pd.DataFrame, out: Path, title: str, notes: list[str] | None = None
) -> None:
    """The main table and that of parameters, of a frame."""
    summary, parameters = summarise(frame), parameter_summary(frame)
    write_table(main_table(summary, title, notes or ()), summary, out, "main")
    write_table(parameter_table(parameters, title), parameters, out, "parameters")


@pytest.fixture(scope="module")
def main(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The texts of the main table by suffix."""
    out = tmp_path_factory.mktemp("tables")
    write_tables(frame, out, "embedded (stand-in data)", ["a warning"])
    paths = list(out.iterdir())
    assert {p.name for p in paths} == {
        f"{name}.{suffix}" for name in ("main", "parameters") for suffix in ("md", "csv", "tex")
    }
    return {p.suffix[1:]: p.read_text() for p in paths if p.stem == "main"}


def line(text: str, label: str) -> list[str]:
    """The cells of the Markdown row with a label."""
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("|")]
    (found,) = [row for row in rows if row[0].strip("*") == label]
    return found[1:]


def test_the_caption_says_what_the_scores_are_of(tmp_path: Path) -> None:
    for seed, split in enumerate([None, "validation"]):
        made = make_record("rte", "frod", seed)
        made["config"]["protocol"] |= {"metrics_split": split} if split else {}
        rehash(made)
        write_record(tmp_path, made, synthetic_curve())
    of_test, of_validation = Cell("rte", "frod", 0), Cell("rte", "frod", 1)
    captions = [
        main_caption(split_of(collect(tmp_path, "embedded", cells).frame)).partition(" scores")[0]
        for cells in ([of_test], [of_validation], [of_test, of_validation])
    ]
    assert captions == ["Test", "Validation", "Test and validation"]


def test_task_rows_are_mean_and_students_interval(main: dict[str, str]) -> None:
    estimate = stats.mean_interval([80.0, 81.0, 82.0])
    text = f"**{estimate.mean:.1f}** ± {estimate.high - estimate.mean:.1f}"
    assert line(main["md"], "RTE") == [text] * 4


def test_holes_are_shown_in_cells_and_in_averages(main: dict[str, str]) -> None:
    md = main["md"]
    lora = 1
    assert line(md, "CoLA (MCC)")[lora].endswith("(2 of 3: 1 missing)")
    assert line(md, "DTD")[lora] == "80.0 (1 of 3: 2 failed)"
    assert line(md, "MNIST")[lora] == "diverged"
    for row in ("mean of Language", "mean of Vision", "mean of all tasks", "training step, s"):
        marked = [cell.endswith("†") for cell in line(md, row)]
        assert marked == [False, True, False, False], row
    assert "†" not in "".join(line(md, "mean of Reasoning"))
    assert "LoRA: averages are over 9 of 15 cells (3 diverged, 2 failed, 1 missing)" in md
    assert "- a warning" in md


def test_title_carries_the_profile(main: dict[str, str]) -> None:
    assert main["md"].startswith("# Main table: embedded (stand-in data)\n")
    assert r"\caption{Main table: embedded (stand-in data)." in main["tex"]


def test_csv_is_long_and_agrees(main: dict[str, str]) -> None:
    table = pd.read_csv(io.StringIO(main["csv"]))
    overall = table[(table["scope"] == "overall") & table["primary"]].set_index("method")
    assert overall.loc["frod", "mean"] == pytest.approx(81.0)
    frod_and_lora = overall.loc[["frod", "lora"]]
    assert frod_and_lora["interval"].tolist() == ["t over tasks", "none"]  # of five tasks, of four
    assert overall.loc["frod", "low"] <= 81.0 <= overall.loc["frod", "high"]
    assert overall.loc["lora", ["low", "high"]].isna().all()
    assert overall.loc["lora", ["n_cells", "n_expected", "status"]].tolist() == [9, 15, "partial"]
    cost = table[(table["scope"] == "overall") & (table["method"] == "frod")].set_index("metric")
    assert cost.loc["trainable, without the head", "mean"] == pytest.approx(1.72)
    assert cost.loc["training step", "mean"] == pytest.approx(0.02)
    assert cost.loc["peak memory", "mean"] == pytest.approx(512)


def test_latex_is_balanced_and_escaped(main: dict[str, str]) -> None:
    tex = main["tex"]
    assert tex.count("{") == tex.count("}")
    rows = [r for r in tex.splitlines() if r.endswith(r"\\") and "multicolumn" not in r]
    assert {row.count("&") - row.count(r"\&") for row in rows} == {4}
    assert not set("±†×∞") & set(tex)


def test_markup_escapes_what_would_break_it() -> None:
    table = Table("t", "c", ("a", "b_1"), [Row("x|y", ("5 % & more",))])
    assert r"| x\|y | 5 % & more |" in to_markdown(table)
    assert r"x$|$y & 5 \% \& more \\" in to_latex(table, "t")
    assert r"b\_1" in to_latex(table, "t")


def test_the_best_of_a_row_is_bold_and_so_is_its_equal(tmp_path: Path) -> None:
    """frozen is best and lacks a seed, which does not compare; 81.01 and 81.04 are shown alike."""
    scores = {"full": 0.8101, "frod": 0.8104, "lora": 0.7, "frozen": 0.9}
    cells = [Cell("rte", method, seed) for method in scores for seed in (0, 1, 2)]
    for cell in cells[:-1]:
        made = make_record("rte", cell.method, cell.seed, scores[cell.method])
        write_record(tmp_path, made, synthetic_curve())
    write_tables(collect(tmp_path, "embedded", cells).frame, tmp_path / "out", "embedded")
    full, frod, lora, frozen = line((tmp_path / "out" / "main.md").read_text(), "RTE")
    assert (full, frod) == ("**81.0** ± 0.0", "**81.0** ± 0.0")
    assert (lora, frozen) == ("70.0 ± 0.0", "90.0 (90.0 to 90.0) (2 of 3: 1 missing)")


def test_a_mean_cost_of_fewer_tasks_says_so(tmp_path: Path) -> None:
    """A frozen backbone that ranks options takes no step, so that there is no time of one."""
    cells = [Cell(task, method, 0) for task in ("rte", "boolq") for method in ("full", "frozen")]
    for cell in cells:
        made = make_record(cell.task, cell.method, 0)
        if (cell.task, cell.method) == ("boolq", "frozen"):
            made |= {"steps": 0}
        write_record(tmp_path, made, synthetic_curve())
    write_tables(collect(tmp_path, "embedded", cells).frame, tmp_path / "out", "embedded")
    text = (tmp_path / "out" / "main.md").read_text()
    assert line(text, "training step, s") == ["0.02", "0.02 (1 of 2 tasks)"]
    assert line(text, "set-up, s") == ["0.5", "0.5"]


def test_two_seeds_have_a_range_and_no_interval(tmp_path: Path) -> None:
    for seed, value in ((0, 0.8), (1, 0.83)):
        write_record(tmp_path, make_record("rte", "frod", seed, value), synthetic_curve())
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", seed) for seed in (0, 1)])
    write_tables(got.frame, tmp_path / "out", "embedded")
    assert line((tmp_path / "out/main.md").read_text(), "RTE") == ["81.5 (80.0 to 83.0)"]
    summary = pd.read_csv(tmp_path / "out/main.csv")
    assert summary["high"][0] == pytest.approx(81.5 + 12.706 * 1.5, abs=1e-2)  # the CSV has it


def test_a_terminal_table_cuts_no_name() -> None:
    rows = [Row(f"task {n // 2}", (f"a method with a long name {n}", "80.0")) for n in range(4)]
    table = Table("t", "c", ("task", "method", "score (points) and more words"), rows, texts=1)
    console = Console(file=io.StringIO(), width=40)
    console.print(to_rich(table))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown
    assert shown.count("task 0") == 1  # the second one repeats it
    for word in [
        "a",
        "method",
        "with",
        "long",
        "name",
        "score",
        "(points)",
        "and",
        "more",
        "words",
    ]:
        assert word in shown


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    write_record(tmp_path, make_record("rte", "frod", 0), synthetic_curve())
    got = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)])
    write_tables(got.frame, tmp_path / "out", "embedded")
    text = (tmp_path / "out" / "main.md").read_text()
    assert line(text, "RTE") == ["80.0 (one seed)"]
    assert line(text, "mean of all tasks") == ["80.0 (one task)"]


def test_secondary_metrics_are_in_the_csv(tmp_path: Path) -> None:
    made = make_record("rte", "frod", 0)
    made["metrics"]["f1"] = {"value": 0.6, "n": 200, "stderr": None}
    write_record(tmp_path, made, synthetic_curve())
    frame = collect(tmp_path, "embedded", [Cell("rte", "frod", 0)]).frame
    long = summarise(frame).set_index(["scope", "metric"])
    assert long.loc[("task", "f1"), "mean"] == pytest.approx(60.0)
    assert not long.loc[("task", "f1"), "primary"]


def test_method_that_was_not_asked_for_is_a_dash(tmp_path: Path) -> None:
    for task, method in (("rte", "frod"), ("rte", "full"), ("dtd", "full")):
        write_record(tmp_path, make_record(task, method, 0), synthetic_curve())
    cells = [Cell("rte", "frod", 0), Cell("rte", "full", 0), Cell("dtd", "full", 0)]
    write_tables(collect(tmp_path, "embedded", cells).frame, tmp_path / "out", "embedded")
    assert line((tmp_path / "out" / "main.md").read_text(), "DTD")[0] == "–"


def test_a_mean_over_fewer_tasks_than_another_is_marked_and_not_the_best(tmp_path: Path) -> None:
    """As a folder has it: what was not run is not asked for."""
    runs = (("rte", "frod", 0.9), ("rte", "full", 0.8), ("dtd", "full", 0.6))
    for task, method, value in runs:
        write_record(tmp_path, make_record(task, method, 0, value=value), synthetic_curve())
    cells = [Cell(task, method, 0) for task, method, _ in runs]
    write_tables(collect(tmp_path, "embedded", cells).frame, tmp_path / "out", "embedded")
    text = (tmp_path / "out" / "main.md").read_text()
    assert line(text, "mean of all tasks") == ["90.0 (one task)†", "70.0 (2 tasks)"]
    assert "† FRoD: averages are over 1 of 1 cells (one task without a record)" in text
    summary = pd.read_csv(tmp_path / "out" / "main.csv")
    whole = summary[(summary["scope"] == "overall") & summary["primary"]].set_index("method")
    assert whole.loc["full", "status"] == "ok"
    assert whole.loc["frod", "status"] == "partial"


def test_a_seed_that_one_method_has_besides_marks_no_other(tmp_path: Path) -> None:
    runs = (("rte", "frod", 0), ("rte", "frod", 3), ("rte", "full", 0))
    for run in runs:
        write_record(tmp_path, make_record(*run), synthetic_curve())
    cells = [Cell(*run) for run in runs]
    write_tables(collect(tmp_path, "embedded", cells).frame, tmp_path / "out", "embedded")
    assert "†" not in (tmp_path / "out" / "main.md").read_text()


def test_parameters_tell_both_readings(frame: pd.DataFrame, tmp_path: Path) -> None:
    write_tables(frame, tmp_path, "embedded")
    text = (tmp_path / "parameters.md").read_text()
    exact = pd.read_csv(tmp_path / "parameters.csv", dtype=str)
    assert "1000000" in set(exact["mean"])
    assert "| FRoD | 17,200 | 258 | 1.720 | 1.746 | 50,000 | 1,000,000 |" in text
