"""The page: the tables' numbers in one file that loads nothing, whole in a real browser."""

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest

from frod_bench.common.errors import InputError
from frod_bench.report.asked import Cell, parse
from frod_bench.report.build import write_report
from frod_bench.report.command import CHOICES
from frod_bench.report.keys import Method
from frod_bench.report.page.write import ours_second, unbroken
from frod_bench.report.rules import rules_of_edition
from tests.report.factory import make_record, synthetic_curve, write_record
from tests.report.page_reader import Page, write_page

Experiment = tuple[Path, list[Cell]]


@pytest.fixture(scope="module")
def tables(experiment: Experiment) -> Path:
    """The folder of the same report's tables."""
    root, cells = experiment
    write_report(root, "embedded", cells, "embedded (stand-in data)", parts=["tables"])
    return root / "embedded/tables"


PAGE_ORDER = ["full", "frod", "lora", "frozen"]  # frod is next to the reference


def test_scores_are_those_of_the_main_table(page: Page, tables: Path) -> None:
    summary = pd.read_csv(tables / "main.csv", keep_default_na=False)
    means = summary[summary["primary"].astype(bool) & (summary["mean"] != "")]
    rows = {
        ("task", "rte"): "RTE",
        ("task", "boolq"): "BoolQ",
        ("overall", ""): "mean of all tasks",
    }
    with_interval = set()
    for (scope, task), name in rows.items():
        of_row = means[(means["scope"] == scope) & (means["task"] == task)].set_index("method")
        shown = page.row("main-table", name)
        for method, cell in zip(PAGE_ORDER, shown, strict=True):
            mean, low, high = (of_row.loc[method, x] for x in ("mean", "low", "high"))
            assert cell.startswith(f"{float(mean):.1f}"), (name, method)
            if low == "":
                assert "no interval" in cell
            elif scope == "task":
                assert f"± {float(high) - float(mean):.1f}" in cell
                with_interval.add(name)
    assert with_interval == {"RTE", "BoolQ"}
    assert page.tables["main-table"][0] == ["task", "Full FT", "FRoD", "LoRA", "Frozen"]
    assert page.row("main-table", "DTD")[2] == "80.0 no interval: one seed (1 of 3: 2 failed)"
    assert page.row("main-table", "MNIST")[2] == "diverged"


def test_times_are_those_of_the_convergence_table(page: Page, tables: Path) -> None:
    times = pd.read_csv(tables / "convergence.csv")
    steps, seconds = [row for row in page.tables["times"] if row[0].startswith("RTE (")]
    for axis, (_, *cells) in (("steps", steps), ("seconds", seconds)):
        here = times[(times["axis"] == axis) & (times["task"] == "rte")].set_index("method")
        for method, cell in zip(PAGE_ORDER, cells, strict=True):
            median = here.loc[method, "median"]
            missed = "not reached" if np.isinf(median) else f"{median:.3g}"
            assert cell.split(" (")[0] == missed, (axis, method)


def test_parameters_are_those_of_the_table(page: Page, tables: Path) -> None:
    rows = {tuple(row) for row in page.tables["parameters"]}
    lines = (tables / "parameters.md").read_text().splitlines()
    body = [line for line in lines if line.startswith("|") and "---" not in line]
    found = [tuple(cell.strip("* ") for cell in line.strip("| ").split(" | ")) for line in body[1:]]
    assert {line for line in found if any(line[1:])} <= rows
    names = ["Full FT", "FRoD", "LoRA", "Frozen"]
    assert [row[0] for row in page.tables["costs-table"][1:]] == names
    assert page.tables["map"][0][1:] == names


def test_misses_have_one_wording(page: Page) -> None:
    texts = [text for row in page.tables["times"][1:] for text in row[1:]]
    assert not any("∞" in text for text in texts)
    missed = [text for text in texts if "reached" in text]
    assert any("(" in text for text in missed)  # of the factor, over some of the tasks
    assert any("(" not in text for text in missed)


def test_a_cell_breaks_before_a_bracket_only(page: Page) -> None:
    """A cell of a hidden column that wraps would leave blank lines in those that are seen."""
    assert unbroken("0.92 × (17 of 20 tasks)") == ["0.92 ×", "(17 of 20 tasks)"]
    assert unbroken("not reached") == ["not reached"]
    assert '<span class="whole">not reached</span>' in page.source
    assert re.search(r"\.whole \{ white-space: nowrap; \}", page.source)


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        ("full lora dora frod frozen", "full frod lora dora frozen"),
        ("lora full frod", "lora full frod"),
        ("lora frod", "frod lora"),
        ("lora dora", "lora dora"),
    ],
)
def test_ours_stands_beside_the_reference(methods: str, shown: str) -> None:
    ours, reference = Method("frod"), Method("full")
    found = ours_second(list(map(Method, methods.split())), ours, reference)
    assert found == list(map(Method, shown.split()))


def test_every_cell_is_on_the_map_and_links_to_its_record(
    experiment: Experiment, page: Page
) -> None:
    _, cells = experiment
    assert "CoLA, LoRA, seed 1: missing" in page.labels
    assert "DTD, LoRA, seed 2: failed, RuntimeError: out of luck" in page.labels
    assert "MNIST, LoRA, seed 0: diverged, RuntimeError: out of luck" in page.labels
    assert "RTE, FRoD, seed 0: ok, 80.0 (standard error 2.0)" in page.labels
    assert sum(", seed " in label for label in page.labels) == len(cells)
    records = {link for link in page.links if not link.startswith("#")}
    assert len([link for link in records if link.endswith(".json")]) == len(cells) - 1
    for link in records:
        assert not urlsplit(link).scheme
        assert (page.path.parent / unquote(link)).is_file(), link
    reasons = [row[3:5] for row in page.tables["lost"][1:]]
    assert ("missing", "no record") in [(what, why[:9]) for what, why in reasons]
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


def test_one_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    for method in ("full", "frod"):
        write_record(tmp_path, make_record("rte", method, 0), synthetic_curve())
    page = write_page(tmp_path, [Cell("rte", method, 0) for method in ("full", "frod")])
    assert page.row("main-table", "RTE") == ["80.0 no interval: one seed"] * 2
    assert page.row("main-table", "mean of all tasks") == ["80.0 no interval: one task"] * 2
    traces = page.charts("curves-data")["rte/score/steps"]["figure"]["data"]
    assert not any("fill" in trace for trace in traces)


def test_target_that_nothing_reaches_is_told_in_words(tmp_path: Path) -> None:
    """The reference's mean sets a target that two of its three seeds miss, and so does frod."""
    for seed, final in enumerate((0.9, 0.52, 0.52)):
        for method, end in (("full", final), ("frod", 0.55)):
            curve = synthetic_curve(final=end, rate=0.2, seed=seed)
            write_record(tmp_path, make_record("rte", method, seed), curve)
    cells = [Cell("rte", m, s) for m in ("full", "frod") for s in range(3)]
    page = write_page(tmp_path, cells, rules=rules_of_edition("1"))
    found = [row[1:] for row in page.tables["times"] if row[0].startswith("RTE (")]
    assert found == [["not reached"] * 2] * 2  # in steps and in seconds
    chart = page.charts("curves-data")["rte/score/steps"]
    assert "No method reaches the target." in chart["caption"]
    assert "No method reaches the target." in chart["text"]


def test_undefined_scores_and_missing_curves_leave_a_page(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_record(tmp_path, make_record("cola", "frod", seed, value=None))
    page = write_page(tmp_path, [Cell("cola", "frod", seed) for seed in (0, 1)])
    assert page.row("main-table", "CoLA (MCC)") == ["undefined"]
    assert "there is nothing to draw" in page.text
    assert "No method has both" in page.text
    assert "NaN" not in json.dumps(page.tables)


def test_records_that_are_none_leave_a_page_that_says_so(tmp_path: Path) -> None:
    broken = write_record(tmp_path, make_record("rte", "full", 0))
    broken.write_text('{"value": NaN}')
    failed = make_record("rte", "frod", 0, status="failed")
    failed |= dict.fromkeys(("params", "time", "memory", "curve"))
    page = write_page(tmp_path, [Cell("rte", "full", 0)])
    assert page.row("main-table", "RTE") == ["unusable"]
    write_record(tmp_path, failed)
    page = write_page(tmp_path, [Cell("rte", method, 0) for method in ("full", "frod")])
    assert page.row("main-table", "RTE") == ["unusable", "failed"]
    assert page.row("map", "RTE") == ["U", "F"]
    assert page.row("made-with", "records") == ["1 of 2 runs"]


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
    assert "</script><b>title" in page.charts("curves-data")["rte/score/steps"]["text"]


def test_each_part_can_be_asked_for_alone_and_loads_only_what_it_needs() -> None:
    assert parse(["html", "seed=0"]) == ("html", ["experiment=main_table", "seed=0"], {})
    assert CHOICES["html"] == ("html",)
    assert set(CHOICES["all"]) == {"tables", "plots", "html"}
    with pytest.raises(InputError, match="Did you mean 'html'"):
        parse(["htm"])
    code = (
        "import sys; heavy = {'torch', 'matplotlib', 'plotly', 'scipy.stats'};"
        "import frod_bench.report.build; print(*heavy & set(sys.modules), sep='');"
        "import frod_bench.report.page.write; print(*heavy & set(sys.modules), sep='')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["", "plotly"]
